"""Checks of the logs: one for each seed, all of one configuration and one code, and their clocks."""

import math
import statistics
from collections import Counter
from collections.abc import Callable
from typing import Any

from mulligan.audit.finding import Finding, finding, not_checked
from mulligan.core.canonical import digest
from mulligan.submit.seed_log import SeedLog
from mulligan.submit.submitted import Submitted, listed

LIMIT_SECONDS = 600.0
FEWEST_SEEDS = 3
Differs = Callable[[str, dict[str, Any] | None], str]
"""From a recipe's digest, and the recipe that was meant, to how they differ, in words; empty where nobody knows."""


def logs(folder: Submitted) -> tuple[Finding, ...]:
    """There is a log of every seed that submission.json names."""
    about, there = folder.submission, {log.seed for log in folder.logs}
    names = {folder.name_of(log) for log in folder.logs}
    missing = [f"seed {seed}" for seed in folder.seeds if seed not in there]
    if about and about.seed_results:
        missing += [result.log for result in about.seed_results.values() if result.log and result.log not in names]
    if about and about.study:
        missing += [log for arm in about.study.arms for log in arm.logs.values() if log not in names]
    wrong = f"no log of {listed(missing)}" if missing else "no log at all" if not folder.logs else None
    return finding("logs", wrong, f"{len(folder.logs)} logs of {len(there - {None})} seeds")


def configuration(folder: Submitted, differs: Differs) -> tuple[Finding, ...]:
    """Every log names the recipe that train_gpt.py holds, and its code; in a study, its arm's recipe."""
    told = [log for log in folder.logs if log.recipe_sha256]
    if not told:
        return not_checked("one configuration", "no log names its recipe: not made by a script that mulligan built")
    study = folder.submission.study if folder.submission else None
    arms = {name: arm.recipe_sha256 for arm in (study.arms if study else ()) for name in arm.logs.values()}
    meant = folder.script.recipe if folder.script else None
    claimed = digest(meant) if meant is not None else told[0].recipe_sha256
    budget = meant["train"].get("budget", {}) if meant else {}
    steps = budget.get("steps") if budget.get("kind") == "steps" and not study else None
    wrong = [f"{log.path.name} names no recipe" for log in folder.logs if not log.recipe_sha256]
    if study and meant is not None and claimed != folder.claimed_logs[0].recipe_sha256:
        wrong.append(f"train_gpt.py holds the recipe {_short(claimed)}, not that of the claimed arm {study.claimed_arm}")
    for log in told:
        expected = arms.get(folder.name_of(log), claimed)
        if log.recipe_sha256 != expected:
            what = differs(str(log.recipe_sha256), meant) or f"it ran {log.steps} steps, {told[0].path.name} {told[0].steps}"
            wrong.append(f"{_name(log)} ran the recipe {_short(log.recipe_sha256)}, not {_short(expected)}: {what}")
        elif folder.script and not study and log.code_sha256 != folder.script.sha256:
            ours = f"{_short(folder.script.sha256)}, {folder.script.num_bytes:,} bytes"
            wrong.append(f"{_name(log)} ran other code ({_short(log.code_sha256)}, {log.code_bytes} bytes) than this ({ours})")
        elif steps is not None and log.steps != steps:
            wrong.append(f"{_name(log)} ran {log.steps} steps, and the recipe asks for {steps}: something ended it early")
    wrong += [] if study else _copies(told)
    about = folder.submission
    stated = [("recipe_sha256", claimed), ("code_sha256", folder.script.sha256 if folder.script else None)]
    for name, value in stated if about else ():
        said = getattr(about, name)
        if said and value and said != value:
            wrong.append(f"submission.json: {name} is {_short(said)}, and train_gpt.py's {_short(value)}")
    right = f"{len(told)} logs, " + ("each of its arm's recipe" if study else "one recipe, one code")
    return finding("one configuration", listed(wrong, 3) or None, right)


def _copies(logs: list[SeedLog]) -> list[str]:
    """Return which logs are of one seed, or of one artifact, where each should be a run of its own."""
    seeds, artifacts = Counter(log.seed for log in logs), Counter(log.artifact_sha256 for log in logs if log.artifact_sha256)
    wrong = [f"{count} logs are of seed {seed}" for seed, count in seeds.items() if count > 1]
    return wrong + [f"{count} logs have one artifact ({_short(sha)})" for sha, count in artifacts.items() if count > 1]


def stated_seeds(folder: Submitted) -> tuple[Finding, ...]:
    """What seed_results and val_bpb_std say is what the logs of our own script say."""
    about, logs = folder.submission, {str(log.seed): log for log in folder.claimed_logs if log.final}
    if about is None or not about.seed_results or not logs:
        return not_checked("stated seeds", "submission.json has no seed_results, or no log a final_exact line")
    wrong = []
    for seed, result in about.seed_results.items():
        for name in ("artifact_bytes", "steps", "train_seconds", "eval_seconds") if seed in logs else ():
            said, found = getattr(result, name), getattr(logs[seed], name)
            if said is not None and found is not None and not math.isclose(said, found, abs_tol=1e-3):
                wrong.append(f"seed_results.{seed}.{name} = {said:,}, and its log says {found:,}")
    bits = [log.final[1] for log in logs.values() if log.final]
    sd = statistics.stdev(bits) if len(bits) > 1 else 0.0
    whole = set(about.seed_results) <= set(logs)
    if whole and about.val_bpb_std is not None and abs(about.val_bpb_std - sd) > 1e-6:
        wrong.append(f"val_bpb_std = {about.val_bpb_std}, and the logs' is {sd:.8f}")
    return finding("stated seeds", listed(wrong, 3) or None, f"{len(logs)} seeds as their logs have them")


def _name(log: SeedLog) -> str:
    return f"{log.path.name} (seed {log.seed})"


def _short(sha256: str | None) -> str:
    return sha256[:12] if sha256 else "not stated"


def training_clock(folder: Submitted) -> tuple[Finding, ...]:
    """Every training took at most 600 s by its log; a loop that asks the clock between steps may be over by two."""
    timed = {log: log.train_seconds for log in folder.logs if log.train_seconds is not None}
    return _clock("training clock", timed, by_steps=True)


def evaluation_clock(folder: Submitted) -> tuple[Finding, ...]:
    """All readings of the artifact together took at most 600 s by the log."""
    timed = {log: log.eval_seconds for log in folder.logs if log.eval_seconds is not None}
    return _clock("evaluation clock", timed, by_steps=False)


def _clock(rule: str, timed: dict[SeedLog, float], *, by_steps: bool) -> tuple[Finding, ...]:
    if not timed:
        return not_checked(rule, "no log states the seconds")
    slack = {log: 2 * (log.step_seconds or 0.0) if by_steps else 0.0 for log in timed}
    over = [
        f"{log.path.name}: {seconds:.1f} s, {seconds - LIMIT_SECONDS:.1f} over {LIMIT_SECONDS:.0f}"
        for log, seconds in timed.items()
        if seconds > LIMIT_SECONDS + slack[log]
    ]
    longest = max(timed, key=timed.__getitem__)
    within = " (over by less than two steps)" if timed[longest] > LIMIT_SECONDS else ""
    return finding(rule, listed(over, 3) or None, f"longest: {timed[longest]:.3f} s of {LIMIT_SECONDS:.0f}{within}")
