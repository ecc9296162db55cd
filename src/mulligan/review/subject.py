"""What a rule is given: the folder, its Python in every layer, and what could not be read of it."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mulligan.review.flow.settings import settings_of
from mulligan.review.flow.trace import Trace, trace
from mulligan.script.read import read_script
from mulligan.script.source import Problem, Source
from mulligan.submit.submitted import Submitted


@dataclass(frozen=True)
class Subject:
    """`entry`: the script that is run, relative to the folder, empty where there is none. `sources`: its layers, then those of
    the files of the folder that it reaches. `problems`: what was not read, and why.
    """

    folder: Submitted
    entry: str
    sources: tuple[Source, ...]
    problems: tuple[Problem, ...]

    @classmethod
    def read(cls, path: Path) -> "Subject":
        """Read a submission's folder, or one script with what lies beside it; OSError where nothing is there."""
        found = read_script(path)
        return cls(Submitted(found.folder), found.entry, found.sources, found.problems)

    @cached_property
    def trace(self) -> Trace:
        """What flows where in the script, with the settings that the folder tells."""
        return trace(self.entry, self.sources, settings_of(self.folder.folder))
