"""Checks of a record: enough seeds, and both rules against a named reference (another folder, or scores with their unit)."""

from pathlib import Path

from mulligan.audit.finding import Finding, finding, not_checked
from mulligan.compare.record import APPLIED_ALPHA, MARGIN_NATS, WRITTEN_ALPHA, Record, Rule, Unit, nats_to_bpb, record
from mulligan.submit.check_scores import seed_scores
from mulligan.submit.check_seeds import FEWEST_SEEDS
from mulligan.submit.submitted import Submitted

UNITS: dict[str, Unit] = {"bpb": "bits per byte", "nats": "nats per token"}


def seeds(folder: Submitted) -> tuple[Finding, ...]:
    """There are three seeds or more."""
    found = folder.seeds
    wrong = f"{len(found)} seeds {found}; {FEWEST_SEEDS} or more are needed" if len(set(found)) < FEWEST_SEEDS else None
    return finding("seeds", wrong, f"{len(set(found))} seeds: {', '.join(map(str, found))}")


def read_reference(given: str) -> tuple[str, list[float], Unit]:
    """Return name, scores and unit of `--against`: a record folder, or `1.0810,1.0822:bpb` (or `:nats`); else ValueError."""
    if Path(given).is_dir():
        scores, _ = seed_scores(Submitted(Path(given)))
        if not scores:
            raise ValueError(f"--against {given}: no score in logs or submission.json. Give scores: 1.0810,1.0822:bpb.")
        return Path(given).resolve().name, scores, "bits per byte"
    numbers, colon, unit = given.rpartition(":")
    try:
        values = [float(number) for number in numbers.split(",")]
    except ValueError:
        values = []
    if not colon or unit not in UNITS or not values or min(values) <= 0:
        raise ValueError(f"--against {given}: give a record folder, or scores with their unit: 1.0810,1.0822:bpb (or :nats).")
    return f"{len(values)} scores given", values, UNITS[unit]


def record_rules(folder: Submitted, against: str | None) -> tuple[Finding, ...]:
    """The record is better than its reference by both rules: 0.005 nats at p < 0.01, and the frontier's p < 0.25."""
    names = (f"record: written ({MARGIN_NATS} nats, p < {WRITTEN_ALPHA})", f"record: applied (p < {APPLIED_ALPHA})")
    scores, factor = seed_scores(folder)
    why = "give the reference: --against FOLDER, or 1.0810,1.0822:bpb" if against is None else None
    why = why or (None if scores and factor else "no score in both units, so nats and bits per byte cannot be told apart")
    if why or against is None or factor is None:
        return tuple(found for name in names for found in not_checked(name, str(why)))
    name, reference, unit = read_reference(against)
    in_bits = [nats_to_bpb(value, factor) for value in reference] if unit == "nats per token" else reference
    judged = record(in_bits, scores, unit="bits per byte", nats_per_bpb=factor)
    welch, fixed = judged.rule("written, Welch"), judged.rule("written, fixed reference")
    written = fixed if welch.p is None else welch
    return (*_judged(names[0], written, judged, name, fixed), *_judged(names[1], judged.rule("applied"), judged, name, None))


def _judged(name: str, rule: Rule, judged: Record, reference: str, fixed: Rule | None) -> tuple[Finding, ...]:
    gain = f"{1000 * judged.gain_bpb:+.2f} mBPB ({judged.gain_nats:+.5f} nats) better than {reference}"
    sizes = f"n = {judged.num_arm} against {judged.num_reference}"
    if rule.p is None:
        return not_checked(name, f"{gain}, {sizes}: two or more seeds on both sides are needed")
    df = "" if rule.df is None else f", df {rule.df:.1f}"
    apart = fixed is not None and fixed is not rule and fixed.p is not None
    also = f"; with the reference's mean taken as exact p = {fixed.p:.2g}" if apart and fixed else ""
    evidence = f"{gain}, {sizes}: {rule.test}{df}, p = {rule.p:.2g}{also}"
    return finding(name, None if rule.passes else evidence, evidence)
