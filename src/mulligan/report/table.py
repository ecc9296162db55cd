"""The tables of a study's page as plain rows of text, and the sentences of its answer."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mulligan.report.words import (
    Kind,
    arrows,
    bpb,
    difference_unit,
    in_unit,
    interval,
    mbpb,
    percent,
    plain_mbpb,
    probability,
    sentence,
)

Data = Mapping[str, Any]


@dataclass(frozen=True)
class Answer:
    """A verdict: its word and what it says."""

    name: str
    word: str
    text: str


@dataclass(frozen=True)
class ArmRow:
    """One arm of the primary metric; texts, empty where there is nothing."""

    name: str
    colour: str
    n: int
    mean: str
    sd: str
    seeds: tuple[str, ...]
    difference: str
    interval: str
    p: str
    corrected_p: str
    word: str
    payload: str
    fits: bool | None


def judged_effects(primary: Data) -> list[Data]:
    """Return the main effects and interactions, which have verdicts."""
    return [effect for kind in ("main", "interactions") for effect in primary["effects"].get(kind, ())]


def answers(result: Data, corrected: Mapping[str, float]) -> list[Answer]:
    """Return the verdicts as sentences: interactions and main effects first where there are some, then arms."""
    primary, baseline = result["primary"], "the baseline"
    kinds: tuple[tuple[Kind, str], ...] = (("interaction", "interactions"), ("main", "main"))
    found: list[tuple[Kind, str, Data, Data]] = [
        (kind, effect["name"], effect, primary["effect_verdicts"][effect["name"]])
        for kind, key in kinds
        for effect in primary["effects"].get(key, ())
    ]
    found += [("arm", arm, contrast, primary["verdicts"][arm]) for arm, contrast in primary["contrasts"].items()]
    study = result["study"]
    return [
        Answer(name, judged["word"], sentence(kind, name, contrast, judged, study, baseline, corrected.get(name)))
        for kind, name, contrast, judged in found
    ]


def arm_rows(result: Data, colours: Mapping[str, str], corrected: Mapping[str, float]) -> list[ArmRow]:
    """Return the table of arms."""
    primary = result["primary"]
    rows = []
    for arm in (arm["name"] for arm in result["arms"]):
        values = list(primary["values"][arm].values())
        contrast = primary["contrasts"].get(arm)
        sizes = [cell["artifact"] for cell in result["cells"] if cell["arm"] == arm and cell["status"] == "done"]
        rows.append(
            ArmRow(
                name=stamped(arm, primary),
                colour=colours[arm],
                n=len(values),
                mean=bpb(statistics.fmean(values)) if values else "",
                sd=plain_mbpb(statistics.stdev(values)) if len(values) > 1 else "",
                seeds=tuple(_seed_text(result, arm, seed) for seed in result["study"]["seeds"]),
                difference=mbpb(contrast["estimate"]) if contrast else "",
                interval=interval(contrast["low"], contrast["high"]) if contrast else "",
                p=probability(contrast["p"]) if contrast and contrast["n"] >= 2 else "",
                corrected_p=probability(corrected.get(arm)),
                word=primary["verdicts"][arm]["word"] if contrast else "baseline" if arm == result["baseline"] else "no values",
                payload=_range([size["payload_bytes"] for size in sizes if size["payload_bytes"] is not None]),
                fits=_fits([size["fits"] for size in sizes]),
            )
        )
    return rows


def stamped(arm: str, metric: Data) -> str:
    """Return an arm's name, with a stamp where its score is illegal."""
    return f"{arm} (ILLEGAL)" if arm in metric["illegal"] else arm


def _seed_text(result: Data, arm: str, seed: int) -> str:
    """Return a seed's score, or why there is none."""
    value = result["primary"]["values"][arm].get(str(seed))
    if value is not None:
        return bpb(value)
    return next((cell["status"] for cell in result["cells"] if (cell["arm"], cell["seed"]) == (arm, seed)), "")


def _fits(found: Sequence[bool | None]) -> bool | None:
    """Return whether all cells fit; None where that is not known of any, or of some and the others fit."""
    return False if False in found else None if None in found or not found else True


def _range(sizes: Sequence[int]) -> str:
    if not sizes:
        return ""
    low, high = min(sizes), max(sizes)
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def effect_rows(primary: Data, corrected: Mapping[str, float]) -> list[dict[str, str]]:
    """Return main, interaction and simple effects as text; simple effects carry no verdict."""
    kinds = {"main": "main effect", "interactions": "interaction", "simple": "simple effect"}
    return [
        {
            "name": arrows(effect["name"]),
            "kind": text,
            "n": str(effect["n"]),
            "difference": mbpb(effect["estimate"]),
            "interval": interval(effect["low"], effect["high"]),
            "by_seed": interval(effect["by_seed"]["low"], effect["by_seed"]["high"]),
            "p": probability(effect["p"]),
            "corrected_p": probability(corrected.get(effect["name"])) if kind != "simple" else "",
            "word": primary["effect_verdicts"][effect["name"]]["word"] if kind != "simple" else "",
        }
        for kind, text in kinds.items()
        for effect in primary["effects"].get(kind, ())
    ]


def secondary_rows(result: Data) -> list[dict[str, Any]]:
    """Return each secondary metric with one row an arm: n, mean, sd, difference and interval in the metric's unit."""
    tables = []
    for metric in result["secondary"]:
        unit, rows = metric["unit"], []
        for arm, values in metric["values"].items():
            numbers = list(values.values())
            found = metric["contrasts"].get(arm)
            bounds = [in_unit(found[end], unit, difference=True) for end in ("low", "high")] if found else ["", ""]
            is_difference = unit == "bits per byte" and _is_difference(result, metric["name"])
            rows.append(
                {
                    "arm": arm,
                    "name": stamped(arm, metric),
                    "n": len(numbers),
                    "mean": in_unit(statistics.fmean(numbers), unit, difference=is_difference) if numbers else "",
                    "sd": in_unit(statistics.stdev(numbers), unit, spread=True) if len(numbers) > 1 else "",
                    "difference": in_unit(found["estimate"], unit, difference=True) if found else "",
                    "interval": f"[{bounds[0]}, {bounds[1]}]" if all(bounds) else "",
                }
            )
        of_difference = unit == "bits per byte" and _is_difference(result, metric["name"])
        tables.append(
            {
                "name": metric["name"],
                "unit": "mBPB" if of_difference else unit,
                "difference_unit": difference_unit(unit),
                "rows": rows,
            }
        )
    return tables


def _is_difference(result: Data, name: str) -> bool:
    return any(metric["kind"] == "difference" and metric["name"] == name for metric in result["study"]["secondary"])


def left_out(result: Data) -> list[str]:
    """Return which finished cells of the primary metric enter no difference or effect, because their partners have no value."""
    primary, lines = result["primary"], []
    for arm, contrast in primary["contrasts"].items():
        seeds = [seed for seed in primary["values"][arm] if contrast["seeds"] and int(seed) not in contrast["seeds"]]
        if seeds:
            lines.append(f"{arm}, seed {', '.join(seeds)}: not in its difference from the baseline, which has no value there")
    effects = judged_effects(primary)
    if effects and effects[0]["seeds"]:
        present = {seed for values in primary["values"].values() for seed in values}
        missing = sorted(present - {str(seed) for seed in effects[0]["seeds"]}, key=int)
        if missing:
            lines.append(f"seed {', '.join(missing)}: not in the effects of the factors, because an arm has no value there")
    return lines


def noise_text(result: Data) -> str:
    """Return the noise floor in words."""
    noise = result["primary"]["noise"]
    if noise is None:
        return "unknown: no arm has two seeds"
    return (
        f"{plain_mbpb(noise['sd'])} mBPB between seeds of one arm (sd pooled over {noise['groups']} arms, df {noise['df']}; "
        f"{percent(1 - noise['alpha'])} interval {plain_mbpb(noise['low'])} to {plain_mbpb(noise['high'])})"
    )
