"""A study whose arms are fitted to the same bytes: each cell's knob is settled on its own, then compared as a plain run."""

import pytest

from mulligan.core.config import parse_config
from mulligan.engine.job import Outside
from mulligan.engine.pool import PoolSize
from mulligan.recipe import Recipe, to_toml
from mulligan.report.study_page import study_page
from mulligan.store.stage_call import OutsideInput
from mulligan.store.store import Store
from mulligan.study.config import load_study
from mulligan.study.execute import run_study
from mulligan.study.plan import lay_study
from toy import model_config, recipe_data, write_corpus

STUDY = """
question = "Does SWA help at equal bytes?"
phase = "explore"
recipe = "{recipe}"
seeds = [0, 1]
budget = {{kind = "steps"}}
design = {{kind = "sweep"}}
margin_bpb = 0.01
metric = {{point = "quantized", windows = "sliding", context_len = 8, stride = 2}}
secondary = [{{kind = "payload-bytes"}}]
[changes]
budget_bytes = 40000
fit = {{budget_bytes = {budget}, code_reserve_bytes = 1000, train_documents = 5, knob = {{kind = "number", path = "{k}", low = 2.0, high = 60.0}}}}
[factors.swa.levels]
off = {{average = {{kind = "last"}}}}
on = {{average = {{kind = "swa", start = {{kind = "lr-scale-below", value = 0.8}}, every_steps = 2}}}}
"""  # noqa: E501
K = "grid.families.0.format.scale.k"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    made = write_corpus(folder / "corpus")
    scale = {"kind": "standard-deviations", "k": 12.0}
    families = [
        {"match": ["*.weight"], "format": {"kind": "int", "bits": 6, "scale": scale}},
        {"match": ["*"], "format": {"kind": "fp16"}},
    ]
    model = model_config(vocab_size=260, model_dim=64).model_dump(mode="json")
    data = recipe_data(grid={"families": families}, model=model)
    (folder / "toy.toml").write_text(to_toml(parse_config(Recipe, data, "")))
    return folder, Outside(made.folder, OutsideInput("corpus", made.digest))


def lay(place, store, budget):
    folder, corpus = place
    (folder / "study.toml").write_text(STUDY.format(recipe=folder / "toy.toml", budget=budget, k=K))
    return lay_study(load_study(folder / "study.toml"), corpus, store)


def test_every_cell_lands_under_the_cap_by_a_setting_of_its_own(place, tmp_path):
    store = Store(tmp_path)
    laid = lay(place, store, 38_000)
    assert all(cell.pending for cell in laid.cells)
    laid_without_store = lay(place, None, 38_000)
    assert laid_without_store.hash == laid.hash
    result = run_study(laid_without_store, store, PoolSize(1, 1))
    assert {cell["status"] for cell in result["cells"]} == {"done"}
    payloads = [cell["values"]["payload-bytes"] for cell in result["cells"]]
    assert all(0.998 * 38_000 <= payload + 1000 <= 38_000 for payload in payloads)
    assert len({cell["fit"][K] for cell in result["cells"]}) > 1
    assert all(cell["artifact"]["budget_bytes"] == 38_000 for cell in result["cells"])
    again = lay(place, store, 38_000)
    assert not any(cell.pending for cell in again.cells)
    assert again.hash == laid.hash
    page = study_page(result, again, store)
    assert "Fitted to the budget" in page
    assert all(f'<td class="n">{cell["fit"][K]}</td>' in page for cell in result["cells"])
    assert [cell.road.recipe.grid for cell in again.cells] != [laid.cells[0].road.recipe.grid] * 4


def test_a_cap_that_nothing_meets_fails_the_cells_and_not_the_study(place, tmp_path):
    store = Store(tmp_path)
    result = run_study(lay(place, store, 5_000), store, PoolSize(1, 1))
    assert {cell["status"] for cell in result["cells"]} == {"failed"}
    assert all("closest miss" in cell["error"] for cell in result["cells"])
