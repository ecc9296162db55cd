"""The search for a setting whose artifact fits, as ask and tell: no stage, no store, no clock.

A size model gives the first guess and the shape of the curve; real sizes correct it. Told the same sizes, it asks the same.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mulligan.pack.knob import Choice, Number

Value = tuple[int | float | str, ...]
"""One value for each path of the knob."""
Predict = Callable[[Value], float]

TOLERANCE = 0.001
"""Share of the cap that may stay unused by a number between bounds."""
MAX_TRIES = 24
"""Of a number; of a choice every combination that may fit is tried."""
AIM = 0.9996
"""Where the search aims, as a share of the cap: inside the tolerance, with room on both sides."""
DIGITS = 6


@dataclass(frozen=True)
class Tried:
    """A value and the bytes that it took, the reserve for the code included."""

    value: Value
    total_bytes: int


def next_value(knob: Number | Choice, cap_bytes: int, tried: Sequence[Tried], predict: Predict) -> Value | None:
    """Return what to try next, None when the search is over. `predict`: bytes of a value, the reserve included."""
    if isinstance(knob, Choice):
        return _next_combination(knob, cap_bytes, tried, predict)
    return _next_number(knob, cap_bytes, tried, predict) if len(tried) < MAX_TRIES else None


def best_of(knob: Number | Choice, cap_bytes: int, fitting: Sequence[tuple[Tried, float]]) -> Tried:
    """Return which of the `fitting` values to take; each has its score (lower is better), and there is one at least.

    For a number, among those within the tolerance of the cap where there are any: a coarser setting seldom scores better
    but by the luck of a few documents.
    """
    near = [item for item in fitting if item[0].total_bytes >= (1 - TOLERANCE) * cap_bytes]
    return min(near if near and isinstance(knob, Number) else fitting, key=lambda item: (item[1], -item[0].total_bytes))[0]


def combinations(knob: Choice) -> list[Value]:
    """Return every combination of the values of the settings."""
    return list(itertools.product(*(setting.values for setting in knob.settings)))


def _next_combination(knob: Choice, cap_bytes: int, tried: Sequence[Tried], predict: Predict) -> Value | None:
    """Return the untried combination whose bytes are predicted nearest to the cap; those that cannot fit are left out.

    One cannot where another took too much that is predicted to take no more, and differs in nothing that the model is blind to.
    """
    every = combinations(knob)
    blind = [i for i in range(len(knob.settings)) if _is_blind(i, every, predict)]
    over = [one.value for one in tried if one.total_bytes > cap_bytes]

    def hopeless(value: Value) -> bool:
        return any(predict(one) <= predict(value) and all(one[i] == value[i] for i in blind) for one in over)

    known = {one.value for one in tried}
    left = [value for value in every if value not in known and not hopeless(value)]
    off = float(np.median([one.total_bytes / predict(one.value) for one in tried])) if tried else 1.0
    return min(left, key=lambda value: abs(predict(value) * off - cap_bytes), default=None)


def _is_blind(i: int, every: Sequence[Value], predict: Predict) -> bool:
    """Say whether the model predicts the same bytes whatever setting number `i` says."""
    alike: dict[Value, set[float]] = {}
    for value in every:
        alike.setdefault((*value[:i], *value[i + 1 :]), set()).add(predict(value))
    return all(len(found) == 1 for found in alike.values())


def _next_number(knob: Number, cap_bytes: int, tried: Sequence[Tried], predict: Predict) -> Value | None:
    under = [one for one in tried if one.total_bytes <= cap_bytes]
    over = [one for one in tried if one.total_bytes > cap_bytes]
    if any(one.total_bytes >= (1 - TOLERANCE) * cap_bytes for one in under):
        return None
    rises = _rises(knob, tried, predict)
    if rises is None:  # the model does not see this knob: both ends tell which way the bytes go
        ends = [(knob.low,), (knob.high,)]
        return next((end for end in ends if all(one.value != end for one in tried)), None)
    small, large = (knob.low, knob.high) if rises else (knob.high, knob.low)
    fine = max((one for one in under), key=lambda one: one.total_bytes, default=None)
    coarse = min((one for one in over), key=lambda one: one.total_bytes, default=None)
    if (fine and fine.value == (large,)) or (coarse and coarse.value == (small,)):
        return None  # even the finest fits, or nothing does
    begin = _number(fine) if fine else small
    end = _number(coarse) if coarse else large
    guess = _guess(begin, end, cap_bytes, tried, predict)
    known = {one.value for one in tried}
    for candidate in (guess, (begin + end) / 2, begin, end):
        value = (float(f"{candidate:.{DIGITS}g}"),)
        if value not in known and min(begin, end) <= value[0] <= max(begin, end):
            return value
    return None


def turning_point(knob: Number, predict: Predict) -> float | None:
    """Return where between its bounds a number is predicted to take most or least bytes; None where they have one direction."""
    values = np.linspace(knob.low, knob.high, 65)
    sizes = np.array([predict((float(value),)) for value in values])
    slack = 0.01 * sizes.max()
    for at in (int(sizes.argmax()), int(sizes.argmin())):
        if abs(sizes[at] - sizes[0]) > slack and abs(sizes[at] - sizes[-1]) > slack:
            return float(values[at])
    return None


def _rises(knob: Number, tried: Sequence[Tried], predict: Predict) -> bool | None:
    """Say whether the bytes rise with the value; None as long as nothing tells."""
    low, high = predict((knob.low,)), predict((knob.high,))
    if abs(high - low) > 1e-3 * max(high, low):
        return high > low
    sizes = {one.value: one.total_bytes for one in tried}
    ends = sizes.get((knob.low,)), sizes.get((knob.high,))
    return None if ends[0] is None or ends[1] is None else ends[1] > ends[0]


def _guess(begin: float, end: float, cap_bytes: int, tried: Sequence[Tried], predict: Predict) -> float:
    """Return where the model, bent through what was measured, meets the aim; `begin` fits, `end` does not."""
    seen = abs(predict((begin,)) - predict((end,))) > 1e-3 * predict((begin,))

    def abscissa(value: float) -> float:
        return predict((value,)) if seen else value

    points = sorted((abscissa(_number(one)), float(one.total_bytes)) for one in tried)
    low, high = begin, end
    for _ in range(60):
        middle = (low + high) / 2
        if _through(abscissa(middle), points) <= AIM * cap_bytes:
            low = middle
        else:
            high = middle
    return low


def _through(x: float, points: Sequence[tuple[float, float]]) -> float:
    """Return the bytes at `x` by straight lines through the points, the outermost ones prolonged; one point: in proportion."""
    if len(points) < 2:
        return x * (points[0][1] / points[0][0] if points else 1.0)
    i = min(max(1, sum(known < x for known, _ in points)), len(points) - 1)
    (x0, y0), (x1, y1) = points[i - 1], points[i]
    return y1 if x1 == x0 else y0 + (y1 - y0) * (x - x0) / (x1 - x0)


def _number(tried: Tried) -> float:
    value = tried.value[0]
    assert not isinstance(value, str)
    return float(value)
