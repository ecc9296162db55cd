"""Numbers and verdicts as people read them: bits per byte to 4 digits, differences in mBPB with a sign.

1 mBPB is 0.001 bits per byte. Sentences are built from a verdict's word and its contrast; nothing is judged here.
"""

from collections.abc import Mapping
from typing import Any, Literal

Kind = Literal["arm", "main", "interaction"]
Data = Mapping[str, Any]

MEANINGS = {
    "better": "the interval of the difference lies below 0 (lower is better), and its corrected p is below alpha",
    "worse": "the interval of the difference lies above 0, and its corrected p is below alpha",
    "equivalent": "the (1 − 2 alpha) interval lies wholly inside the margin: whatever the difference is, it does not matter",
    "inconclusive": "none of these: more seeds are needed to tell",
    "not testable": "one run per arm: nothing tells a difference from seed noise",
    "illegal": "scores better in a way that breaks a rule on purpose, so it does not count as better",
    "over budget": "scores better, but payload and code exceed the byte budget, so it does not count as better",
}
"""What each verdict word means."""

_SENTENCES: dict[tuple[Kind, str], str] = {
    ("arm", "better"): "{name} scores {size} mBPB lower (better) than {baseline}",
    ("arm", "worse"): "{name} scores {size} mBPB higher (worse) than {baseline}",
    ("arm", "equivalent"): "{name} scores the same as {baseline} to within ±{margin} mBPB",
    ("arm", "inconclusive"): "whether {name} differs from {baseline} stays open",
    ("arm", "not testable"): "{name} has one run to set against {baseline}, and nothing tells its difference from seed noise",
    ("arm", "over budget"): "{name} scores {size} mBPB lower than {baseline}, but does not fit the byte budget",
    ("arm", "illegal"): "{name} scores {size} mBPB lower than {baseline}, in a way that no submission may score",
    ("main", "better"): "{name}, averaged over the other factors, lowers the score by {size} mBPB (better)",
    ("main", "worse"): "{name}, averaged over the other factors, raises the score by {size} mBPB (worse)",
    ("main", "equivalent"): "{name}, averaged over the other factors, changes the score by less than ±{margin} mBPB",
    ("main", "inconclusive"): "whether {name}, averaged over the other factors, changes the score stays open",
    ("interaction", "better"): "{name}: together they score {size} mBPB lower (better) than the sum of what each does alone",
    ("interaction", "worse"): "{name}: together they score {size} mBPB higher (worse) than the sum of what each does alone",
    ("interaction", "equivalent"): "{name}: what each does alone adds up, to within ±{margin} mBPB",
    ("interaction", "inconclusive"): "{name}: whether what each does alone adds up stays open",
}


def signed(value: float, digits: int = 2) -> str:
    """Return a number with an explicit sign (a true minus); what rounds to 0 has none."""
    text = f"{value:+,.{digits}f}"
    return text.replace("-", "−") if any(digit in text for digit in "123456789") else text[1:]


def mbpb(bits_per_byte: float | None, digits: int = 2) -> str:
    """Return a difference in thousandths of a bit per byte, signed; an empty string for None."""
    return "" if bits_per_byte is None else signed(1000 * bits_per_byte, digits)


def bpb(bits_per_byte: float | None) -> str:
    """Return a score to 4 digits; an empty string for None."""
    return "" if bits_per_byte is None else f"{bits_per_byte:.4f}"


def plain_mbpb(bits_per_byte: float) -> str:
    """Return a size in mBPB, without a sign."""
    return f"{1000 * abs(bits_per_byte):,.2f}"


def percent(share: float) -> str:
    """Return 0.95 as "95 %"."""
    return f"{100 * share:.4g} %"


def probability(p: float | None) -> str:
    """Return a p value to two digits."""
    if p is None:
        return ""
    return "< 0.0001" if p < 1e-4 else f"{p:.2g}" if p < 0.1 else f"{p:.2f}"


def arrows(name: str) -> str:
    """Return an effect's name as printed: "qat off→on × swa off→on"."""
    return name.replace("->", "→").replace(" x ", " × ")


def interval(low: float | None, high: float | None) -> str:
    """Return an interval in mBPB; an empty string where there is none."""
    return "" if low is None or high is None else f"[{mbpb(low)}, {mbpb(high)}]"


def in_unit(value: float | None, unit: str, *, difference: bool = False, spread: bool = False) -> str:
    """Return a value of a secondary metric as its unit asks; differences and spreads of bits per byte are in mBPB."""
    if value is None:
        return ""
    if unit == "bits per byte":
        return mbpb(value) if difference else plain_mbpb(value) if spread else bpb(value)
    digits = 0 if unit == "bytes" and not spread else 2
    return signed(value, digits) if difference else f"{value:,.{digits}f}"


def difference_unit(unit: str) -> str:
    """Return the unit in which differences of a metric are shown."""
    return "mBPB" if unit == "bits per byte" else unit


def sentence(kind: Kind, name: str, contrast: Data, verdict: Data, study: Data, baseline: str, p: float | None) -> str:
    """Return what a verdict says of a contrast, with its numbers. `p`: the one corrected over its family, if any."""
    word, margin = verdict["word"], study["margin_bpb"]
    pattern = _SENTENCES.get((kind, word), "{name}: " + word)
    said = pattern.format(
        name=arrows(name), baseline=baseline, size=plain_mbpb(contrast["estimate"]), margin=f"{1000 * margin:.2f}"
    )
    said = f"W{said[1:]}" if said.startswith("whether") else said
    return f"{said}: {_numbers(contrast, word, p)}.{_note(contrast, verdict, margin)}"


def _numbers(contrast: Data, word: str, p: float | None) -> str:
    inner = word == "equivalent"
    low, high = (contrast["inner_low"], contrast["inner_high"]) if inner else (contrast["low"], contrast["high"])
    parts = [f"{mbpb(contrast['estimate'])} mBPB"]
    if interval(low, high):
        share = 1 - (2 if inner else 1) * contrast["alpha"]
        parts[0] = f"{mbpb(contrast['estimate'])} {interval(low, high)} mBPB"
        parts.append(f"{percent(share)} interval".replace(" ", "\u00a0"))
        if p is not None and not inner:
            parts.append(f"corrected\u00a0p\u00a0{probability(p)}")
    return ", ".join([*parts, f"n\u00a0=\u00a0{contrast['n']}"])


def _note(contrast: Data, verdict: Data, margin: float) -> str:
    notes = []
    low, high = contrast["inner_low"], contrast["inner_high"]
    word = verdict["word"]
    if word == "equivalent" and low is not None and (low > 0 or high < 0):
        notes.append("The interval leaves out 0: there is a difference, too small to matter.")
    if word == "inconclusive":
        if contrast["low"] is not None and (contrast["low"] > 0 or contrast["high"] < 0):
            notes.append("Its interval alone leaves out 0, but it does not survive the correction over its family.")
        if verdict["more_seeds"] is not None:
            seeds = "seed" if verdict["more_seeds"] == 1 else "seeds"
            notes.append(f"About {verdict['more_seeds']} more {seeds} per arm would resolve ±{1000 * margin:.2f} mBPB.")
        else:
            notes.append(f"No number of seeds below 1,000 is known to resolve ±{1000 * margin:.2f} mBPB.")
    if verdict["over_budget"] and word != "over budget":
        notes.append("It does not fit the byte budget.")
    return "".join(f" {note}" for note in notes)
