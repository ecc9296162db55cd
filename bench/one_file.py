"""`python -m bench.one_file --python VENV/bin/python`: the one file of each twin beside `mulligan run`, bit for bit.

Each recipe is run here, built, and its train_gpt.py run in an empty folder by the Python that is named, in whose environment
mulligan need not be. Artifact and every score must be the same at the same number of threads.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mulligan.engine.job import Job
from mulligan.report.run_page import read_run
from mulligan.store.store import Store

RECIPES = ("tiny", "baseline-tiny", "pr-180-tiny", "pr-374-tiny", "pr-1394-tiny", "pr-1716-tiny", "fork-989-tiny")


def main() -> None:
    """Compare every recipe; exit code 1 when one differs."""
    parser = argparse.ArgumentParser(prog="python -m bench.one_file", description=__doc__)
    parser.add_argument("recipes", nargs="*", default=RECIPES)
    parser.add_argument("--python", default=sys.executable, help="the Python that runs the built file")
    parser.add_argument("--set", action="append", default=[], help="a change of every recipe")
    parser.add_argument("--store", type=Path, default=Path(".mulligan"))
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    print(f"{'recipe':<16} {'packed':>8} {'run s':>6} {'file s':>6} {'score':>10}  same")
    differ = [name for name in given.recipes if not compare(name, given)]
    sys.exit(f"differ: {', '.join(differ)}" if differ else 0)


def compare(name: str, given: argparse.Namespace) -> bool:
    """Run a recipe both ways, print a line, and say whether artifact and scores are the same."""
    changes = [part for change in given.set for part in ("--set", change)]
    began = time.monotonic()
    said = mulligan("run", name, *changes, "--store", given.store, "--threads", given.threads)
    ran, began = time.monotonic() - began, time.monotonic()
    run = said["name"]
    _, road = read_run(run, Store(given.store))
    data = next(job for job in road.jobs if job.call.stage == "evaluate").sources["corpus"]
    assert isinstance(data, Job), "the demo's text, which is in the store"
    corpus = Store(given.store).open(data.call).folder.resolve()
    with tempfile.TemporaryDirectory() as folder:
        built = mulligan("submit", "build", run, "--store", given.store, "--out", Path(folder) / "out")
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        environment |= {"DATA_PATH": str(corpus), "SEED": str(said["seed"]), "OMP_NUM_THREADS": str(given.threads)}
        began = time.monotonic()
        done = subprocess.run(
            [given.python, "train_gpt.py"],
            cwd=Path(folder) / "out",
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        print(f"{name}: {done.stderr}")
        return False
    scores = re.findall(r"^(?!final)\w+_exact val_loss:(\S+) val_bpb:(\S+)", done.stdout, re.M)
    wanted = [(f"{one['nats_per_token']:.8f}", f"{one['bits_per_byte']:.8f}") for one in said["readings"]]
    digest = hashlib.sha256(Path(said["artifact"]["path"]).read_bytes()).hexdigest()
    same = scores == wanted and f"sha256:{digest}" in done.stdout
    seconds = time.monotonic() - began
    print(f"{name:<16} {built['bytes']['packed']:>8,} {ran:>6.0f} {seconds:>6.0f} {scores[-1][1]:>10}  {same}", flush=True)
    return same


def mulligan(*arguments: object) -> dict:
    """Return what a command prints as JSON."""
    command = [sys.executable, "-m", "mulligan", *map(str, arguments), "--json"]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


if __name__ == "__main__":
    main()
