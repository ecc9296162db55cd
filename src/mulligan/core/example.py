"""Examples of configs, read from their fields: what a person would have to write, and nothing that has a default.

A required number or text says `examples=[...]` in its field; kinds and choices of words need no example of their own.
"""

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from mulligan.core.config import FrozenConfig, kind_of, members_of


def example_of(config: type[FrozenConfig]) -> dict[str, Any]:
    """Return a table with which a config can be written: its kind first, then each setting that is required."""
    kind = kind_of(config)
    found: dict[str, Any] = {} if kind is None else {"kind": kind}
    own = getattr(config, "example", None)  # a lever of the user's own says how it may be tried
    if own:
        return {**found, **own}
    for name, info in config.model_fields.items():
        if name != "kind" and (info.examples or info.is_required()):
            values = list(examples_of(info))
            found |= {name: values[0]} if values else {}
    return found


def examples_of(info: FieldInfo) -> Iterator[Any]:
    """Yield what a field may hold: its own `examples`, else each of its words or kinds that is not off; perhaps nothing."""
    if info.examples:
        yield from info.examples
        return
    extra = info.json_schema_extra
    off = extra.get("off") if isinstance(extra, dict) else None
    is_list = get_origin(info.annotation) is tuple
    for member in members_of(info.annotation):
        if get_origin(member) is Literal:
            yield from (word for word in get_args(member) if word != off)
        elif member is bool:
            yield off is not True
        elif isinstance(member, type) and issubclass(member, FrozenConfig) and kind_of(member) != "off":
            yield [example_of(member)] if is_list else example_of(member)
