"""Configs without a library: what stands in the one file in place of the frozen configs.

A recipe that is built into a script was validated when it was built; here its values are only held and written.
"""

from collections.abc import Mapping
from typing import Any, Self

from mulligan.core.canonical import Json, to_json


class PlainConfig:
    """Holds the values of one config. `DEFAULTS`: values that may be left out. `OFF`: values that `canonical` leaves out.

    `PARTS`: the class of a field that holds a config, or a class for each word of its kind.
    """

    DEFAULTS: Mapping[str, Any] = {}
    OFF: Mapping[str, Any] = {}
    PARTS: Mapping[str, Any] = {}

    def __init__(self, **values: Any) -> None:
        vars(self).update({name: self._part(name, value) for name, value in {**self.OFF, **self.DEFAULTS, **values}.items()})

    def _part(self, name: str, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return tuple(self._part(name, item) for item in value)
        classes = self.PARTS.get(name)
        if isinstance(value, dict) and classes is not None:
            return (classes[value["kind"]] if isinstance(classes, dict) else classes)(**value)
        return value

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(tuple(vars(self).items()))

    def canonical(self) -> dict[str, Json]:
        """Return the config as plain JSON data without the fields that stand at their `off` value."""
        data = {name: _canonical_value(value) for name, value in vars(self).items()}
        return {name: value for name, value in data.items() if name not in self.OFF or value != self.OFF[name]}

    def replace(self, **changes: Any) -> Self:
        """Return a copy with `changes` applied."""
        return type(self)(**{**vars(self), **changes})


def _canonical_value(value: object) -> Json:
    if isinstance(value, PlainConfig):
        return value.canonical()
    if isinstance(value, tuple | list):
        return [_canonical_value(item) for item in value]
    return to_json(value)


def parse_config(kind: type[Any], data: Mapping[str, Any], where: str) -> Any:  # noqa: ARG001
    """Return `data` as a config of a class; it was validated before."""
    return kind(**data)
