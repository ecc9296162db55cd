"""docs/study-file.md: up to date with the configs, and its example is a study that lays out."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mulligan.core.config import configs_of
from mulligan.engine.job import Outside
from mulligan.store.stage_call import OutsideInput
from mulligan.study.config import StudyConfig, load_study
from mulligan.study.plan import lay_study

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "study-file.md").read_text()


@pytest.mark.parametrize(("scale", "cells", "steps"), [(None, 6, 100), ("larger", 10, 400)])
def test_the_example_lays_out_at_each_of_its_scales(scale, cells, steps, tmp_path):
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)
    (tmp_path / "study.toml").write_text(example)
    laid = lay_study(load_study(tmp_path / "study.toml", scale), Outside(Path("nowhere"), OutsideInput("corpus", "0" * 64)))
    assert len(laid.cells) == cells
    assert {cell.road.recipe.train.num_steps for cell in laid.cells} == {steps}


def configs_below(config):
    yield config
    for info in config.model_fields.values():
        for member in configs_of(info.annotation):
            yield from configs_below(member)


def test_every_key_is_on_the_page_with_what_it_is():
    for config in configs_below(StudyConfig):
        for name, info in config.model_fields.items():
            assert name == "kind" or (info.description and f"| `{name}` | " in PAGE), f"{config.__name__}.{name}"


def test_the_page_is_up_to_date():
    script = [sys.executable, str(DOCS / "generate_study_file.py"), "--check"]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
