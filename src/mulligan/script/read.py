"""A script of somebody's with all that it reaches: which file is the entry, its layers, then those of each module beside it."""

from dataclasses import dataclass
from pathlib import Path

from mulligan.script.disk import label, plain_files, read_bytes
from mulligan.script.grammar import decoded
from mulligan.script.layers import Layer, layers_of
from mulligan.script.reach import Place, executes, modules_reached, payloads_named
from mulligan.script.scan import MOST_TEXT
from mulligan.script.source import Problem, Source, UnreadError
from mulligan.script.unpack import Budget, says_python, unpacked

ENTRY = "train_gpt.py"
MOST_PAYLOAD = 20_000_000
"""Bytes of a file beside the script that may hold packed code; an artifact has at most 16,000,000."""


@dataclass(frozen=True)
class ReadScript:
    """`folder`: where the script lies. `entry`: relative to it, empty where there is none. `sources`: the entry's texts, then
    those of each file that it reaches, in the order in which it does. `problems`: what was not read, and why.
    """

    folder: Path
    entry: str
    sources: tuple[Source, ...]
    problems: tuple[Problem, ...]


def read_script(path: Path) -> ReadScript:
    """Read a folder's script, or the script at `path`, with the files beside it that it reaches; nothing is executed.

    OSError where there is nothing at `path`. What cannot be read is a problem.
    """
    if not path.is_dir():
        path.lstat()
        script = path.resolve()
        return _Reading(script.parent).read([script.name], [])
    files, problems = plain_files(path)
    reading = _Reading(path)
    scripts = [label(file, path) for file in files if file.suffix == ".py"]
    broken = [found.file for found in problems if found.file == ENTRY]
    return reading.read(broken or reading.entries(scripts), list(problems))


class _Reading:
    """One script being read. `done`: layers and problems of each file looked at so far."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place = Place(folder)
        self.budget = Budget()
        self.done: dict[str, tuple[list[Layer], list[Problem]]] = {}

    def read(self, entries: list[str], problems: list[Problem]) -> ReadScript:
        """Read the entries and what they reach."""
        if not entries:
            problems.append(Problem(".", None, f"no script: neither {ENTRY} nor another .py file lies in the folder"))
        sources: list[Source] = []
        met = set(entries)
        todo = [(name, name, False) for name in entries]
        while todo:
            name, entry, payload = todo.pop(0)
            layers, wrong = self._file(name, payload)
            problems += wrong
            for layer in layers:
                sources.append(layer.source)
                modules = modules_reached(layer, self.place, entry)
                payloads = payloads_named(layer, self.place, entry) if executes(layer) else []
                todo += [(new, entry, new in payloads) for new in (*modules, *payloads) if new not in met]
                met.update(modules, payloads)
            if self.budget.spent:
                break
        return ReadScript(self.folder, entries[0] if entries else "", tuple(sources), tuple(dict.fromkeys(problems)))

    def entries(self, scripts: list[str]) -> list[str]:
        """Choose the entry among a folder's scripts; of several that may be it, all that no other of them reaches."""
        top = [name for name in scripts if "/" not in name] or scripts
        if ENTRY in top or len(top) < 2:
            return [ENTRY] if ENTRY in top else top
        named = [name for name in top if name.startswith("train_gpt")] or top
        if len(named) == 1:
            return named
        reached: set[str] = set()
        for name in named:
            for layer in self._file(name)[0]:
                reached.update(new for new in modules_reached(layer, self.place, name) if new != name)
        return [name for name in named if name not in reached] or named

    def _file(self, name: str, payload: bool = False) -> tuple[list[Layer], list[Problem]]:
        """Return the layers of a file, and what of it cannot be read; a payload may be no script."""
        if name not in self.done:
            try:
                self.budget.pay("files", 1)
                self.done[name] = self._payload(name) if payload else self._script(name)
            except UnreadError as error:
                self.done[name] = [], [Problem(name, error.line, str(error))]
        return self.done[name]

    def _script(self, name: str) -> tuple[list[Layer], list[Problem]]:
        return layers_of(name, decoded(read_bytes(self.folder / name, self.folder, MOST_TEXT)), self.budget)

    def _payload(self, name: str) -> tuple[list[Layer], list[Problem]]:
        data = read_bytes(self.folder / name, self.folder, MOST_PAYLOAD)
        text = unpacked(data, self.budget)
        if text is not None:
            return layers_of(name, text, self.budget, first=1)
        if not says_python(data[:MOST_TEXT]):
            return [], []
        return layers_of(name, decoded(data), self.budget)[0], []  # prose that says "import" is no script
