"""`mulligan study report` and `mulligan report`: files written, and errors that say what to do."""

import json
import shutil

import pytest

from mulligan.cli.main import make_app
from mulligan.store.store import Store


def call(*arguments):
    return make_app()([str(argument) for argument in arguments], exit_on_error=False, print_error=False)


def test_study_report_writes_page_csv_and_markdown(finished, tmp_path, capsys):
    files = [tmp_path / name for name in ("page.html", "numbers.csv", "body.md")]
    page, numbers, body = files
    assert call("study", "report", *finished.arguments, "--out", page, "--csv", numbers, "--markdown", body) == 0
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == [str(file) for file in files]
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert page.read_text().rstrip().endswith("</html>")
    assert numbers.read_text().startswith("arm,seed,metric,value,unit\n")
    assert body.read_text().startswith("## Do late QAT and SWA help each other?")


def test_study_report_prints_the_result_as_json(finished, tmp_path, capsys):
    assert call("study", "report", *finished.arguments, "--out", tmp_path / "page.html", "--json") == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(finished.result))


def test_a_study_that_was_not_run_or_has_changed_is_refused(finished, tmp_path):
    with pytest.raises(ValueError, match=r"no result of this study .* Run `mulligan study run"):
        call("study", "report", *finished.arguments[:3], "--store", tmp_path / "empty", "--out", tmp_path / "page.html")
    changed = tmp_path / "study.toml"
    changed.write_text(finished.file.read_text().replace("margin_bpb = 0.01", "margin_bpb = 0.02"))
    with pytest.raises(ValueError, match=f"{finished.result['hash']} \\(differs in margin_bpb\\)"):
        call("study", "report", changed, *finished.arguments[1:], "--out", tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_a_folder_that_is_not_there_is_named_before_anything_is_read(finished, tmp_path):
    with pytest.raises(ValueError, match=r"the folder .*nowhere does not exist"):
        call("study", "report", *finished.arguments, "--out", tmp_path / "nowhere" / "page.html")


@pytest.fixture(scope="module")
def run_store(finished, tmp_path_factory):
    store = tmp_path_factory.mktemp("runs") / "store"
    arguments = (finished.recipe, "--data", finished.corpus, "--store", store, "--threads", "1")
    assert call("run", *arguments) == 0
    assert call("run", *arguments, "--seed", "1") == 0
    return store


def test_report_of_a_run_needs_neither_recipe_nor_corpus(run_store, tmp_path, capsys):
    page, numbers = tmp_path / "page.html", tmp_path / "numbers.csv"
    assert call("report", "toy-seed1", "--store", run_store, "--out", page, "--csv", numbers, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["seed"], len(result["readings"])) == (1, 6)
    text = page.read_text()
    assert "://" not in text
    assert text.count("<svg") == 2
    for reading in result["readings"]:
        assert f"{reading['bits_per_byte']:.4f}" in text
        assert f',1,"reading: {reading["point"]}, {reading["windows"]}, 8, stride' in numbers.read_text()
    assert f"{result['artifact']['payload_bytes']:,}" in text
    assert "train.momentum" not in text
    assert "train.seq_len = 8" in text


def test_a_runs_page_shows_the_errors_of_every_tensor(finished, tmp_path):
    weighted = 'quantize.calibration={kind = "train-split", num_sequences = 2, seq_len = 8}'
    arguments = (finished.recipe, "--data", finished.corpus, "--store", tmp_path / "store", "--threads", "1", "--set", weighted)
    assert call("run", *arguments) == 0
    assert call("report", "toy-seed0", "--store", tmp_path / "store", "--out", tmp_path / "page.html") == 0
    made = next(e for e in Store(tmp_path / "store").entries() if e.manifest["header"]["stage"] == "quantize").summary()
    text = (tmp_path / "page.html").read_text()
    for name, tensor in made["tensors"].items():
        row = next(line for line in text.splitlines() if f"<code>{name}</code>" in line)
        cells = [tensor["relative_rms_error"], tensor.get("relative_hessian_error")]
        shown = "".join(f'<td class="n">{"" if cell is None else format(100 * cell, ".2f")}</td>' for cell in cells)
        kurtosis = format(tensor["excess_kurtosis"], "+.2f") if "excess_kurtosis" in tensor else ""
        assert row.endswith(f'{shown}<td class="n">{kurtosis}</td></tr>')


def test_a_runs_page_says_what_quantizing_did_to_the_checkpoint_over_documents(run_store, tmp_path, capsys):
    page = tmp_path / "page.html"
    assert call("report", "toy-seed1", "--store", run_store, "--out", page, "--json") == 0
    readings = {(r["point"], r["windows"]): r["bits_per_byte"] for r in json.loads(capsys.readouterr().out)["readings"]}
    source = "averaged" if ("averaged", "flat") in readings else "raw"
    text = page.read_text()
    assert "over documents" in text
    assert "nothing of another seed" in text
    for windows in ("flat", "sliding"):
        difference = 1000 * (readings["quantized", windows] - readings[source, windows])
        assert f"{difference:+.2f}" in text


def test_a_name_that_fits_no_run_or_several_is_refused_with_the_names_there_are(run_store, tmp_path):
    out = ("--store", run_store, "--out", tmp_path / "page.html")
    with pytest.raises(ValueError, match=r"2 runs begin with 'toy'. Give one of: toy-seed0-\w+, toy-seed1-\w+"):
        call("report", "toy", *out)
    with pytest.raises(ValueError, match=r"No run is called 'nothing' .* Give one of: toy-seed0"):
        call("report", "nothing", *out)


def test_an_unfinished_run_is_refused(run_store, tmp_path):
    store = tmp_path / "store"
    shutil.copytree(run_store, store)
    record = json.loads(next(store.glob("runs/toy-seed0-*")).read_text())
    shutil.rmtree(store / "objects" / record["keys"][-1][:2] / record["keys"][-1])
    with pytest.raises(ValueError, match=r"this run is not finished, .* is not in the store"):
        call("report", "toy-seed0", "--store", store, "--out", tmp_path / "page.html")


def test_the_page_of_an_adapted_run_says_what_adaptation_did(run_store, finished, tmp_path, capsys):
    adapted = ["--set", 'evaluate.adaptation={kind = "sgd", chunk_tokens = 64, lr = 0.1}']
    arguments = ("run", finished.recipe, "--data", finished.corpus, "--store", run_store, "--threads", "1", *adapted, "--json")
    assert call(*arguments) == 0
    readings = {(r["point"], r["windows"]): r["bits_per_byte"] for r in json.loads(capsys.readouterr().out)["readings"]}
    (record,) = [path.stem for path in (run_store / "runs").glob("*.json") if '"sgd"' in path.read_text()]
    page = tmp_path / "page.html"
    assert call("report", record, "--store", run_store, "--out", page) == 0
    row = page.read_text().split("<td>sliding adapted</td>", 1)[1].split("</tr>", 1)[0]
    assert "<td>sliding quantized</td>" in row
    difference = 1000 * (readings["adapted", "sliding"] - readings["quantized", "sliding"])
    assert f"{difference:+.2f}" in row
