"""`python -m bench.recipes`: every full-scale recipe built without memory, every tiny twin trained, packed and scored.

One row per recipe as it ends; a twin that fails ends the run. The store is a new folder, thrown away at the end: nothing
is answered from an earlier run; `--store DIR` keeps it, for `python -m bench.fit --store DIR`.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time

from mulligan.model.gpt import parameter_shapes
from mulligan.recipe import load_recipe, shipped_recipes

TWIN = "-tiny"


def main() -> None:
    """Count, then train; exit code 1 when a twin fails or does not fit its budget."""
    parser = argparse.ArgumentParser(prog="python -m bench.recipes", description=__doc__)
    parser.add_argument("--store")
    kept = parser.parse_args().store
    names = list(shipped_recipes())
    for name in names:
        shapes = parameter_shapes(load_recipe(name).model)
        print(f"{name:<16} {sum(math.prod(shape) for shape in shapes.values()):>12,} parameters")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mulligan-recipes-") as folder:
        store = kept or folder
        print(f"\n{'twin':<16} {'seconds':>8} {'training':>9} {'bits/byte':>10} {'payload bytes':>14}  reading")
        for name in (name for name in names if name.endswith(TWIN)):
            run_twin(name, store)
    print(f"\n{time.monotonic() - began:.0f} s")


def run_twin(name: str, store: str) -> None:
    """Run one twin and print its row: seconds in all and of training, the packed score, the payload."""
    began = time.monotonic()
    command = [sys.executable, "-m", "mulligan", "run", name, "--store", store, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{name} ended with code {done.returncode}")
    result = json.loads(done.stdout)
    packed = [reading for reading in result["readings"] if reading["point"] == "quantized"][-1]
    training = sum(stage["seconds"] for stage in result["stages"] if stage["name"] in ("train", "observe"))
    reading = f"{packed['windows']} {packed['context_len']}/{packed['stride']}, {packed['validation_documents']} documents"
    print(
        f"{name:<16} {time.monotonic() - began:>8.0f} {training:>9.0f} {packed['bits_per_byte']:>10.4f} "
        f"{result['artifact']['payload_bytes']:>14,}  {reading}",
        flush=True,
    )


if __name__ == "__main__":
    main()
