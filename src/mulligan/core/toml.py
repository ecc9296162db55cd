"""Values as TOML on one line: what can be pasted behind `--set path=`."""

import json
from typing import Any


def inline_toml(value: Any) -> str:
    """Return plain data (tables, lists, numbers, text) as TOML on one line; what is None is left out of its table."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {inline_toml(item)}" for name, item in value.items() if item is not None) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(inline_toml(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)
