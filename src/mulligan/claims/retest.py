"""What a recorded study says of a claim: its contrast, judged with the study's margin, and its sign against the claimed one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mulligan.claims.ledger import Claim, Retest, Sign
from mulligan.claims.recorded import BITS, Recorded
from mulligan.compare.contrast import contrast
from mulligan.compare.verdict import alpha_per_look, verdict

AGREEMENTS = {
    "agrees": "the study's contrast has the claimed sign, or shows that there is nothing where nothing was claimed",
    "disagrees": "it has the other sign, or there is a difference where none was claimed",
    "equivalent": "a difference was claimed, and the study shows one smaller than its margin",
    "inconclusive": "the study's seeds allow both",
    "not testable": "the study has one run an arm, or the lever did not act",
}
"""What a re-test may say of a claimed sign, and what each word means."""

_AGREEMENT: dict[str, dict[str, str]] = {
    "lower": {"lower": "agrees", "higher": "disagrees", "equivalent": "equivalent"},
    "higher": {"lower": "disagrees", "higher": "agrees", "equivalent": "equivalent"},
    "none": {"lower": "disagrees", "higher": "disagrees", "equivalent": "agrees"},
    "not lower": {"lower": "disagrees", "higher": "agrees", "equivalent": "agrees"},
    "not higher": {"lower": "agrees", "higher": "disagrees", "equivalent": "agrees"},
}
_SIGNS = {"better": "lower", "illegal": "lower", "over budget": "lower", "worse": "higher", "equivalent": "equivalent"}


@dataclass(frozen=True)
class Found:
    """What one recorded study says: contrast (JSON), the verdict's word and sentence, and whether the claimed sign agrees."""

    retest: Retest
    recorded: Recorded
    unit: str
    contrast: Mapping[str, Any]
    word: str
    text: str
    agreement: str

    def to_json(self) -> dict[str, Any]:
        """Return JSON data, the recorded result by its name, date and environment."""
        recorded = self.recorded
        numbers = ("estimate", "low", "high", "p", "n", "differences")
        return {
            "study": recorded.study,
            "scale": recorded.scale,
            "corpus": recorded.corpus,
            "date": recorded.date,
            "commit": recorded.commits,
            "hash": recorded.hash,
            "device": ", ".join(dict.fromkeys(str(found["device"]) for found in recorded.environments)),
            "contrast": str(self.retest),
            "metric": self.retest.metric,
            "expected": self.retest.expected,
            "differs": self.retest.differs,
            "margin_bpb": recorded.settings.margin_bpb,
            "unit": self.unit,
            **{name: self.contrast[name] for name in numbers},
            "word": self.word,
            "text": self.text,
            "agreement": self.agreement,
        }


def agreement(expected: Sign, word: str) -> str:
    """Return what a verdict's word says of a claimed sign."""
    sign = _SIGNS.get(word, word)
    return _AGREEMENT[expected].get(sign, sign)


def find(claim: Claim, results: Iterable[Recorded]) -> list[Found]:
    """Return what the recorded results say of a claim, in the order of its re-tests; ValueError on an unknown contrast."""
    results = list(results)
    return [_judge(retest, recorded) for retest in claim.retest for recorded in results if recorded.study == retest.study]


def _judge(retest: Retest, recorded: Recorded) -> Found:
    known = recorded.metrics.get(retest.metric)
    if known is None:
        raise ValueError(f"{recorded.name}: no metric {retest.metric!r}. There are: {', '.join(recorded.metrics)}.")
    data, said = _contrast(retest, recorded, known)
    return Found(
        retest,
        recorded,
        known["unit"],
        data,
        said["word"],
        said["text"],
        agreement(retest.expected, said["word"]),
    )


def _contrast(retest: Retest, recorded: Recorded, known: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the contrast and its verdict: the study's own, corrected over its family, where it is one of the study's.

    A contrast of two arms neither of which is the baseline is a question of the claim's own, and so is one of bytes or time,
    for which the study has no margin.
    """
    baseline = next(iter(recorded.levels))
    judged = recorded.judged(retest.metric)
    if retest.effect is not None:
        effects = {effect["name"]: effect for kind in ("main", "interactions") for effect in judged["effects"].get(kind, ())}
        if retest.effect not in effects:
            raise ValueError(f"{recorded.name}: no effect {retest.effect!r}. There are: {'; '.join(effects)}.")
        return effects[retest.effect], judged["effect_verdicts"][retest.effect]
    for arm in (retest.arm, retest.against):
        if arm is not None and arm not in recorded.levels:
            raise ValueError(f"{recorded.name}: no arm {arm!r}. There are: {'; '.join(recorded.levels)}.")
    assert retest.arm is not None
    if retest.against in (None, baseline) and "verdicts" in judged:
        return judged["contrasts"][retest.arm], judged["verdicts"][retest.arm]
    study = recorded.settings
    alpha = alpha_per_look(study.alpha, study.looks)
    of, minus = ({int(s): v for s, v in known["values"][arm].items()} for arm in (retest.arm, retest.against or baseline))
    found = contrast(str(retest), minus, of, alpha)
    margin = study.margin_bpb if known["unit"] == BITS else None
    said = verdict(
        found, margin, study.alpha, retest.arm in recorded.over_budget, looks=study.looks, unit=_short(known["unit"])
    )
    word = "illegal" if retest.arm in known["illegal"] and said.word == "better" else said.word
    return found.to_json(), {"word": word, "text": said.text}


def _short(unit: str) -> str:
    return "bpb" if unit == BITS else unit
