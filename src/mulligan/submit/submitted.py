"""A record folder as it lies on disk: its submission.json, its script, its logs, its other files. Anybody's. Torch-free."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mulligan.records.read import read_record
from mulligan.records.table import Row
from mulligan.records.tree import READ, RecordFolder
from mulligan.script.disk import plain_files, read_bytes
from mulligan.script.script_file import ScriptFile
from mulligan.script.source import UnreadError
from mulligan.submit.seed_log import SeedLog, is_log
from mulligan.submit.submission import Submission, Track, read_submission

MOST_JSON, MOST_LOG = 8_000_000, 32_000_000
"""Bytes of a submission.json and of a log that are read at most."""
LOGS = frozenset({".log", ".txt"})
SCRIPT, README, ABOUT, REQUIREMENTS = "train_gpt.py", "README.md", "submission.json", "requirements.txt"
MOST_TEXTS_BYTES, MOST_TEXT_BYTES, MOST_LINE_BYTES = 64 << 20, 16 << 20, 4000
"""Of texts together, of one, or of a line of it, only so much is read as evidence."""
GAP = re.compile(rb"[^\S\n]{40,}")


@dataclass(frozen=True)
class Submitted:
    """`track`: the one that was asked for, else what folder and submission.json say."""

    folder: Path
    asked_track: Track | None = None

    @cached_property
    def files(self) -> Sequence[Path]:
        """Every plain file below the folder; a link out of it, a pipe or a device is none."""
        return plain_files(self.folder)[0]

    @cached_property
    def about(self) -> Submission | str:
        """submission.json, or why it cannot be read."""
        path = self.folder / ABOUT
        if path not in self.files:
            return "not there"
        try:
            return read_submission(read_bytes(path, self.folder, MOST_JSON).decode("utf-8"))
        except ValueError as error:
            return str(error)

    @cached_property
    def submission(self) -> Submission | None:
        """submission.json where it can be read."""
        return self.about if isinstance(self.about, Submission) else None

    @cached_property
    def script(self) -> ScriptFile | None:
        """train_gpt.py, where there is one."""
        path = self.folder / SCRIPT
        return ScriptFile.read(path) if path in self.files else None

    @cached_property
    def logs(self) -> tuple[SeedLog, ...]:
        """The logs, by name of file; one of more than `MOST_LOG` bytes is not read."""
        texts = [(path, _log_text(path, self.folder)) for path in self.files if path.suffix in LOGS]
        return tuple(SeedLog.parse(path, text) for path, text in texts if text is not None and is_log(path, text))

    @cached_property
    def texts(self) -> dict[str, bytes]:
        """{path in the folder: contents} of README, JSON and logs, anybody's: long files and long lines are cut."""
        found: dict[str, bytes] = {}
        left = MOST_TEXTS_BYTES
        for path in (path for path in self.files if READ.search(path.name) and not path.is_symlink()):
            found[path.relative_to(self.folder).as_posix()] = _cut(path, min(left, MOST_TEXT_BYTES))
            left -= min(left, path.stat().st_size)
        return found

    @cached_property
    def record_rows(self) -> list[Row]:
        """Every figure that logs, README and submission.json give, with file and line, and where they disagree."""
        return read_record(RecordFolder(self.folder.resolve().parent.name, self.folder.resolve().name, self.texts))

    @cached_property
    def track(self) -> Track:
        """The track."""
        if self.asked_track:
            return self.asked_track
        said = f"{self.folder.resolve().parent.name} {(self.submission.track or '') if self.submission else ''}".lower()
        return "non-record" if "non" in said else "record"

    @property
    def is_study(self) -> bool:
        """Whether it is a study: several recipes, each an arm."""
        return self.submission is not None and self.submission.study is not None

    @cached_property
    def claimed_logs(self) -> tuple[SeedLog, ...]:
        """The logs of what is claimed: all, or those of a study's claimed arm."""
        study = self.submission.study if self.submission else None
        if study is None:
            return self.logs
        names = {log for arm in study.arms if arm.name == study.claimed_arm for log in arm.logs.values()}
        return tuple(log for log in self.logs if self.name_of(log) in names)

    def name_of(self, log: SeedLog) -> str:
        """Return the path of a log in the folder."""
        return log.path.relative_to(self.folder).as_posix()

    @property
    def seeds(self) -> list[int]:
        """The seeds that submission.json states; of one that states none, those of the logs."""
        about = self.submission
        if about and about.seeds is not None:
            return about.seeds
        if about and about.seed_results:
            return [int(seed) for seed in about.seed_results if seed.isdigit()]
        return sorted({log.seed for log in self.logs if log.seed is not None})


def _cut(path: Path, most: int) -> bytes:
    """Return the beginning of a text, its long lines cut and its long gaps closed: patterns search gaps for long."""
    with path.open("rb") as file:
        data = GAP.sub(b" ", file.read(most))
    return b"\n".join(line[:MOST_LINE_BYTES] for line in data.split(b"\n"))


def _log_text(path: Path, folder: Path) -> str | None:
    """Return the text of a file that may be a log, its lines ending in line feeds; None of one that cannot be read."""
    try:
        data = read_bytes(path, folder, MOST_LOG)
    except UnreadError:
        return None
    return data.decode("utf-8", errors="replace").replace("\r\n", "\n").replace("\r", "\n")


def listed(items: Sequence[object], most: int = 6) -> str:
    """Return items in a row, with how many more there are."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(map(str, items[:most])) + more
