"""What so many seeds can show, said before they are run: for arms, for interactions and for the record rule."""

from typing import Any

from mulligan.compare.power import Design, gain_for_record, power_at, seeds_needed, smallest_effect
from mulligan.study.config import FullFactorial, StudyConfig

RECORD_NATS = 0.005
WANTED = 0.8
"""The chance with which an effect is to be found."""


def power_of(study: StudyConfig) -> dict[str, Any]:
    """Return the smallest effects that the study's seeds find, the seeds that its margin needs, and both in words."""
    n, sd, alpha = len(study.seeds), study.noise_bpb, study.alpha / study.looks
    designs: list[Design] = ["paired"]
    if isinstance(study.design, FullFactorial) and len(study.factors) > 1:
        designs.append("interaction")
    found: dict[str, Any] = {"noise_bpb": sd, "chance": WANTED, "lines": []}
    for design in designs:
        needed = seeds_needed(study.margin_bpb, design, sd, alpha=alpha, power=WANTED)
        found[design] = {"seeds_for_margin": needed, "smallest_effect_bpb": None, "chance_at_margin": None}
        words = "an arm against the baseline" if design == "paired" else "an interaction"
        if n < 2:
            found["lines"].append(f"{words}: one seed tests nothing; {needed} seeds find {study.margin_bpb:g} bpb")
            continue
        smallest = smallest_effect(design, sd, n, alpha=alpha, power=WANTED)
        chance = power_at(study.margin_bpb, design, sd, n, alpha=alpha)
        found[design].update(smallest_effect_bpb=smallest, chance_at_margin=chance)
        found["lines"].append(
            f"{words}: {n} seeds find {smallest:.5f} bpb with chance {WANTED:.0%}, and the margin {study.margin_bpb:g} with "
            f"{chance:.0%}; {needed} seeds find the margin (seed noise {sd:g} bpb)"
        )
    found["lines"].append(
        f"by a seed noise of {sd:g} bpb (noise_bpb in the file; 0.0005 is the median of public configurations of three seeds "
        "or more; short runs are noisier, so look at the noise floor of the first result)"
    )
    found["record"] = _record(study, n)
    found["lines"].append(found["record"]["text"])
    return found


def _record(study: StudyConfig, n: int) -> dict[str, Any]:
    """Return what the written record rule asks for: 0.005 nats per token at one-sided p < 0.01, two groups of runs."""
    sd = study.noise_bpb * study.nats_per_bpb
    needed = seeds_needed(RECORD_NATS, "unpaired", sd, alpha=0.01, power=WANTED, sided=1)
    text = f"record rule: a true gain of {RECORD_NATS} nats per token is seen at p < .01 with {needed} seeds an arm"
    record: dict[str, Any] = {"seeds_for_record": needed, "gain_to_observe_nats": None}
    if n >= 2:
        gain = gain_for_record(sd, n)
        record["gain_to_observe_nats"] = gain
        text += (
            f"; to pass as better by {RECORD_NATS}, {n} seeds must show {gain:.4f} nats ({gain / study.nats_per_bpb:.5f} bpb)"
        )
    return {**record, "text": text}
