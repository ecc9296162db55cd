"""A recipe: one frozen config per stage, read from TOML; the whole identity of an experiment but its seed.

Cross-stage checks live here alone. `load_recipe` takes a shipped name or a path, applies `--set path=value` changes, and
answers an unknown key with the key that was meant. Torch-free: planning must not wait for it.
"""

import copy
import difflib
import functools
import itertools
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from mulligan.average.config import AverageConfig
from mulligan.core.canonical import Json
from mulligan.core.config import FrozenConfig, lever_field, parse_config
from mulligan.core.difference import difference, flatten
from mulligan.core.toml import inline_toml
from mulligan.data.config import DataConfig, EmbeddedData
from mulligan.evaluate.config import AsTrained, EvaluateConfig
from mulligan.model.config import ModelConfig
from mulligan.model.kind import AttentionWindow, Ntk, Rope
from mulligan.numerics.config import GridConfig
from mulligan.pack.config import PackConfig
from mulligan.pack.knob import TURNABLE, FitConfig, Number
from mulligan.quantize.config import QuantizeConfig
from mulligan.train.config import TrainConfig


class Recipe(FrozenConfig):
    """What every stage does. No key knows `budget_bytes` (decimal), which judges artifact and code, `code_form` and `fit`."""

    data: DataConfig
    model: ModelConfig
    grid: GridConfig
    train: TrainConfig
    average: AverageConfig
    quantize: QuantizeConfig
    pack: PackConfig
    evaluate: EvaluateConfig
    budget_bytes: int = Field(default=16_000_000, ge=1)
    code_form: Literal["packed", "minified", "readable"] = lever_field("packed", off="packed")
    fit: FitConfig | None = lever_field(None, off=None)

    @model_validator(mode="after")
    def _head_has_a_learning_rate(self) -> Self:
        tied, given = self.model.embedding.kind == "tied", self.train.optimizer.head_lr
        if tied and given is not None:
            raise ValueError("train.optimizer.head_lr is given, but model.embedding is tied: there is no head. Remove it")
        if not tied and given is None:
            raise ValueError("model.embedding is untied, so train.optimizer.head_lr is needed; give one, such as 0.008")
        return self

    @model_validator(mode="after")
    def _a_recurrence_that_starts_is_there(self) -> Self:
        if self.train.recurrence_start is not None and self.model.recurrence.kind == "off":
            raise ValueError("train.recurrence_start is given, but model.recurrence is off: nothing starts. Remove it")
        return self

    @model_validator(mode="after")
    def _attention_windows_act(self) -> Self:
        scored = max(windows.context_len for windows in self.evaluate.windows)
        for name, window, longest in (
            ("model", self.model.attention_window, max(scored, self.train.seq_len)),
            ("evaluate", self.evaluate.attention_window, scored),
        ):
            if not isinstance(window, AttentionWindow):
                continue
            if window.tokens >= longest:
                raise ValueError(
                    f"{name}.attention_window.tokens = {window.tokens}, and no context is longer than {longest}: it acts "
                    "nowhere. Give fewer tokens"
                )
            if window.layers is not None and max(window.layers) >= self.model.num_layers:
                raise ValueError(
                    f"{name}.attention_window.layers = {list(window.layers)}: layers are 0 to {self.model.num_layers - 1}"
                )
        return self

    @model_validator(mode="after")
    def _the_extension_at_evaluation_acts(self) -> Self:
        extension, positions = self.evaluate.position_extension, self.model.positions
        if isinstance(extension, AsTrained):
            return self
        if not isinstance(positions, Rope):
            raise ValueError(
                f"evaluate.position_extension = {extension.kind!r} stretches rotary positions, and model.positions is "
                f"{positions.kind!r}: leave it out, or give model.positions = rope"
            )
        changed = {**self.model.canonical(), "positions": {**positions.canonical(), "extension": extension.canonical()}}
        parse_config(ModelConfig, changed, "evaluate.position_extension: model")
        longest = max(windows.context_len for windows in self.evaluate.windows)
        if isinstance(extension, Ntk) and extension.from_len >= longest:
            raise ValueError(
                f"evaluate.position_extension.from_len = {extension.from_len}, and no context of evaluate.windows is longer "
                f"than {longest}: it acts nowhere. Give the length trained at, or longer windows"
            )
        return self

    @model_validator(mode="after")
    def _vocabularies_agree(self) -> Self:
        if isinstance(self.data, EmbeddedData) and self.data.vocab_size != self.model.vocab_size:
            raise ValueError(
                f"data.vocab_size = {self.data.vocab_size} and model.vocab_size = {self.model.vocab_size}; give both the same"
            )
        return self

    @model_validator(mode="after")
    def _the_knob_turns_something(self) -> Self:
        if self.fit is None:
            return self
        if self.fit.budget_bytes > self.budget_bytes:
            raise ValueError(
                f"fit.budget_bytes = {self.fit.budget_bytes:,} is more than budget_bytes = {self.budget_bytes:,}: what it "
                "finds would be over budget"
            )
        leaves = flatten(self.model_dump(mode="json"))
        for path in self.fit.knob.paths:
            if path not in leaves:
                near = difflib.get_close_matches(path, [leaf for leaf in leaves if leaf.startswith(TURNABLE)], n=3)
                raise ValueError(
                    f"fit.knob turns {path!r}, which this recipe does not set. Nearest: {', '.join(near) or 'none'}. "
                    'A clip is there to be turned once its family has scale = {kind = "standard-deviations", k = 12.0}'
                )
            if isinstance(self.fit.knob, Number) and not isinstance(leaves[path], float):
                raise ValueError(
                    f"fit.knob turns {path!r} as a number between bounds, and the recipe has {leaves[path]!r} there, which "
                    f'counts or names. Give {{kind = "choice", settings = [{{path = "{path}", values = [...]}}]}}'
                )
            if path.startswith("grid.") and self.train.fake_quantize.kind != "off":
                raise ValueError(
                    f"fit.knob turns {path!r}, and train.fake_quantize trains for that grid: each setting would be trained "
                    "anew. Turn what comes after it, such as quantize.prune.fraction"
                )
        for path, values in self.fit.knob.extremes.items():
            for value in values:
                self.turned({path: value})
        return self

    def parts(self) -> Iterator[FrozenConfig]:
        """Yield every config in the recipe, itself first."""
        waiting: list[object] = [self]
        while waiting:
            part = waiting.pop()
            if isinstance(part, FrozenConfig):
                yield part
            waiting += vars(part).values() if isinstance(part, FrozenConfig) else part if isinstance(part, tuple) else ()

    def turned(self, values: Mapping[str, int | float | str]) -> "Recipe":
        """Return the recipe without `fit`, judged by the budget of its fit, with these values at these dotted paths."""
        data = self.model_dump(mode="json", exclude={"fit"})
        data["budget_bytes"] = self.fit.budget_bytes if self.fit else self.budget_bytes
        for path, value in values.items():
            set_value(data, path, value, f"fit.knob {path} = {value}")
        return parse_config(Recipe, data, "")

    def diff(self, other: "Recipe") -> dict[str, tuple[Json, Json]]:
        """Return {dotted path: (here, there)} for every value in which the two recipes differ; see `core.difference`."""
        return difference(self.model_dump(mode="json"), other.model_dump(mode="json"))


def shipped_recipes() -> dict[str, str]:
    """Return {name: TOML text} of the recipes that ship with the package."""
    folder = resources.files("mulligan.recipes")
    found = {
        path.name.removesuffix(".toml"): path.read_text("utf-8") for path in folder.iterdir() if path.name.endswith(".toml")
    }
    return dict(sorted(found.items()))


def load_recipe(name_or_path: str, changes: Sequence[str] = ()) -> Recipe:
    """Return the shipped recipe of that name, or the one in that TOML file, with `path=value` changes applied."""
    data = recipe_data(name_or_path)
    for change in changes:
        apply_change(data, change)
    return parse_config(Recipe, data, "")


def recipe_data(name_or_path: str) -> dict[str, Any]:
    """Return the TOML data of the shipped recipe of that name, or of that file; not yet validated."""
    return copy.deepcopy(_parsed(_text_of(name_or_path), name_or_path))


def recipe_comment(name_or_path: str) -> str:
    """Return the comment at the head of a recipe: what it is, and what it does otherwise on purpose."""
    lines = itertools.takewhile(lambda line: line.startswith("#"), _text_of(name_or_path).splitlines())
    return "\n".join(line.removeprefix("#").strip() for line in lines)


def _text_of(name_or_path: str) -> str:
    path = Path(name_or_path)
    if path.suffix == ".toml":
        if not path.is_file():
            raise ValueError(
                f"{path}: no such recipe file. Give a path to a .toml file or one of: {', '.join(shipped_recipes())}."
            )
        return _read(path)
    return _shipped(name_or_path)


@functools.cache
def _parsed(text: str, name_or_path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{name_or_path}: not valid TOML: {error}.") from None


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start}). Save the file as UTF-8.") from None


def _shipped(name: str) -> str:
    recipes = shipped_recipes()
    if name not in recipes:
        near = difflib.get_close_matches(name, recipes, n=1)
        meant = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"No recipe is called {name!r}.{meant} Shipped: {', '.join(recipes)}; or give a path to a .toml file.")
    return recipes[name]


def apply_change(data: dict[str, Any], change: str) -> None:
    """Apply one `path=value` to nested TOML data."""
    path, value = parse_change(change)
    set_value(data, path, value, f"--set {change}")


def parse_change(change: str) -> tuple[str, Any]:
    """Return the path and the value of `path=value`; the value is TOML (`0.2`, `"ema"`, `{kind = "last"}`) or a bare word."""
    path, equals, text = change.partition("=")
    if not equals or not path.strip():
        raise ValueError(f"--set {change}: not of the form path=value, such as --set train.budget.steps=100.")
    return path.strip(), _value(text.strip())


def set_value(data: dict[str, Any], path: str, value: Any, where: str) -> None:
    """Set the value at a dotted path of nested TOML data; `where` names the change in errors.

    Another `kind` starts its table anew: after `average.kind=ema`, give `average.decay` as the new kind asks for it.
    """
    here: Any = data
    value = copy.deepcopy(value)  # else a later change below `path` would reach into the caller's own table
    *parents, last = path.split(".")
    for i, part in enumerate(parents):
        here = _child(here, part, f"{where}: {'.'.join(parents[: i + 1])}")
    if isinstance(here, list):
        here[_index(here, last, f"{where}: {path}")] = value
    elif isinstance(here, dict):
        if last == "kind" and here.get("kind") != value:
            here.clear()  # the settings of one kind mean nothing to another
        here[last] = value
    else:
        raise ValueError(f"{where}: {'.'.join(parents)} is {here!r}, which has no keys.")


def _child(here: Any, part: str, where: str) -> Any:
    if isinstance(here, list):
        return here[_index(here, part, where)]
    if not isinstance(here, dict):
        raise ValueError(f"{where} is not a table.")
    return here.setdefault(part, {})


def _index(here: list[Any], part: str, where: str) -> int:
    if not part.isdigit() or int(part) >= len(here):
        raise ValueError(f"{where}: the list has the items 0 to {len(here) - 1}; give one of these numbers.")
    return int(part)


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def to_toml(recipe: Recipe) -> str:
    """Return the recipe as TOML, fully resolved, one `path = value` table per config; what is not set stands in comments."""
    lines: list[str] = []
    _write_table(recipe.model_dump(mode="json"), "", lines)
    return "\n".join(lines).strip() + "\n"


def _write_table(table: dict[str, Any], prefix: str, lines: list[str]) -> None:
    plain = {name: value for name, value in table.items() if not isinstance(value, dict) and value is not None}
    unset = [name for name, value in table.items() if value is None]
    if prefix and (plain or unset or not table):
        lines += ["", f"[{prefix}]"]
    lines += [f"{name} = {_written(value)}" for name, value in plain.items()]
    lines += [f"# not set: {', '.join(unset)}"] if unset else []
    for name, value in table.items():
        if isinstance(value, dict):
            _write_table(value, f"{prefix}.{name}" if prefix else name, lines)


def _written(value: Any) -> str:
    """Return a value as TOML; a list of tables has a line for each."""
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return "[\n" + "".join(f"    {inline_toml(item)},\n" for item in value) + "]"
    return inline_toml(value)
