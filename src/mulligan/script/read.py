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
        return _Reading(path.parent).read([path.name], [])
    files, problems = plain_files(path)
    reading = _Reading(path)
    scripts = [label(file, path) for file in files if file.suffix == ".py"]
    broken = [found.file for found in problems if found.file == ENTRY]
    return reading.read(broken or reading.entries(scripts), list(problems))


class _Reading:
    """One script being read. `done`: the layers of each file read so far."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place = Place(folder)
        self.budget = Budget()
        self.done: dict[str, list[Layer]] = {}
        self.problems: list[Problem] = []

    def read(self, entries: list[str], problems: list[Problem]) -> ReadScript:
        """Read the entries and what they reach."""
        self.problems = [*problems, *self.problems]
        if not entries:
            self.problems.append(Problem(".", None, f"no script: neither {ENTRY} nor another .py file lies in the folder"))
        sources: list[Source] = []
        met = set(entries)
        todo = [(name, name) for name in entries]
        while todo:
            name, entry = todo.pop(0)
            for layer in self._file(name):
                sources.append(layer.source)
                reached = modules_reached(layer, self.place, entry)
                reached += payloads_named(layer, self.place, entry) if executes(layer) else []
                todo += [(new, entry) for new in reached if new not in met]
                met.update(reached)
        return ReadScript(self.folder, entries[0] if entries else "", tuple(sources), tuple(dict.fromkeys(self.problems)))

    def entries(self, scripts: list[str]) -> list[str]:
        """Choose the entry among a folder's scripts; of several that may be it, all that no other of them reaches."""
        top = [name for name in scripts if "/" not in name] or scripts
        if ENTRY in top or len(top) < 2:
            return [ENTRY] if ENTRY in top else top
        named = [name for name in top if name.startswith("train_gpt")] or top
        reached = {
            new for name in top for layer in self._file(name) for new in modules_reached(layer, self.place, name) if new != name
        }
        return [name for name in named if name not in reached] or named

    def _file(self, name: str) -> list[Layer]:
        """Return the layers of a file; what cannot be read becomes a problem."""
        if name not in self.done:
            try:
                self.done[name], problems = self._layers(name)
            except UnreadError as error:
                self.done[name], problems = [], [Problem(name, error.line, str(error))]
            self.problems += problems
        return self.done[name]

    def _layers(self, name: str) -> tuple[list[Layer], list[Problem]]:
        path = self.folder / name
        if path.suffix == ".py" or name in (ENTRY,):
            return layers_of(name, decoded(read_bytes(path, self.folder, MOST_TEXT)), self.budget)
        data = read_bytes(path, self.folder, MOST_PAYLOAD)
        text = unpacked(data, self.budget)
        if text is not None:
            return layers_of(name, text, self.budget, first=1)
        if not says_python(data[:MOST_TEXT]):
            return [], []
        found, _ = layers_of(name, decoded(data), self.budget)  # prose that says "import" is no script
        return found, []
