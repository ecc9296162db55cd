"""`python -m bench.verdicts`: are the verdicts as often wrong as they say, and as often right as planned?

Simulated studies with the published spread between seeds, judged by the calls that a study uses. Prints a markdown table:
false claims against alpha (three standard errors of sampling allowed), power against the plan (five points allowed).
Exit code 1 where a row is off.
"""

import argparse
import math
import sys
from collections.abc import Callable

import numpy as np

from mulligan.compare.contrast import Contrast, paired
from mulligan.compare.factorial import factorial
from mulligan.compare.power import smallest_effect, tost_power
from mulligan.compare.verdict import verdict
from mulligan.core.random_stream import random_stream

SD = 0.00186 / 2.583  # bits per byte: published runs pooled, 0.00186 nats per token at 2.583 nats per bit per byte
RHO = 0.5
MARGIN = 0.001
ALPHA = 0.05
SEEDS = (3, 5, 8)
POWER_POINTS = 0.05


def scores(rng: np.random.Generator, shifts: list[float], n: int) -> list[dict[int, float]]:
    """Return one {seed: score} per arm; arms correlate by RHO over seeds and each spreads by SD."""
    common = rng.normal(0.0, SD * math.sqrt(RHO), n)
    return [dict(enumerate(1.14 + shift + common + rng.normal(0.0, SD * math.sqrt(1 - RHO), n))) for shift in shifts]


def pair(rng: np.random.Generator, effect: float, n: int) -> Contrast:
    """Return the paired contrast of one study of two arms."""
    return paired("arm", *scores(rng, [0.0, effect], n), ALPHA)


def interaction(rng: np.random.Generator, effect: float, n: int) -> Contrast:
    """Return the interaction of one 2x2 study, seeds as blocks."""
    cells = [("0", "0"), ("0", "1"), ("1", "0"), ("1", "1")]
    runs = scores(rng, [0.0, -0.002, -0.001, -0.003 + effect], n)
    rows = [
        {"a": a, "b": b, "seed": seed, "value": value}
        for (a, b), arm in zip(cells, runs, strict=True)
        for seed, value in arm.items()
    ]
    return factorial(rows, ["a", "b"], alpha=ALPHA).interactions[0]


def share(
    study: Callable[[np.random.Generator, float, int], Contrast],
    effect: float,
    n: int,
    margin: float | None,
    words: set[str],
    studies: int,
    rng: np.random.Generator,
) -> float:
    """Return the share of studies whose verdict is one of `words`."""
    return sum(verdict(study(rng, effect, n), margin).word in words for _ in range(studies)) / studies


def main() -> int:
    """Print the table; return 1 where a share is off its claim."""
    parser = argparse.ArgumentParser(prog="python -m bench.verdicts", description=__doc__)
    parser.add_argument("--studies", type=int, default=1000, help="simulated studies per row")
    parser.add_argument("--seed", type=int, default=20260401)
    arguments = parser.parse_args()
    print(f"sd {SD:.6f} bits per byte between seeds, correlation of arms {RHO}, margin {MARGIN}, alpha {ALPHA};")
    print(f"{arguments.studies} studies per row, seed {arguments.seed}\n")
    print("| design | n | true difference | margin | verdict counted | share | claim | holds |")
    print("|---|---|---|---|---|---|---|---|")
    holds = True
    for design, study in (("paired", pair), ("interaction", interaction)):
        for n in SEEDS:
            planned = smallest_effect(design, SD, n, rho=RHO, alpha=ALPHA)
            shown = tost_power(MARGIN, design, SD, n, rho=RHO, alpha=ALPHA)
            for effect, margin, words, claim in (
                (0.0, None, {"better", "worse"}, None),
                (0.0, MARGIN, {"better", "worse"}, None),
                (MARGIN, MARGIN, {"equivalent"}, None),
                (-planned, None, {"better"}, 0.8),
                (0.0, MARGIN, {"equivalent"}, shown),
            ):
                rng = random_stream(arguments.seed, "verdicts", design, str(n), f"{effect:.9f}", str(margin), *sorted(words))
                found = share(study, effect, n, margin, words, arguments.studies, rng)
                if claim is None:
                    good = found <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / arguments.studies)
                else:
                    good = abs(found - claim) <= POWER_POINTS
                holds = holds and good
                text = f"at most {ALPHA:.2f}" if claim is None else f"{claim:.3f}"
                told = "none" if margin is None else f"{margin:g}"
                print(
                    f"| {design} | {n} | {effect:+.5f} | {told} | {' or '.join(sorted(words))} | {found:.3f} | {text} | "
                    f"{'yes' if good else 'NO'} |",
                    flush=True,
                )
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
