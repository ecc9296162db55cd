"""An estimate of the code's bytes: the source of every module that the road imports, minified and LZMA-compressed.

An estimate until a one-file script exists: imports of ours would merge there, and a script that must be text adds
about a quarter (base 85). Training is counted: the challenge counts it. Torch-free, reads source, imports nothing.
"""

import ast
import functools
from collections.abc import Iterable, Sequence
from pathlib import Path

from mulligan.values.codec import compress

PACKAGE = Path(__file__).parents[1]
ROOTS = ("mulligan.flow", "mulligan.engine.stage_runner")
"""The plan of the road and what runs it; each stage's stage.py comes besides."""


@functools.cache
def code_bytes(lever_files: tuple[Path, ...] = ()) -> int:
    """Return the estimate, in bytes, for the package as it is installed and levers of the user's own beside it."""
    stages = [f"mulligan.{path.parent.name}.stage" for path in sorted(PACKAGE.glob("*/stage.py"))]
    return compressed_size_bytes(PACKAGE, [*ROOTS, *stages], lever_files)


def compressed_size_bytes(package: Path, roots: Sequence[str], files: Sequence[Path] = ()) -> int:
    """Return the LZMA bytes (preset 9) of the minified modules that `roots` reach, one after the other by name, and `files`."""
    trees = import_closure(package, roots)
    trees |= {file.stem: ast.parse(file.read_text("utf-8")) for file in files}
    source = "\n".join(f"# {name}\n{minified(trees[name])}" for name in sorted(trees))
    return len(compress("lzma", source.encode("utf-8"), 9))


def import_closure(package: Path, roots: Sequence[str]) -> dict[str, ast.Module]:
    """Return the syntax trees of `roots` and of every module of `package` that they import, by dotted name.

    Imports inside functions count, and so do the packages on the way to a module.
    """
    trees: dict[str, ast.Module] = {}
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        path = _path_of(package, name)
        if path is None or name in trees:
            assert path is not None or name not in roots, f"{name} is a root and does not exist"
            continue
        trees[name] = ast.parse(path.read_text("utf-8"))
        waiting += [*_imported(trees[name], name, is_package=path.name == "__init__.py"), *_parents(name)]
    return trees


def _path_of(package: Path, name: str) -> Path | None:
    """Return the file of a dotted name, None for what is not a module of the package (an attribute, a library)."""
    first, *rest = name.split(".")
    path = package.joinpath(*rest)
    if first != package.name:
        return None
    candidates = [path / "__init__.py", path.with_name(f"{path.name}.py")]
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:stop]) for stop in range(1, len(parts))]


def _imported(tree: ast.Module, name: str, *, is_package: bool) -> Iterable[str]:
    """Yield every dotted name that might be a module in the import statements of `tree`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            here = name.split(".")
            base = here[: len(here) - node.level + is_package] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            yield from (origin, *(f"{origin}.{alias.name}" for alias in node.names))


def minified(tree: ast.Module) -> str:
    """Return the source of `tree` without comments, docstrings and other lone strings; `tree` is altered."""
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            statements = getattr(node, field, None)
            if isinstance(statements, list) and statements:
                kept = [item for item in statements if not _is_bare_string(item)]
                setattr(node, field, kept or [ast.Pass()])
    return ast.unparse(tree)


def _is_bare_string(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
