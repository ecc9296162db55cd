"""Frozen configs: the only schema. Each stage's `config.py` builds its own from these.

`lever_field(default, off=...)` marks the one value at which a field does nothing. `canonical()` omits exactly the
fields that stand at their `off` value, so that a new lever moves no old key; everything else is always written.
"""

import difflib
import re
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
        told = [item for item in error.errors() if not _only_lacks_refused_items(item)]
        raise ValueError("\n".join(_explain(item, kind, where) for item in told)) from None


def _only_lacks_refused_items(item: Any) -> bool:
    """Whether a list is too short only without the items of it that were refused, each of which has an error of its own."""
    return bool(item["type"] == "too_short" and len(item["input"]) >= item["ctx"]["min_length"])


def _explain(item: Any, kind: type[FrozenConfig], where: str) -> str:
    """Return one sentence for one pydantic error: what was given, what is allowed, what to do."""
    there, written = _walk(kind, item["loc"])
    path = ".".join([where, *written] if where else written)
    if item["type"] == "extra_forbidden":
        allowed = [name for config in _walk(kind, item["loc"][:-1])[0] for name in config.model_fields]
        near = difflib.get_close_matches(str(item["loc"][-1]), allowed, n=1, cutoff=0.5)
        meant = f"Did you mean {near[0]!r}? " if near else ""
        return f"{path}: unknown key. {meant}Allowed here: {', '.join(allowed)}."
    if item["type"] == "union_tag_invalid":
        near = difflib.get_close_matches(str(item["ctx"]["tag"]), _kinds(item), n=1, cutoff=0.5)
        meant = f" Did you mean {near[0]!r}?" if near else ""
        is_open = _admits_user_levers(path, ".".join(written))
        own = " A lever of your own is known once its file is given: --lever FILE.py." if is_open else ""
        return f"{path}: unknown kind {item['ctx']['tag']!r}. Allowed: {', '.join(_kinds(item))}.{meant}{own}"
    said = {"missing": "required, and not given", "union_tag_not_found": "no kind given"}.get(item["type"])
    if said is not None:
        return f"{path}: {said}{_such_as('.'.join(written), there, None)}."
    needed = {"tuple_type": "a list", "model_type": "a table", "model_attributes_type": "a table"}.get(item["type"])
    if needed is not None:
        suchlike = _such_as(".".join(written), there, item["input"], is_list=needed == "a list")
        return f"{path} = {item['input']!r}: {needed} is needed there{suchlike}."
    given = "" if isinstance(item["input"], Mapping) else f" = {item['input']!r}"  # of a whole table its path says enough
    return f"{path}{given}: ".removeprefix(": ") + f"{item['msg'].removeprefix('Value error, ')}."


def _admits_user_levers(*paths: str) -> bool:
    """Whether a path of a recipe, places in a list left out, is one that levers of the user's own may join."""
    from mulligan.core.user_lever import UserLever

    joined = {base.path for base in UserLever.__subclasses__()}
    return any(re.sub(r"\.\d+", "", path) in joined for path in paths)


def _such_as(path: str, configs: list[type[FrozenConfig]], given: Any, *, is_list: bool = False) -> str:
    """Return an example of what may be written at `path`, of the kind that was `given` if it is one, and the other kinds."""
    from mulligan.core.example import example_of
    from mulligan.core.toml import inline_toml

    kinds = {kind: config for config in configs for kind in kinds_of(config)}
    near = difflib.get_close_matches(str(given), kinds, n=1, cutoff=0.5)
    chosen = [kinds[name] for name in near] or [config for config in configs if kind_of(config) != "off"]
    for config in chosen:
        example = example_of(config)
        try:
            config.model_validate(example)
        except ValidationError:
            continue  # a whole section of a recipe, which no example holds
        others = f"; kinds: {', '.join(kinds)}" if len(kinds) > 1 else ""
        return f", such as {path}={inline_toml([example] if is_list else example)} (quoted on a command line){others}"
    return ""


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


def kinds_of(config: type[FrozenConfig]) -> tuple[str, ...]:
    """Return the words that may stand behind `kind` for a config; empty for one that is no choice between kinds."""
    info = config.model_fields.get("kind")
    return get_args(info.annotation) if info is not None else ()


def kind_of(config: type[FrozenConfig]) -> str | None:
    """Return the first of these words."""
    return next(iter(kinds_of(config)), None)


def _walk(kind: type[FrozenConfig], loc: tuple[int | str, ...]) -> tuple[list[type[FrozenConfig]], list[str]]:
    """Follow a pydantic location; return the config classes there and the path as the user wrote it (no union tags)."""
    here, may_be_tag = [kind], False
    written: list[str] = []
    for part in loc:
        tagged = [config for config in here if part in kinds_of(config)] if may_be_tag else []
        if tagged:
            here, may_be_tag = tagged, False
            continue
        written.append(str(part))
        if isinstance(part, str):
            info = here[0].model_fields.get(part) if len(here) == 1 else None
            here, may_be_tag = configs_of(info.annotation) if info is not None else [], True
    return here, written
