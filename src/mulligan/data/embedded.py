"""The embedded corpus: the documentation that every CPython ships, in English, with no download.

One document per pydoc topic and one per module of the standard library (its docstrings, read with `ast`, never
imported). It changes with the Python version; `source_digest` says which one it is.
"""

import ast
import hashlib
import os
import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from mulligan.data.document import Document

TOPICS = Path("pydoc_data/topics.py")
LEFT_OUT = {
    "test",
    "tests",
    "idlelib",
    "lib2to3",
    "turtledemo",
    "site-packages",
    "dist-packages",
    "pydoc_data",
    "__pycache__",
}
LEAST_CHARACTERS = 200
VALIDATION_ONE_IN = 10


@cache
def source_files() -> tuple[Path, ...]:
    """Return the source files of the corpus, sorted; ValueError where this Python ships none."""
    root = Path(sysconfig.get_paths()["stdlib"])
    modules: list[Path] = []
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [name for name in subfolders if name not in LEFT_OUT]
        modules += [Path(folder, name) for name in names if name.endswith(".py") and name != "__main__.py"]
    if not (root / TOPICS).is_file() or not modules:
        raise ValueError(
            f"This Python ships no documentation ({root / TOPICS} is missing). Install the full standard library, or give a "
            "corpus: --data DIR."
        )
    return (root / TOPICS, *sorted(modules))


@cache
def source_digest() -> str:
    """Return the sha256 over the bytes of all source files: what the embedded corpus is made from."""
    digest = hashlib.sha256()
    for path in source_files():
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def read_embedded() -> tuple[list[Document], list[Document]]:
    """Return (train, validation); a document goes by the digest of its name, about one in ten to validation."""
    train: list[Document] = []
    validation: list[Document] = []
    texts: set[str] = set()
    for document in _documents():
        if len(document.text) < LEAST_CHARACTERS or document.text in texts:
            continue
        texts.add(document.text)
        held_out = int(hashlib.sha256(document.name.encode("utf-8")).hexdigest(), 16) % VALIDATION_ONE_IN == 0
        (validation if held_out else train).append(document)
    return train, validation


def _documents() -> Iterator[Document]:
    """Yield topics and modules, mixed by the digest of their names so that neither kind comes first."""
    topics_path, *modules = source_files()
    found = [Document(f"topic {name}", text.strip() + "\n") for name, text in _topics(topics_path)]
    root = topics_path.parents[1]
    for path in modules:
        name = ".".join(path.relative_to(root).with_suffix("").parts)
        found.append(Document(f"module {name}", _docstrings(name, path)))
    yield from sorted(found, key=lambda document: hashlib.sha256(document.name.encode("utf-8")).digest())


def _topics(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the entries of the dictionary literal in pydoc's topics file."""
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            topics: dict[str, str] = ast.literal_eval(node.value)
            yield from sorted(topics.items())


def _docstrings(module: str, path: Path) -> str:
    """Return the docstrings of a module in source order, each under the signature that it documents."""
    try:
        tree = ast.parse(path.read_text("utf-8"))
    except (SyntaxError, UnicodeDecodeError):
        return ""  # samples of broken code that some versions ship
    parts = [f"{module}\n\n{docstring}" for docstring in [ast.get_docstring(tree)] if docstring]
    parts += _inner(tree, "")
    return "\n\n".join(parts) + "\n"


def _inner(node: ast.AST, prefix: str) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(child)
            if docstring:
                yield f"{_signature(child, prefix)}\n{docstring}"
            if isinstance(child, ast.ClassDef):
                yield from _inner(child, f"{prefix}{child.name}.")


def _signature(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, prefix: str) -> str:
    if isinstance(node, ast.ClassDef):
        return f"class {prefix}{node.name}({', '.join(ast.unparse(base) for base in node.bases)})"
    return f"{prefix}{node.name}({ast.unparse(node.args)})"
