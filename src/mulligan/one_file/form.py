"""The one file of a recipe, in three forms: readable, minified, and packed into a file that extracts itself."""

import ast
import base64
import lzma
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, Literal

from mulligan.core.canonical import canonical_json
from mulligan.core.config import FrozenConfig, configs_of
from mulligan.core.user_lever import UserLever, lever_file_of
from mulligan.one_file.collect import reach, write
from mulligan.one_file.facts import Facts
from mulligan.one_file.source import PACKAGE, ROOT, Symbol, add_lever_file, is_ours
from mulligan.pack.config import Auto, PackConfig
from mulligan.recipe import Recipe

ENTRY = Symbol("mulligan.submit.script", "main")
RECIPE = Symbol("mulligan.recipe", "Recipe")
RANGE_CODER, CODECS = Symbol("mulligan.values.tensor_table", "RANGE_CODER"), Symbol("mulligan.values.codec", "CODECS")
Form = Literal["readable", "minified", "packed"]
PLACE = "FORM_OF_THE_CODE"
"""Where a file says which form of the code it is."""

ENDING = '''\
# -------------------- the recipe

{parts}

RECIPE = json.loads(r"""RECIPE_JSON""")

if __name__ == "__main__":
    {entry}({recipe}(**RECIPE), "FORM_OF_THE_CODE")'''
EXTRACTORS = {
    "lzma": 'import base64,lzma\nexec(lzma.decompress(base64.b85decode("%s"),3,None,[{"id":33,"preset":9,"dict_size":1<<20}]))',
    "brotli": 'import base64,brotli\nexec(brotli.decompress(base64.b85decode("%s")))',
}
"""What a packed file says around its text; LZMA without a header, which must be told its settings again."""


@lru_cache(maxsize=8)
def build(recipe: Recipe) -> dict[Form, bytes]:
    """Return the one file of a recipe in every form. ValueError where it cannot run without mulligan."""
    _check(recipe)
    code = write(reach(ENTRY, facts_of(recipe)), ENTRY, ENDING)
    code = code.replace("RECIPE_JSON", canonical_json(recipe.canonical()))
    short = minified(code)
    squeezed = packed(short.replace(PLACE, "packed").encode(), recipe.pack.codec.kind)
    return {
        "readable": code.replace(PLACE, "readable").encode(),
        "minified": short.replace(PLACE, "minified").encode(),
        "packed": squeezed,
    }


def _check(recipe: Recipe) -> None:
    """Raise ValueError for what a folder of shards cannot give."""
    if recipe.evaluate.bytes == "raw":
        raise ValueError('evaluate.bytes = "raw": shards do not hold the raw text. Give evaluate.bytes = "piece".')


def minified(code: str) -> str:
    """Return code without docstrings, comments and annotations, its own names short."""
    import python_minifier

    told: str = python_minifier.minify(code, remove_literal_statements=True, rename_globals=True, preserve_shebang=False)
    return told


def packed(code: bytes, codec: str) -> bytes:
    """Return a file of text that extracts and runs `code`; `codec` of the recipe says whether brotli is there anyway."""
    import brotli

    settings = [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": 1 << 20}]
    squeezed = {"lzma": lzma.compress(code, lzma.FORMAT_RAW, filters=settings)}
    if codec in ("auto", "brotli"):
        squeezed["brotli"] = brotli.compress(code, quality=11, lgwin=24)
    name = min(squeezed, key=lambda name: len(EXTRACTORS[name]) + 1.25 * len(squeezed[name]))
    return (EXTRACTORS[name] % base64.b85encode(squeezed[name]).decode()).encode()


def facts_of(recipe: Recipe) -> Facts:
    """Return what is known of a recipe's configs."""
    parts = list(recipe.parts())
    kinds = frozenset(kind for part in parts if isinstance(kind := getattr(part, "kind", None), str))
    return Facts(_all_configs(), frozenset(type(part) for part in parts), kinds, _fields_of(parts), *_of_codec(recipe.pack))


def _of_codec(pack: PackConfig) -> tuple[frozenset[Symbol], dict[Symbol, frozenset[str]]]:
    """Return which words of codecs there are not, and which codecs are asked for: one codec takes all, `auto` chooses."""
    if isinstance(pack.codec, Auto):
        return frozenset(), {}
    return frozenset([RANGE_CODER]), {CODECS: frozenset([pack.codec.kind])}


def _fields_of(parts: Sequence[FrozenConfig]) -> dict[str, frozenset[Any]]:
    """Return what each field holds, for those names that mean nothing but fields of configs."""
    found: dict[str, set[Any]] = {}
    for part in parts:
        for name, value in vars(part).items():
            found.setdefault(name, set()).add(type(value) if isinstance(value, FrozenConfig) else value)
    import numpy as np
    import torch

    elsewhere = attributes_elsewhere() | set(dir(torch.Tensor)) | set(dir(torch.nn.Module)) | set(dir(np.ndarray))
    return {name: frozenset(values) for name, values in found.items() if name not in elsewhere}


@cache
def attributes_elsewhere() -> frozenset[str]:
    """Return the attributes that classes other than configs define."""
    names: set[str] = set()
    configs = _all_configs()
    for path in PACKAGE.rglob("*.py"):
        module = ".".join([ROOT, *path.relative_to(PACKAGE).with_suffix("").parts])
        for one in ast.parse(path.read_text("utf-8")).body:
            if not isinstance(one, ast.ClassDef) or Symbol(module, one.name) in configs:
                continue
            for node in ast.walk(one):
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                    names.add(node.attr)
                elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                    names.add(node.target.id)
                elif isinstance(node, ast.FunctionDef):
                    names.add(node.name)
    return frozenset(names)


def _all_configs() -> Mapping[Symbol, type[FrozenConfig]]:
    """Return every class of configs that a recipe can hold, and what it extends: the same, whatever else is imported."""
    found: dict[Symbol, type[FrozenConfig]] = {}
    ours = [base for base in UserLever.__subclasses__() if is_ours(base.__module__)]  # what a lever of one's own extends
    waiting: list[type[FrozenConfig]] = [Recipe, *ours]
    while waiting:
        config = waiting.pop()
        symbol = Symbol(config.__module__, config.__qualname__)
        if symbol in found or config is FrozenConfig:
            continue
        file = lever_file_of(config)
        if file is not None:
            add_lever_file(config.__module__, file)
        found[symbol] = config
        waiting += [base for base in config.__mro__ if issubclass(base, FrozenConfig)]
        waiting += [part for info in config.model_fields.values() for part in configs_of(info.annotation)]
    return found
