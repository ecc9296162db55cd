"""Writes a record folder from finished runs of one recipe: README.md, submission.json, requirements.txt, train_gpt.py, logs.

The scores are those of the logs, which the built script wrote; what `mulligan run` scored stands beside them in the README.
"""

import hashlib
import shutil
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mulligan.core.canonical import digest
from mulligan.flow import Road
from mulligan.recipe import Recipe, to_toml
from mulligan.report.markdown import escape, table
from mulligan.report.recipe_text import recipe_lines, value_text
from mulligan.script.script_file import ScriptFile
from mulligan.store.provenance import now
from mulligan.submit.check_code import foreign_imports
from mulligan.submit.check_scores import Pair
from mulligan.submit.seed_log import SeedLog
from mulligan.submit.submission import Track, mean, write_submission
from mulligan.submit.submitted import README, REQUIREMENTS, SCRIPT
from mulligan.values.corpus import Corpus

RECIPE = "recipe.toml"
STANDARD = ("numpy", "sentencepiece", "torch")
CODECS = {
    "zlib": (),
    "lzma": (),
    "zstd": ("zstandard",),
    "brotli": ("brotli",),
    "auto": ("brotli", "constriction", "zstandard"),
}
TRACK_NAMES: dict[Track, str] = {"record": "track_10min_16mb", "non-record": "track_non_record_16mb"}


@dataclass(frozen=True)
class SeedRun:
    """One seed: its run as `report.run_page.read_run` gives it, and the text of the built script's log."""

    result: Mapping[str, Any]
    road: Road
    log: str


@dataclass(frozen=True)
class About:
    """What a person says: of a record or of a study."""

    name: str
    author: str = ""
    github_id: str = ""
    blurb: str = ""


def requirements_of(recipe: Recipe, script: ScriptFile | None = None) -> list[str]:
    """Return what a recipe needs: torch, numpy, sentencepiece, its codec's libraries, and what its script imports besides."""
    return sorted({*STANDARD, *CODECS[recipe.pack.codec.kind], *(foreign_imports(script) if script else ())})


def write_requirements(out: Path, recipe: Recipe) -> None:
    """Write requirements.txt for the train_gpt.py that lies there, if one does."""
    script = ScriptFile.read(out / SCRIPT) if (out / SCRIPT).is_file() else None
    (out / REQUIREMENTS).write_text("\n".join(requirements_of(recipe, script)) + "\n", "utf-8")


def own_tokenizer(corpus: Path) -> Path | None:
    """Return the tokenizer's model of a corpus, None for plain bytes and for what was fetched as the challenge published it."""
    path = corpus / "tokenizer.model"
    return path if path.is_file() and Corpus.load(corpus).origin is None else None


def make_folder(out: Path) -> None:
    """Make a new folder; ValueError where there is something in it already."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out}: there is something already. Give a folder that is new or empty.")
    out.mkdir(parents=True, exist_ok=True)


def write_script(out: Path, recipe: Recipe, code: bytes, tokenizer: Path | None) -> None:
    """Write what is needed to run the code of a recipe: train_gpt.py, requirements.txt and a tokenizer of one's own."""
    make_folder(out)
    (out / SCRIPT).write_bytes(code)
    (out / RECIPE).write_text(to_toml(recipe), "utf-8")
    write_requirements(out, recipe)
    if tokenizer:
        shutil.copyfile(tokenizer, out / "tokenizer.model")


def read_runs(found: Sequence[tuple[Mapping[str, Any], Road]], logs: Sequence[Path]) -> list[SeedRun]:
    """Return each run with its log, which says its seed; ValueError where they are not one to one."""
    texts = {path: path.read_text("utf-8") for path in logs}
    seeds = {SeedLog.parse(path, text).seed: text for path, text in texts.items()}
    asked = [road.seed for _, road in found]
    if len(seeds) != len(logs) or set(seeds) != set(asked):
        raise ValueError(
            f"The logs are of the seeds {sorted(map(str, seeds))}, the runs of {asked}. Give one log for each run."
        )
    return [SeedRun(result, road, seeds[road.seed]) for result, road in found]


def write_folder(
    out: Path,
    runs: Sequence[SeedRun],
    code: bytes,
    about: About,
    *,
    track: Track = "record",
    parent: tuple[str, Recipe] | None = None,
    tokenizer: Path | None = None,
) -> None:
    """Write the folder. ValueError where the runs are not of one recipe at different seeds, or a log has no final score.

    `code`: the bytes of train_gpt.py. `parent`: what it was made from, name and recipe. `tokenizer`: one of its own.
    """
    recipe = _one_recipe(runs)
    logs = {run.road.seed: _log(run) for run in runs}
    write_script(out, recipe, code, tokenizer)
    for run in runs:
        (out / f"train_seed{run.road.seed}.log").write_text(run.log, "utf-8")
    write_submission(out, _submission(logs, code, about, track, recipe))
    (out / README).write_text(_readme(runs, logs, code, about, parent), "utf-8")


def _one_recipe(runs: Sequence[SeedRun]) -> Recipe:
    seeds = [run.road.seed for run in runs]
    if not runs or len(set(seeds)) < len(seeds):
        raise ValueError(f"A folder holds one run each of different seeds. Given: {seeds or 'none'}.")
    for run in runs[1:]:
        found = runs[0].road.recipe.diff(run.road.recipe)
        if found:
            said = "; ".join(f"{path}: {value_text(here)} and {value_text(there)}" for path, (here, there) in found.items())
            raise ValueError(f"Seeds {seeds[0]} and {run.road.seed} ran different recipes: {said}. Give runs of one recipe.")
    return runs[0].road.recipe


def _log(run: SeedRun) -> SeedLog:
    log = SeedLog.parse(Path(f"train_seed{run.road.seed}.log"), run.log)
    if log.final is None or log.artifact_bytes is None or log.seed != run.road.seed:
        raise ValueError(f"The log of seed {run.road.seed} has no final_exact line, no artifact, or another seed: {log.seed}.")
    return log


def final(log: SeedLog) -> Pair:
    """Return the claimed score of a log that has one."""
    assert log.final is not None
    return log.final


def seed_results(logs: Mapping[int, SeedLog], code_bytes: int) -> dict[str, dict[str, Any]]:
    """Return `seed_results` of a submission.json."""
    return {
        str(seed): {
            "val_bpb": final(log)[1],
            "val_loss": final(log)[0],
            "artifact_bytes": log.artifact_bytes,
            "bytes_total": (log.artifact_bytes or 0) + code_bytes,
            "steps": log.steps,
            "train_seconds": log.train_seconds,
            "eval_seconds": log.eval_seconds,
            "log": log.path.as_posix(),
        }
        for seed, log in logs.items()
    }


def scores(logs: Mapping[int, SeedLog], code_bytes: int) -> dict[str, Any]:
    """Return the scores and sizes of a submission.json."""
    nats, bits = zip(*(final(log) for log in logs.values()), strict=True)
    return {
        "val_bpb": mean(bits),
        "val_loss": mean(nats),
        "val_bpb_std": round(statistics.stdev(bits), 8) if len(bits) > 1 else None,
        "bytes_total": max(log.artifact_bytes or 0 for log in logs.values()) + code_bytes,
        "bytes_code": code_bytes,
        "seeds": list(logs),
        "seed_results": seed_results(logs, code_bytes),
    }


def said_of(about: About, track: Track) -> dict[str, Any]:
    """Return who and what of a submission.json."""
    who = {"author": about.author, "github_id": about.github_id, "name": about.name, "blurb": about.blurb}
    return {**who, "date": now()[:10], "track": TRACK_NAMES[track]}


def _submission(logs: Mapping[int, SeedLog], code: bytes, about: About, track: Track, recipe: Recipe) -> dict[str, Any]:
    digests = {"recipe_sha256": digest(recipe.canonical()), "code_sha256": hashlib.sha256(code).hexdigest()}
    return {**said_of(about, track), **scores(logs, len(code)), **digests}


def _readme(
    runs: Sequence[SeedRun], logs: Mapping[int, SeedLog], code: bytes, about: About, parent: tuple[str, Recipe] | None
) -> str:
    recipe, totals = runs[0].road.recipe, scores(logs, len(code))
    lines = [f"# {escape(about.name)}", ""]
    lines += [escape(about.blurb), ""] * bool(about.blurb)
    spread = f" (sd {totals['val_bpb_std']:.6f} over {len(logs)} seeds)" if totals["val_bpb_std"] is not None else " (one seed)"
    illegal = "" if recipe.evaluate.legal else " **ILLEGAL: this way of scoring breaks a rule on purpose.**"
    lines += [
        f"Mean {totals['val_bpb']:.6f} bits per byte{spread}; the largest seed takes {totals['bytes_total']:,} bytes.{illegal}",
        "",
    ]
    lines += seed_table(logs, len(code), {run.road.seed: run.result for run in runs})
    lines += ["", "## Every reading", "", *_readings(logs)]
    lines += ["", *_differences(recipe, parent), "", *_commands(runs)]
    return "\n".join(lines) + "\n"


def seed_table(logs: Mapping[int, SeedLog], code_bytes: int, results: Mapping[int, Mapping[str, Any]]) -> list[str]:
    """Return a row a seed: scores, bytes, steps, seconds; beside them the score of `mulligan run`, of its last reading."""
    rows = []
    for seed, log in logs.items():
        nats, bits = final(log)
        seconds = [f"{value:.1f}" if value is not None else "" for value in (log.train_seconds, log.eval_seconds)]
        size = log.artifact_bytes or 0
        own = results[seed]["readings"][-1]["bits_per_byte"]
        sizes = [f"{size:,}", f"{code_bytes:,}", f"{size + code_bytes:,}", str(log.steps)]
        rows.append([str(seed), f"{bits:.8f}", f"{nats:.8f}", f"{own:.8f}", *sizes, *seconds, log.path.as_posix()])
    columns = ["seed", "bits per byte", "nats per token", "in the lab", "artifact", "code", "total bytes", "steps", "train s"]
    return table([*columns, "eval s", "log"], rows)


def _readings(logs: Mapping[int, SeedLog]) -> list[str]:
    names = dict.fromkeys(name for log in logs.values() for name in log.readings)
    rows = [
        [name, *(f"{log.readings[name][1]:.6f}" if name in log.readings else "" for log in logs.values())] for name in names
    ]
    return table(["bits per byte", *(f"seed {seed}" for seed in logs)], rows)


def _differences(recipe: Recipe, parent: tuple[str, Recipe] | None) -> list[str]:
    if parent is None:
        return ["## Recipe", "", "```", *recipe_lines(recipe.model_dump(mode="json")), "```"]
    name, other = parent
    return [f"## What differs from {escape(name)}", "", *difference_table(other.diff(recipe), name)]


def difference_table(found: Mapping[str, Sequence[Any]], name: str) -> list[str]:
    """Return the differences between two recipes as a table."""
    rows = [[path, value_text(here), value_text(there)] for path, (here, there) in found.items()]
    return table(["path", name, "here"], rows) if rows else ["Nothing."]


def _commands(runs: Sequence[SeedRun]) -> list[str]:
    launch = (
        "SEED={0} DATA_PATH=... TOKENIZER_PATH=... torchrun --standalone --nproc_per_node=8 train_gpt.py > train_seed{0}.log"
    )
    own = [f"mulligan run {RECIPE} --seed {run.road.seed}" for run in runs]
    return [
        "## Commands",
        "",
        "```bash",
        "pip install -r requirements.txt",
        *(launch.format(run.road.seed) for run in runs),
        *own,
        "```",
    ]
