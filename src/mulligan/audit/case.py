"""A reading of a run as another process can take it again: config, artifact, corpus, in plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from mulligan.core.config import parse_config
from mulligan.core.execution import Execution
from mulligan.engine.job import Job, folder_of
from mulligan.engine.stage_runner import make_scoring, read_weights, temperature_of
from mulligan.evaluate.config import EvaluateConfig
from mulligan.evaluate.stage import Scoring
from mulligan.lever_file import load_lever_file, loaded_files
from mulligan.numerics.config import GridConfig
from mulligan.store.store import Store
from mulligan.values.byte_table import IntArray
from mulligan.values.corpus import Corpus

SHARES = (2.5, 0.3, 1.25, 0.55)
"""Lengths of the passage's first documents in contexts: within a window and over several. Those after them are whole."""
NUM_WINDOWS = 4
NUM_CHUNKS = 2.5
FEWEST_POSITIONS = 200


@dataclass(frozen=True)
class Case:
    """`settings` are those of the evaluate job; its windows are number `window` of the config's."""

    config: EvaluateConfig
    settings: Mapping[str, Any]
    weights: Path
    corpus: Path
    device: str
    num_threads: int
    levers: tuple[Path, ...]
    temperature: float | None

    @classmethod
    def of_job(cls, job: Job, store: Store, corpus: Path, device: str, num_threads: int, artifact: Path | None = None) -> Self:
        """Return the case of an evaluate job that reads an artifact: the stored one, or another file."""
        assert isinstance(job.config, EvaluateConfig)
        artifact = artifact or folder_of(job.sources["weights"], store) / "artifact.bin"
        levers = tuple(loaded_files())
        return cls(job.config, job.settings, artifact, corpus, device, num_threads, levers, temperature_of(job, store))

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        kept = {name: value for name, value in self.settings.items() if name != "model"}
        settings = {**kept, "windows": self.config.windows.index(self.settings["windows"])}
        if "grid" in settings:
            settings["grid"] = settings["grid"].model_dump(mode="json")
        paths = {"weights": str(self.weights.resolve()), "corpus": str(self.corpus.resolve())}
        rest = {"device": self.device, "num_threads": self.num_threads, "temperature": self.temperature}
        levers = [str(file.resolve()) for file in self.levers]
        return {"config": self.config.model_dump(mode="json"), "settings": settings, "levers": levers, **paths, **rest}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return what `to_json` wrote; loads the user's own levers."""
        levers = tuple(Path(file) for file in data["levers"])
        for file in levers:
            load_lever_file(file)
        config = parse_config(EvaluateConfig, data["config"], "evaluate")
        settings = {**data["settings"], "windows": config.windows[data["settings"]["windows"]]}
        if "grid" in settings:
            settings["grid"] = parse_config(GridConfig, settings["grid"], "grid")
        paths = Path(data["weights"]), Path(data["corpus"])
        return cls(config, settings, *paths, data["device"], data["num_threads"], levers, data["temperature"])

    def at(self, corpus: Path) -> Self:
        """Return the case on a copy of its corpus."""
        return replace(self, corpus=corpus)

    @property
    def lengths(self) -> tuple[int, ...]:
        """The lengths of windows and chunks of adaptation."""
        chunk = getattr(getattr(self.config, "adaptation", None), "chunk_tokens", None)
        return (self.settings["windows"].context_len, *([chunk] if chunk and self.settings["point"] == "adapted" else []))

    def scoring(self, execution: Execution) -> Scoring:
        """Return the scoring; the weights are unpacked from the artifact's bytes."""
        weights, corpus = read_weights(self.weights), Corpus.load(self.corpus)
        return make_scoring(self.config, self.settings, weights, corpus, execution, self.temperature)

    def passage(self) -> tuple[IntArray, IntArray]:
        """Return the tokens of the passage to judge on and where its documents begin: the first documents.

        Four contexts or two and a half chunks, whatever is more (or all there is). The first ones are cut, so that some fit a
        window and others take several.
        """
        corpus = Corpus.load(self.corpus)
        context_len = self.lengths[0]
        wanted = int(max(FEWEST_POSITIONS, NUM_WINDOWS * context_len, *(NUM_CHUNKS * length for length in self.lengths)))
        stream, documents = corpus.tokens("validation"), corpus.documents("validation")
        parts: list[IntArray] = []
        for i, (start, length) in enumerate(zip(documents.starts.tolist(), documents.num_tokens.tolist(), strict=True)):
            longest = max(4, int(SHARES[i] * context_len)) if i < len(SHARES) else length
            parts.append(stream.read(start, start + min(length, longest)))
            if sum(map(len, parts)) >= wanted:
                break
        starts = np.cumsum([0, *(len(part) for part in parts)])
        return np.concatenate([*parts, [corpus.bos]]), starts[:-1]
