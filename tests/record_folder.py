"""Record folders for tests, as the built script and `write_folder` leave them; everything may be bent."""

import hashlib
import json
from pathlib import Path

from mulligan.core.canonical import digest
from mulligan.core.config import parse_config
from mulligan.engine.job import Outside
from mulligan.flow import lay_road
from mulligan.recipe import Recipe
from mulligan.store.stage_call import OutsideInput
from mulligan.store.store import Store
from mulligan.submit.check import check, of_track
from mulligan.submit.check_legal import AtHand
from mulligan.submit.folder import About, SeedRun, write_folder
from mulligan.submit.submitted import Submitted
from toy import recipe_data

FACTOR = 1.688458
SCORES = {0: 1.2201, 1: 1.2203, 2: 1.2199}
ARTIFACT_BYTES = 15_900_000


def toy_recipe(**changes):
    return parse_config(Recipe, recipe_data(**changes), "")


def source(recipe, imports="import json\nimport numpy\nimport torch\nimport sentencepiece\n"):
    """A readable train_gpt.py that holds a recipe; running it would be told."""
    held = json.dumps(recipe.canonical(), indent=1)
    return f'{imports}RECIPE = json.loads("""{held}""")\nraise SystemExit("this must never be run")\n'.encode()


def log_text(recipe, seed, code, bits, artifact_bytes=ARTIFACT_BYTES, artifact_sha256="ab" * 32, train_seconds=512.3):
    """The log of one seed in the agreed form."""
    nats, steps = bits * FACTOR, recipe.train.budget.steps
    said = f"val_loss:{nats:.8f} val_bpb:{bits:.8f}"
    return "\n".join(
        [
            f"recipe sha256:{digest(recipe.canonical())} seed:{seed}",
            f"code form:readable bytes:{len(code)} sha256:{hashlib.sha256(code).hexdigest()}",
            f"step:{steps}/{steps} train_loss:2.1000 train_time:{1000 * train_seconds:.0f}ms step_avg:41.20ms",
            f"train_seconds:{train_seconds:.3f} steps:{steps}",
            f"artifact bytes:{artifact_bytes} sha256:{artifact_sha256}",
            f"Serialized model auto: {artifact_bytes} bytes",
            f"Code size: {len(code)} bytes",
            f"Total submission size auto: {artifact_bytes + len(code)} bytes",
            f"raw_flat_exact val_loss:{nats + 0.01:.8f} val_bpb:{bits + 0.01 / FACTOR:.8f} eval_time:900000ms",
            f"quantized_sliding_exact {said} eval_time:2345ms",
            f"final_exact {said}",
            "",
        ]
    )


def seed_run(recipe, seed, code, bits, **changes):
    outside = Outside(Path("corpus"), OutsideInput("corpus", "0" * 64))
    road = lay_road(recipe, seed, corpus=outside)
    result = {"recipe": "toy.toml", "readings": [{"bits_per_byte": bits}]}
    return SeedRun(result, road, log_text(recipe, seed, code, bits, **changes))


def make(folder, recipe=None, scores=SCORES, code=None, **changes):
    """Write a folder of these seeds' runs; `changes` are those of its logs."""
    recipe = recipe or toy_recipe()
    code = code or source(recipe)
    runs = [seed_run(recipe, seed, code, bits, **changes) for seed, bits in scores.items()]
    write_folder(folder, runs, code, About("A record", "A. Person", "person"))
    return folder


def edit_json(folder, **changes):
    path = folder / "submission.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def verdicts(folder, track="record", against="1.2300,1.2302,1.2301:bpb", at_hand=None, since=None):
    """Return {rule: finding} of a folder."""
    checked = check(Submitted(folder, track), at_hand or AtHand(Store(folder.parent / "store")), against, since)
    return {found.rule: found for found in of_track(checked, track)}


def failing(found):
    return {rule: one.evidence for rule, one in found.items() if one.verdict == "fail"}
