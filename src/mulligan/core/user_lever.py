"""What a lever in a file of the user's own has in common with the shipped ones, and the one thing more: its file's digest.

The digest is a field, so that it is in every key and in every artifact: an edited lever is another lever.
"""

import sys
from pathlib import Path
from typing import Any, ClassVar

from pydantic import model_validator

from mulligan.core.config import FrozenConfig


class UserLever(FrozenConfig):
    """A kind that joins a choice of the recipe once its file is loaded. Subclass the one of a stage, not this.

    `path`: the choice it joins; `gives`: the method that it must define; `example`: settings with which it is tried by
    `mulligan levers check`, beside its kind.
    """

    path: ClassVar[str] = ""
    gives: ClassVar[str] = ""
    example: ClassVar[dict[str, Any]] = {}
    file_digest: ClassVar[str] = ""

    source: str = ""

    @model_validator(mode="before")
    @classmethod
    def _is_of_its_file(cls, data: Any) -> Any:
        given = data.get("source") if isinstance(data, dict) else None
        if given is not None and given != cls.file_digest:
            raise ValueError(
                f"made with another version of the lever's file (digest {given}, and the loaded file's is {cls.file_digest}); "
                "load that version, or make it again"
            )
        return {**data, "source": cls.file_digest} if isinstance(data, dict) else data


def lever_file_of(config: type[FrozenConfig]) -> Path | None:
    """Return the file of the user's own that a class of configs comes from; None for ours."""
    file = getattr(sys.modules.get(config.__module__), "__file__", None)
    return Path(file) if issubclass(config, UserLever) and file and config.__module__.split(".")[0] != "mulligan" else None
