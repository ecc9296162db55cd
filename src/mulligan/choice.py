"""What a recipe may say: every choice between kinds and every field that is off at first, read from the configs themselves.

Torch-free; `mulligan levers` shows it beside the cards.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from mulligan.core.config import FrozenConfig, configs_of

REQUIRED = "(required)"


@dataclass(frozen=True)
class Choice:
    """One thing that can be written at `path`: a kind with its settings and their defaults, or a field and its off value."""

    path: str
    value: str
    settings: dict[str, Any]
    text: str


def choices(config: type[FrozenConfig], path: str = "") -> Iterator[Choice]:
    """Yield what can be chosen in a config and in the configs below it, in the order of their fields.

    The settings of a kind are told with the kind, and what is merely off is not told.
    """
    for name, info in config.model_fields.items():
        here = f"{path}.{name}" if path else name
        kinds = configs_of(info.annotation)
        extra = info.json_schema_extra
        if not kinds and "kind" not in config.model_fields and isinstance(extra, dict) and "off" in extra:
            literal = get_args(info.annotation) if get_origin(info.annotation) is Literal else ()
            values = ", ".join(str(value) for value in literal if value != extra["off"]) or "a value"
            yield Choice(here, values, {"off": extra["off"]}, "")
        for kind in kinds:
            if "kind" in kind.model_fields and get_args(kind.model_fields["kind"].annotation) != ("off",):
                yield _choice(here, kind)
            yield from choices(kind, here)


def _choice(path: str, kind: type[FrozenConfig]) -> Choice:
    (name,) = get_args(kind.model_fields["kind"].annotation)
    settings = {
        field: REQUIRED if info.is_required() else getattr(info.default, "kind", info.default)
        for field, info in kind.model_fields.items()
        if field not in ("kind", "source")
    }
    return Choice(path, name, settings, " ".join((kind.__doc__ or "").split()))
