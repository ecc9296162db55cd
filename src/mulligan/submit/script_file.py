"""A train_gpt.py as it lies in a folder, read and never run: its source in every layer, the recipe in it, what it imports.

A packed script carries its source as a literal: text (base 85, base 64) or bytes, compressed. Each literal is tried with each
codec, at most `MOST_BYTES` come out, and only what parses as Python counts.
"""

import ast
import base64
import bz2
import hashlib
import json
import lzma
import sys
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECTIONS = frozenset({"data", "model", "grid", "train", "average", "quantize", "pack", "evaluate"})
"""What the table of a recipe has at least."""
MOST_BYTES = 16 << 20
MOST_LAYERS = 4
FEWEST_PACKED = 64
"""Literals that are shorter hold no script."""

RAW_FILTERS: tuple[dict[str, Any], ...] = tuple(
    {"id": kind, "preset": preset} for kind in (lzma.FILTER_LZMA2, lzma.FILTER_LZMA1) for preset in (9 | lzma.PRESET_EXTREME, 6)
)


@dataclass(frozen=True)
class ScriptFile:
    """`trees`: the file's syntax, then that of each source packed in it. `error`: why it does not parse, None if it does.

    `newer`: it may parse on a later Python than this one.
    """

    path: Path
    num_bytes: int
    sha256: str
    trees: tuple[ast.Module, ...]
    error: str | None
    newer: bool = False

    @classmethod
    def read(cls, path: Path) -> "ScriptFile":
        """Read a script; OSError where it is not there."""
        data = path.read_bytes()
        trees: tuple[ast.Module, ...] = ()
        error, newer = None, False
        try:
            trees = tuple(_layers(_parsed(data), MOST_LAYERS))
        except (SyntaxError, ValueError, RecursionError) as problem:
            line = f" (line {problem.lineno})" if isinstance(problem, SyntaxError) else ""
            error = f"{getattr(problem, 'msg', problem)}{line}"
            newer = sys.version_info < (3, 12) and "f-string" in error
        return cls(path, len(data), hashlib.sha256(data).hexdigest(), trees, error, newer)

    @property
    def is_packed(self) -> bool:
        """Whether a further source was found inside."""
        return len(self.trees) > 1

    @property
    def recipe(self) -> dict[str, Any] | None:
        """The recipe that the script holds as a literal of JSON, wherever it stands; None where there is none."""
        for tree in self.trees:
            for text in _literals(tree, str):
                if text.lstrip().startswith("{") and (found := _json(text)) and found.keys() >= SECTIONS:
                    return found
        return None

    def imported(self) -> dict[str, bool]:
        """Return {first name of an imported module: whether the script needs it}; an import in a `try` may fail."""
        found: dict[str, bool] = {}
        for tree in self.trees:
            optional = {id(node) for block in ast.walk(tree) if isinstance(block, ast.Try) for node in _guarded(block)}
            for node in ast.walk(tree):
                for name in _names(node):
                    found[name] = found.get(name, False) or id(node) not in optional
        return found

    def mentions(self, text: str) -> bool:
        """Say whether a literal in any layer holds `text`, such as the name of a file that is read."""
        return any(text in literal for tree in self.trees for literal in _literals(tree, str))


def _parsed(data: bytes) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd escapes in other people's strings
        return ast.parse(data)


def _layers(tree: ast.Module, depth: int) -> Iterator[ast.Module]:
    yield tree
    if depth == 0:
        return
    for literal in [*_literals(tree, bytes), *_literals(tree, str)]:
        if len(literal) >= FEWEST_PACKED:
            for source in _unpacked(literal):
                yield from _layers(source, depth - 1)


def _literals(tree: ast.Module, kind: type[Any]) -> Iterator[Any]:
    return (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, kind))


def _unpacked(literal: str | bytes) -> Iterator[ast.Module]:
    """Yield the source that a literal holds, if it is packed code; SyntaxError where it is, and does not parse."""
    data = literal.encode("ascii", "ignore") if isinstance(literal, str) else literal
    for decode in (*((bytes,) if isinstance(literal, bytes) else ()), base64.b85decode, base64.a85decode, _base64):
        try:
            packed = decode(data)
        except ValueError:
            continue
        for codec in CODECS:
            text = _decoded(codec, packed)
            if "import " in text and len(text) >= FEWEST_PACKED:
                yield _parsed(text.encode("utf-8"))
                return


def _decoded(codec: Callable[[bytes], bytes], packed: bytes) -> str:
    try:
        return codec(packed).decode("utf-8")
    except Exception:  # each library has errors of its own; what cannot be read is no code
        return ""


def _base64(data: bytes) -> bytes:
    return base64.b64decode(data, validate=True)


def _zlib(bits: int) -> Callable[[bytes], bytes]:
    return lambda data: zlib.decompressobj(bits).decompress(data, MOST_BYTES)


def _lzma_raw(filters: dict[str, Any]) -> Callable[[bytes], bytes]:
    return lambda data: lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[filters]).decompress(data, MOST_BYTES)


def _brotli(data: bytes) -> bytes:
    import brotli

    return bytes(brotli.Decompressor().process(data, output_buffer_limit=MOST_BYTES))


def _zstd(data: bytes) -> bytes:
    import zstandard

    with zstandard.ZstdDecompressor().stream_reader(data) as reader:
        return bytes(reader.read(MOST_BYTES))


CODECS: tuple[Callable[[bytes], bytes], ...] = (
    lambda data: lzma.LZMADecompressor().decompress(data, MOST_BYTES),
    lambda data: bz2.BZ2Decompressor().decompress(data, MOST_BYTES),
    _zlib(15 + 32),
    _zstd,
    *map(_lzma_raw, RAW_FILTERS),
    _zlib(-15),
    _brotli,
)


def _json(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _guarded(block: ast.Try) -> Iterator[ast.AST]:
    """Yield what stands in a `try` and in its handlers."""
    for part in (*block.body, *block.handlers):
        yield from ast.walk(part)


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.split(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [node.module.split(".")[0]]
    return []
