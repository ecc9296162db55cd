"""Checks of scores: submission.json against the logs, bits per byte against nats, one factor between them over seeds."""

import math
import statistics
from collections.abc import Sequence

from mulligan.audit.finding import Finding, finding, not_checked
from mulligan.submit.seed_log import FINAL, OTHER_WEIGHTS, SeedLog
from mulligan.submit.submitted import Submitted, listed

LN2 = math.log(2)
Pair = tuple[float, float]
"""Nats per token and bits per byte."""

FEWEST_DIGITS, EXACT_DIGITS = 4, 8


def claimed(folder: Submitted) -> tuple[str, dict[SeedLog, Pair]] | None:
    """Return the name of the reading that is claimed, and (nats, bits) of each log.

    It is `final_exact` where a line of ours says so; else the reading whose mean is the stated score, else the last one.
    """
    logs = [log for log in folder.claimed_logs if log.readings]
    if not logs:
        return None
    if all(log.final for log in logs):
        return FINAL, {log: log.readings[FINAL] for log in logs}
    about = folder.submission
    common = [name for name in logs[-1].readings if all(name in log.readings for log in logs)]
    candidates = [(name, {log: log.readings[name] for log in logs}) for name in common]
    if about is None or len(about.seeds or about.seed_results or ()) < 2:  # else the score is a mean, and no seed's own
        candidates += [(f"{name} of {log.path.name}", {log: pair}) for log in logs for name, pair in log.readings.items()]
    candidates = candidates or [("the last reading", {log: list(log.readings.values())[-1] for log in logs})]
    stated = about.val_bpb if about else None
    for name, pairs in sorted(candidates, key=lambda item: -_log_digits(item[0], list(item[1].values()))):
        if stated is not None and _equal(
            stated, statistics.fmean(bits for _, bits in pairs.values()), _log_digits(name, list(pairs.values()))
        ):
            return name, pairs
    return candidates[len(common) - 1] if common else candidates[-1]


def seed_scores(folder: Submitted) -> tuple[list[float], float | None]:
    """Return the bits per byte of each seed (from the logs, else from submission.json), and nats per bit per byte."""
    found = claimed(folder)
    if found is not None:
        pairs = list(found[1].values())
        return [bits for _, bits in pairs], statistics.fmean(nats / bits for nats, bits in pairs)
    about = folder.submission
    if about is None:
        return [], None
    results = [result.val_bpb for result in (about.seed_results or {}).values() if result.val_bpb is not None]
    factor = about.val_loss / about.val_bpb if about.val_loss else None
    return results or [about.val_bpb], factor


def score(folder: Submitted) -> tuple[Finding, ...]:
    """val_bpb and val_loss are the means over the logs, and each seed's are its log's; a wrong unit is told as such."""
    about, found = folder.submission, claimed(folder)
    if about is None or found is None:
        return not_checked("score", "submission.json cannot be read" if about is None else "no log has a reading")
    name, pairs = found
    digits = _log_digits(name, list(pairs.values()))
    by_seed = {log.seed: pair for log, pair in pairs.items()}
    wrong = [f"{FINAL} of {log.path.name} is not its last reading" for log in pairs if name == FINAL and not _is_last(log)]
    for seed, result in (about.seed_results or {}).items():
        pair = by_seed.get(int(seed)) if seed.isdigit() else None
        several = sum(str(log.seed) == seed for log in pairs) > 1
        if pair and not several:
            wrong += _wrong(f"seed_results.{seed}.val_bpb", result.val_bpb, [pair], 1, digits)
            wrong += _wrong(f"seed_results.{seed}.val_loss", result.val_loss, [pair], 0, digits)
    whole = len(pairs) == 1 or all(seed in by_seed for seed in folder.seeds)
    if whole:
        wrong += _wrong("val_bpb", about.val_bpb, list(pairs.values()), 1, digits)
        wrong += _wrong("val_loss", about.val_loss, list(pairs.values()), 0, digits)
    if not whole and not wrong:
        return not_checked("score", "the mean is over seeds of which a log is missing; those that are there agree")
    mean = statistics.fmean(bits for _, bits in pairs.values())
    return finding("score", listed(wrong, 3) or None, f"{name}: mean {mean:.6f} bits per byte of {len(pairs)} logs")


def _is_last(log: SeedLog) -> bool:
    """Say whether the claimed score is the last reading of the artifact."""
    readings = [pair for name, pair in log.readings.items() if name != FINAL and not OTHER_WEIGHTS.search(name)]
    return bool(readings) and log.final == readings[-1]


def _wrong(what: str, stated: float | None, pairs: Sequence[Pair], column: int, digits: int) -> list[str]:
    """Return nothing where a stated number is the mean of the logs, else a sentence: the unit that it is in, if it is one."""
    if stated is None:
        return []
    mean = statistics.fmean(pair[column] for pair in pairs)
    if _equal(stated, mean, digits):
        return []
    unit = ("nats per token", "bits per byte")[column]
    for other, value in _units(pairs).items():
        if other != unit and _equal(stated, value, digits):
            return [f"{what} = {stated:g} is in {other}; in {unit} the logs say {mean:.8f}"]
    return [f"{what} = {stated:.8g}, and the logs say {mean:.8f} {unit}"]


def _units(pairs: Sequence[Pair]) -> dict[str, float]:
    nats, bits = (statistics.fmean(pair[column] for pair in pairs) for column in (0, 1))
    return {"nats per token": nats, "bits per byte": bits, "bits per token": nats / LN2, "nats per byte": bits * LN2}


def _equal(stated: float, value: float, digits: int = EXACT_DIGITS) -> bool:
    """Say whether a number is another one to within one unit of the last digit that both have (4 or more).

    Means of rounded numbers are. `digits`: those of the log.
    """
    digits = min(max(_digits(stated), FEWEST_DIGITS), digits)
    return abs(stated - value) <= 1.001 * 10.0**-digits


def _digits(number: float) -> int:
    """Return the decimals of a number as it is written."""
    return EXACT_DIGITS if "e" in repr(number) else min(EXACT_DIGITS, len(repr(number).partition(".")[2]))


def _log_digits(name: str, pairs: Sequence[Pair]) -> int:
    """Return how many decimals the logs print of a reading: some print 4, the exact lines 8."""
    return EXACT_DIGITS if name == FINAL else max(FEWEST_DIGITS, *(_digits(number) for pair in pairs for number in pair))


def one_factor(folder: Submitted) -> tuple[Finding, ...]:
    """Nats per token and bits per byte of a reading have one ratio over seeds: all counted the same bytes."""
    found = claimed(folder)
    by_name: dict[str, dict[str, Pair]] = {}
    for log in (found or ("", {}))[1]:
        for name, pair in log.readings.items():
            by_name.setdefault(name, {})[log.path.name] = pair
    several = {name: of_log for name, of_log in by_name.items() if len(of_log) > 1}
    if not several:
        return not_checked("one factor", "no claimed reading is in two logs or more")
    wrong, factor = [], 0.0
    for name, of_log in several.items():
        ratios = {log: nats / bits for log, (nats, bits) in of_log.items()}
        factor = statistics.median(ratios.values())
        slack = max(_digits_slack(pair) for pair in of_log.values())
        wrong += [
            f"{log}: {name} has {ratio:.6f} nats per token for a bit per byte, the others {factor:.6f}"
            for log, ratio in ratios.items()
            if abs(ratio / factor - 1) > 2 * slack
        ]
    per_token = f"{factor / LN2:.4f} bytes a token"
    return finding("one factor", listed(wrong, 2) or None, f"{factor:.6f} nats per token for a bit per byte ({per_token})")


def _digits_slack(pair: Pair) -> float:
    """Return the relative error that rounding leaves in the ratio of two printed numbers."""
    return sum(0.51 * 10.0 ** -_digits(number) / number for number in pair)
