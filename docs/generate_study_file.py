"""Write docs/study-file.md from the models of `mulligan.study.config`; with --check, say whether it is up to date."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from mulligan.core.config import FrozenConfig, configs_of, kinds_of, members_of
from mulligan.core.toml import inline_toml
from mulligan.study.config import StudyConfig

PAGE = Path(__file__).parent / "study-file.md"
WORDS = {str: "text", int: "integer", float: "number"}
PLURALS = {str: "texts", int: "integers", Any: "values"}
LIMITS = {"ge": "at least", "gt": "above", "lt": "below", "le": "at most", "min_length": "entries: at least"}
HEAD = """# The study file

Generated from the configs by `docs/generate_study_file.py`; do not edit.

A study is one question in one TOML file: `mulligan study plan FILE`, then `run`, `status`, `report`. An arm is a combination
of levels; every arm's recipe is `recipe` with `changes`, then with what its levels say. Paths are those of `--set` and of
`mulligan recipe show` (`"train.budget.steps"`, quoted, since a path has dots). An example, whole:

```toml
question = "Does late QAT help, once the weights are packed?"
phase = "explore"
design = {kind = "sweep"}
budget = {kind = "steps"}
metric = {point = "quantized", windows = "sliding"}
secondary = [
    {kind = "score", name = "before quantization", of = {point = "averaged", windows = "sliding"}},
    {kind = "payload-bytes"},
]
margin_bpb = 0.002

[factors.qat.levels]                               # the baseline first
off = {"train.fake_quantize" = {kind = "off"}}
on = {"train.fake_quantize" = {kind = "parameter-swap", start = {kind = "lr-scale-below", value = 0.7}}}

[scale.tiny]                                       # the first scale is the one that runs without --scale
recipe = "tiny"
seeds = [0, 1, 2]
[scale.tiny.changes]                               # made to the recipe in every arm
"train.budget.steps" = 100
"train.warmdown.steps" = 50

[scale.larger]
recipe = "small"                                   # asks for --data DIR
seeds = [0, 1, 2, 3, 4]
```

`[scale.NAME]` may hold every key below; what it holds takes the place of the file's own, tables entry by entry. `--scale NAME`
chooses; a file without scales is one. `--set path=value` adds to `changes`. The study's hash, under which its result is kept,
covers all of it, the recipes of the arms, the corpus and the weights. A choice says its `kind`: `design = {kind = "sweep"}`.
"""


def main() -> None:
    """Write the page, or exit with 1 when it differs from what would be written."""
    text = HEAD + "\n".join(_sections()) + "\n"
    if "--check" not in sys.argv:
        PAGE.write_text(text, "utf-8")
    elif not PAGE.is_file() or PAGE.read_text("utf-8") != text:
        sys.exit("docs/study-file.md differs from the configs; run `python docs/generate_study_file.py`.")


def _sections() -> Iterator[str]:
    yield from ["", "## Keys", "", *_table(StudyConfig)]
    for name, info in StudyConfig.model_fields.items():
        for config in configs_of(info.annotation):
            kinds = " or ".join(f'"{kind}"' for kind in kinds_of(config))
            title = ("factors.NAME" if name == "factors" else name) + (f": kind = {kinds}" if kinds else "")
            yield from ["", f"## `{title}`", "", " ".join((config.__doc__ or "").split())]
            yield from ["", *_table(config)] if config.model_fields.keys() - {"kind"} else []


def _table(config: type[FrozenConfig]) -> list[str]:
    fields = {name: info for name, info in config.model_fields.items() if name != "kind"}
    rows = [f"| `{name}` | {_type(info)} | {_default(info)} | {info.description} |" for name, info in fields.items()]
    return ["| key | type | default | what it is |", "|---|---|---|---|", *rows]


def _type(info: FieldInfo) -> str:
    """Return a field's type and limits in words."""
    words = " or ".join(dict.fromkeys(_words(info.annotation)))
    limits = [f"{sign} {getattr(item, name)}" for item in info.metadata for name, sign in LIMITS.items() if hasattr(item, name)]
    return ", ".join([words, *limits])


def _words(annotation: Any) -> Iterator[str]:
    if get_origin(annotation) is tuple:
        item = get_args(annotation)[0]
        yield "list of " + ("tables" if configs_of(item) else PLURALS[item])
    elif get_origin(annotation) is dict:
        yield "table"
    else:
        for member in members_of(annotation):
            if get_origin(member) is Literal:
                yield from (f"`{inline_toml(word)}`" for word in get_args(member))
            elif member in WORDS:
                yield WORDS[member]
            elif configs_of(member):
                yield "table"


def _default(info: FieldInfo) -> str:
    value = info.get_default(call_default_factory=True)
    return "(required)" if info.is_required() else "" if value in (None, (), {}, "") else f"`{inline_toml(value)}`"


if __name__ == "__main__":
    main()
