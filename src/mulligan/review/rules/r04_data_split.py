"""Train shards cut from validation documents

What it finds
    A preparation script of the folder that keeps fewer than 50,000 documents for validation unless told otherwise, and
    instructions (README, shell scripts) that run it without telling it; logs with more train shards than any published data
    have, which were therefore cut by such a script.
Why it matters
    The validation text is the first 50,000 documents. Shards cut after 10,000 hold the other 40,000 as training text: the
    network has seen what it is scored on.
Example
    `add_argument("--val-docs", type=int, default=10000)`, and in the README `python prepare.py --out data`.
What it cannot see
    Which data were used in the end: where the logs have as many train shards as published data, it is a warning, as it is
    where only the script or only the log says so.
Source
    Rule R4; Issue #2127 of the challenge.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mulligan.review.constants import number
from mulligan.review.finding import Finding, NotChecked
from mulligan.review.subject import Subject

CODE = "R4"
VALIDATION_DOCUMENTS = 50_000
MOST_PUBLISHED_SHARDS = 200
MOST_BYTES = 1 << 20
OPTION = re.compile(r"^-{0,2}(?:num[-_]?)?(?:val|validation)[-_]?(?:docs|documents)$", re.I)
HINT = re.compile(r"val(?:idation)?[-_]?doc", re.I)
SHARDS = re.compile(r"\btrain_shards\s*[:=]\s*(\d+)")


@dataclass(frozen=True)
class Split:
    """A script that splits documents. `option`: how it is told how many are validation's; `documents`: how many by itself."""

    path: Path
    line: int
    option: str
    documents: int


def check(subject: Subject) -> Iterator[Finding | NotChecked]:
    """Yield what shows that train shards hold validation documents."""
    folder = subject.folder.folder
    shards = {path: found for path in subject.folder.files if path.suffix in (".log", ".txt") and (found := _shards(path))}
    published = bool(shards) and all(count <= MOST_PUBLISHED_SHARDS for _, count in shards.values())
    for split in (split for path in subject.folder.files if path.suffix == ".py" for split in _splits(path)):
        name = split.path.relative_to(folder).as_posix()
        said = (
            f"{name} keeps {split.documents:,} documents for validation by itself, and validation has {VALIDATION_DOCUMENTS:,}"
        )
        calls = [call for path in subject.folder.files if path.suffix in (".md", ".sh") for call in _calls(path, split)]
        wrong = [(path, line) for path, line, right in calls if not right]
        for path, line in wrong[:1]:
            where = f"{path.relative_to(folder).as_posix()}:{line}"
            told = f"{said}; {where} runs it without {split.option}"
            told += ", though the logs have as many train shards as published data" if published else ""
            yield Finding(CODE, "data_leak", "warning" if published else "violation", name, split.line, told)
        if not calls:
            yield Finding(CODE, "data_leak", "warning", name, split.line, f"{said}; no instruction says how it was run")
    for path, (line, count) in list(shards.items())[:1] if not published else ():
        if count > MOST_PUBLISHED_SHARDS:
            message = (
                f"{count:,} train shards, more than published data have: they were cut locally, and the split is not known"
            )
            yield Finding(CODE, "data_leak", "warning", path.relative_to(folder).as_posix(), line, message)


def _splits(path: Path) -> Iterator[Split]:
    """Yield the options of a script that keep too few documents for validation."""
    try:
        if path.stat().st_size > MOST_BYTES:
            return
        text = path.read_text("utf-8", errors="replace")
        if not HINT.search(text):
            return
        tree = ast.parse(text)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add_argument":
            names = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
            default = next((number(one.value) for one in node.keywords if one.arg == "default"), None)
            option = next((name for name in names if OPTION.match(name)), None)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            option, default = node.targets[0].id, number(node.value)
            option = option if OPTION.match(option) else None
        else:
            continue
        if option and default is not None and 0 < default < VALIDATION_DOCUMENTS:
            yield Split(path, node.lineno, option, int(default))


def _calls(path: Path, split: Split) -> Iterator[tuple[Path, int, bool]]:
    """Yield the commands of a text that run the script, and whether they ask for enough documents."""
    if path.stat().st_size > MOST_BYTES:
        return
    lines = path.read_text("utf-8", errors="replace").splitlines()
    for i, line in enumerate(lines):
        if split.path.name not in line or not re.search(r"(?:^|[\s`&;$(])(?:python[\d.]*|uv run)\s", line):
            continue
        last = i
        while lines[last].rstrip().endswith("\\") and last + 1 < len(lines):
            last += 1
        asked = re.search(re.escape(split.option.lstrip("-")) + r"[\s=\\]+([\d_,]+)", " ".join(lines[i : last + 1]))
        yield path, i + 1, asked is not None and int(re.sub(r"\D", "", asked[1]) or 0) >= VALIDATION_DOCUMENTS


def _shards(path: Path) -> tuple[int, int] | None:
    """Return the line of a log that counts the train shards, and the count."""
    if path.stat().st_size > 8 * MOST_BYTES:
        return None
    for i, line in enumerate(path.read_text("utf-8", errors="replace").splitlines(), 1):
        found = SHARDS.search(line) if "train_shards" in line else None
        if found:
            return i, int(found[1])
    return None
