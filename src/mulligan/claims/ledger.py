"""The ledger: claims of source documents in our words, one TOML file a document, each read and checked as a whole."""

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mulligan.claims.figure import Question
from mulligan.core.config import FrozenConfig, parse_config

VERDICTS = {
    "holds": "the published figures show it, by a test recomputed from them where there is more than one run",
    "holds in part": "the observation stands; the figure, the test or the reason given with it does not",
    "false": "the published figures, logs or code contradict it",
    "invalid": "what was measured is something else than what is claimed: the scorer or the protocol was at fault",
    "unsupported": "the evidence does not bear on it: a control is missing, or something else changed too",
    "within noise": "the difference is no larger than what seeds alone do, or there is one run of each",
    "unverifiable": "the figures are stated and nothing that shows them was published",
}
"""The closed vocabulary of judgements on published evidence, and what each means."""

Verdict = Literal["holds", "holds in part", "false", "invalid", "unsupported", "within noise", "unverifiable"]
Sign = Literal["lower", "higher", "none", "not lower", "not higher"]


class Retest(FrozenConfig):
    """A contrast of a study here that tests the sign of a claim: an arm, against the baseline or another arm, or an effect."""

    study: str = Field(description="The study's name: its file in studies/, without .toml.")
    arm: str | None = Field(default=None, description='An arm\'s name, such as "qat=on, swa=off".')
    against: str | None = Field(default=None, description="The arm to compare with; the study's baseline unless given.")
    effect: str | None = Field(default=None, description='An effect of the factorial, such as "qat off->on x swa off->on".')
    metric: str = Field(default="primary", description="The primary metric, or a secondary one by its name.")
    expected: Sign = Field(description="What the claim says of the contrast: lower, higher, none, not lower, not higher.")
    differs: str = Field(description="How the re-test differs from what was claimed, besides size of network and text.")

    @model_validator(mode="after")
    def _names_one_contrast(self) -> Self:
        if (self.arm is None) == (self.effect is None) or (self.against is not None and self.arm is None):
            raise ValueError("give `arm` (with `against`, or the study's baseline) or `effect`, and not both")
        return self

    def __str__(self) -> str:
        if self.effect is not None:
            return self.effect
        return f"{self.arm} - {self.against}" if self.against else f"{self.arm} - baseline"


class Claim(FrozenConfig):
    """One claim. Figures stand in the table of published figures (rows whose run is the claim's id), computed ones nowhere."""

    id: str = Field(pattern=r"^\d+-[a-z0-9-]+$", description="The pull request's number and a few words.")
    by: Literal["author", "reviewer"] = Field(default="author", description="Who said it.")
    words: str = Field(description="What is claimed, in our words.")
    source: tuple[str, ...] = Field(min_length=1, description="Where it is said: file and line, of the document's head.")
    verdict: Verdict = Field(description="Our judgement of the published evidence.")
    basis: str = Field(description="What the judgement rests on.")
    recomputed: tuple[Question, ...] = Field(default=(), description="Questions to the published figures, the main one first.")
    retest: tuple[Retest, ...] = Field(default=(), description="Contrasts of studies here that test it.")

    @property
    def pr(self) -> int:
        """The number of the pull request."""
        return int(self.id.split("-")[0])


class Document(FrozenConfig):
    """A source document: a pull request at one commit, and its claims."""

    pr: int
    title: str
    head: str = Field(description="The commit that was read.")
    claim: Annotated[tuple[Claim, ...], Field(min_length=1)]


def read_document(path: Path) -> Document:
    """Return the document in a TOML file; ValueError says what is wrong where."""
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not valid TOML: {error}.") from None
    document = parse_config(Document, data, path.name)
    for claim in document.claim:
        if claim.pr != document.pr:
            raise ValueError(f"{path}: the claim {claim.id} belongs to pull request {claim.pr}, the file to {document.pr}.")
    return document


def read_ledger(folder: Path | None = None) -> tuple[Document, ...]:
    """Return all documents of a folder (None: the shipped ones), by number; ValueError where a claim stands twice."""
    folder = folder or Path(str(resources.files("mulligan.claims")))
    documents = sorted((read_document(path) for path in folder.glob("*.toml")), key=lambda document: document.pr)
    seen: dict[str, Claim] = {}
    for claim in (claim for document in documents for claim in document.claim):
        twin = next((old for old in seen.values() if old.words.casefold() == claim.words.casefold()), None)
        if claim.id in seen or twin is not None:
            raise ValueError(f"The claim {claim.id} stands twice in the ledger, as {(twin or claim).id}. Keep one.")
        seen[claim.id] = claim
    return tuple(documents)
