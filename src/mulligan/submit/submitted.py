"""A record folder as it lies on disk: its submission.json, its script, its logs, its other files. Anybody's. Torch-free."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mulligan.script.script_file import ScriptFile
from mulligan.submit.seed_log import SeedLog, is_log
from mulligan.submit.submission import Submission, Track, read_submission

SCRIPT, README, ABOUT, REQUIREMENTS = "train_gpt.py", "README.md", "submission.json", "requirements.txt"


@dataclass(frozen=True)
class Submitted:
    """`track`: the one that was asked for, else what folder and submission.json say."""

    folder: Path
    asked_track: Track | None = None

    @cached_property
    def files(self) -> Sequence[Path]:
        """Every file below the folder."""
        return sorted(path for path in self.folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)

    @cached_property
    def about(self) -> Submission | str:
        """submission.json, or why it cannot be read."""
        path = self.folder / ABOUT
        if not path.is_file():
            return "not there"
        try:
            return read_submission(path.read_text("utf-8"))
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
        return ScriptFile.read(path) if path.is_file() else None

    @cached_property
    def logs(self) -> tuple[SeedLog, ...]:
        """The logs, by name of file."""
        texts = [(path, path.read_text("utf-8", errors="replace")) for path in self.files if path.suffix in (".log", ".txt")]
        return tuple(SeedLog.parse(path, text) for path, text in texts if is_log(path, text))

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


def listed(items: Sequence[object], most: int = 6) -> str:
    """Return items in a row, with how many more there are."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(map(str, items[:most])) + more
