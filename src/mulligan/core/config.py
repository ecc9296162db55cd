"""Frozen configs: the only schema. Each stage's `config.py` builds its own from these.

`lever_field(default, off=...)` marks the one value at which a field does nothing. `canonical()` omits exactly the
fields that stand at their `off` value, so that a new lever moves no old key; everything else is always written.
"""

import difflib
from collections.abc import Mapping
from typing import Any, Literal, Self, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mulligan.core.canonical import Json, to_json

ConfigT = TypeVar("ConfigT", bound="FrozenConfig")


def lever_field(default: Any, *, off: Any, **constraints: Any) -> Any:
    """Return a pydantic field whose value `off` means "does nothing" and is left out of every key."""
    return Field(default, json_schema_extra={"off": to_json(off)}, **constraints)


class FrozenConfig(BaseModel):
    """An immutable config: keyword-only, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _lists_are_tuples(cls, data: Any) -> Any:
        """Let TOML and JSON give lists for tuples; nothing else is converted: `true` is no number of steps."""
        if not isinstance(data, Mapping):
            return data
        return {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}

    def canonical(self) -> dict[str, Json]:
        """Return the config as plain JSON data without the fields that stand at their `off` value."""
        data: dict[str, Json] = {}
        for name, info in type(self).model_fields.items():
            value = _canonical_value(getattr(self, name))
            extra = info.json_schema_extra
            if isinstance(extra, dict) and "off" in extra and value == extra["off"]:
                continue
            data[name] = value
        return data

    def replace(self, **changes: Any) -> Self:
        """Return a copy with `changes` applied and validated."""
        return type(self).model_validate({**dict(self), **changes})


def _canonical_value(value: object) -> Json:
    if isinstance(value, FrozenConfig):
        return value.canonical()
    if isinstance(value, tuple | list):
        return [_canonical_value(item) for item in value]
    if isinstance(value, Mapping):
        return {str(name): _canonical_value(item) for name, item in value.items()}
    return to_json(value)


def parse_config(kind: type[ConfigT], data: object, where: str) -> ConfigT:
    """Validate `data` as `kind`; a ValueError says what was given where, what is allowed, and which key was meant."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise ValueError("\n".join(_explain(item, kind, where) for item in error.errors())) from None


def _explain(item: Any, kind: type[FrozenConfig], where: str) -> str:
    """Return one sentence for one pydantic error: what was given, what is allowed, what to do."""
    path = ".".join([where, *_written_path(kind, item["loc"])]) if where else ".".join(_written_path(kind, item["loc"]))
    if item["type"] == "extra_forbidden":
        allowed = _field_names(kind, item["loc"][:-1])
        near = difflib.get_close_matches(str(item["loc"][-1]), allowed, n=1, cutoff=0.5)
        meant = f"Did you mean {near[0]!r}? " if near else ""
        return f"{path}: unknown key. {meant}Allowed here: {', '.join(allowed)}."
    if item["type"] == "union_tag_invalid":
        near = difflib.get_close_matches(str(item["ctx"]["tag"]), _kinds(item), n=1, cutoff=0.5)
        meant = f" Did you mean {near[0]!r}?" if near else ""
        own = " A lever of your own is known once its file is given: --lever FILE.py."
        return f"{path}: unknown kind {item['ctx']['tag']!r}. Allowed: {', '.join(_kinds(item))}.{meant}{own}"
    if item["type"] == "union_tag_not_found":
        return f'{path}: no kind given. Write kind = "..." there; `mulligan levers` lists the kinds.'
    if item["type"] == "missing":
        return f"{path}: required, and not given."
    return f"{path} = {item['input']!r}: {item['msg'].removeprefix('Value error, ')}."


def _kinds(item: Any) -> list[str]:
    return [tag.strip().strip("'") for tag in item["ctx"]["expected_tags"].split(",")]


def members_of(annotation: Any) -> list[Any]:
    """Return what is behind an annotation: the members of a union, the element type of a tuple, or itself."""
    arguments = [argument for argument in get_args(annotation) if argument is not Ellipsis]
    if not arguments or get_origin(annotation) is Literal:
        return [annotation]
    return [member for argument in arguments for member in members_of(argument)]


def configs_of(annotation: Any) -> list[type[FrozenConfig]]:
    """Return the config classes behind an annotation."""
    return [member for member in members_of(annotation) if isinstance(member, type) and issubclass(member, FrozenConfig)]


def kind_of(config: type[FrozenConfig]) -> str | None:
    """Return the word that stands behind `kind` in a recipe; None for a config that is no choice between kinds."""
    info = config.model_fields.get("kind")
    words = get_args(info.annotation) if info is not None else ()
    return str(words[0]) if len(words) == 1 else None


def _walk(kind: type[FrozenConfig], loc: tuple[int | str, ...]) -> tuple[type[FrozenConfig] | None, list[str]]:
    """Follow a pydantic location; return the config class there and the path as the user wrote it (no union tags)."""
    here: type[FrozenConfig] | None = kind
    candidates: list[type[FrozenConfig]] = []
    written: list[str] = []
    for part in loc:
        tagged = [member for member in candidates if part in get_args(member.model_fields["kind"].annotation)]
        if tagged:
            here, candidates = tagged[0], []
            continue
        written.append(str(part))
        if isinstance(part, int):
            continue
        info = here.model_fields.get(part) if here is not None else None
        configs = configs_of(info.annotation) if info is not None else []
        candidates = [member for member in configs if "kind" in member.model_fields]
        here = configs[0] if len(configs) == 1 else None
    return here, written


def _written_path(kind: type[FrozenConfig], loc: tuple[int | str, ...]) -> list[str]:
    return _walk(kind, loc)[1]


def _field_names(kind: type[FrozenConfig], loc: tuple[int | str, ...]) -> list[str]:
    here, _ = _walk(kind, loc)
    return list(here.model_fields) if here is not None else []
