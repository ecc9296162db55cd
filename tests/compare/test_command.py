"""`mulligan compare` on the published runs."""

import json
import subprocess
import sys

import pytest

from mulligan.cli.main import main
from mulligan.compare.table import PUBLISHED

PR_989 = ["--where", "pr=989", "--where", "metric=val_bpb", "--where", "eval_mode=sliding64/T2048", "--split", "config"]
AS_REPORTED = [*PR_989, "--where", "run!=no_swa_qat_seed2024"]
FACTORS = ["--factors", "qat", "swa"]


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["mulligan", "compare", str(PUBLISHED), *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def test_one_json_object(monkeypatch, capsys):
    options = [*AS_REPORTED, *FACTORS, "--baseline", "qat=0,swa=1", "--margin", "0.001", "--json"]
    assert run(monkeypatch, *options) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["rows"], found["unit"], found["baseline"]) == (10, "bpb", "qat=0,swa=1")
    assert [item["verdict"] for item in found["contrasts"]] == ["worse", "better", "inconclusive"]
    assert len(found["where"]) == 4


def test_tables_for_people(monkeypatch, capsys):
    assert run(monkeypatch, *AS_REPORTED, *FACTORS, "--baseline", "qat=0,swa=1", "--margin", "0.001") == 0
    printed = capsys.readouterr().out
    for words in (
        "qat=0,swa=1 (baseline)",
        "2024: 1.1407396",
        "[-0.00509, -0.00221]",
        "BETTER (paired by seed)",
        "qat 0->1 x swa 1->0: BETTER than additive",
        "left out: 2024",
        "Noise floor: 0.000",
        "Holm p",
    ):
        assert words in printed


def test_the_default_baseline_is_the_first_level_of_each(monkeypatch, capsys):
    assert run(monkeypatch, *PR_989, "--where", "prune=5%", *FACTORS, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["baseline"] == "qat=0,swa=0"
    assert round(1000 * found["factorial"]["seeds_as_blocks"]["interactions"][0]["estimate"], 2) == 6.22


def test_one_run_per_arm_and_budget(monkeypatch, capsys):
    options = [
        "--where",
        "pr=199",
        "--where",
        "metric=val_bpb",
        "--where",
        "eval_mode=sliding64/T1024",
        "--split",
        "config",
        "--factors",
        "swa",
    ]
    assert run(monkeypatch, *options) == 0
    printed = capsys.readouterr().out
    assert "NOT TESTABLE" in printed
    assert "Noise floor: unknown" in printed
    assert run(monkeypatch, *AS_REPORTED, *FACTORS, "--over-budget", "qat=1,swa=0", "--baseline", "qat=0,swa=1") == 0
    printed = capsys.readouterr().out
    assert "OVER BUDGET" in printed
    assert "qat=1,swa=0 - qat=0,swa=1: BETTER" not in printed


def test_three_levels_print_an_f_table(monkeypatch, capsys, tmp_path):
    lines = [
        f"{bits},{swa},{seed},{1 + 0.01 * int(bits == '4') + 0.001 * ((seed * 7 + int(bits) * 3 + int(swa)) % 5)}"
        for bits in ("4", "6", "8")
        for swa in ("0", "1")
        for seed in (1, 2, 3)
    ]
    (tmp_path / "x.csv").write_text("\n".join(["bits,swa,run,bpb", *lines]))
    monkeypatch.setattr(sys, "argv", ["mulligan", "compare", str(tmp_path / "x.csv"), "--factors", "bits", "swa"])
    sys.argv += ["--seed-column", "run", "--metric", "bpb", "--higher-is-better"]
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert "F tests (type 2)" in printed
    assert "higher is better" in printed


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([*PR_989, *FACTORS], "two rows with seed 2024"),
        (["--where", "pr=7", "--factors", "pr"], "Values of pr there: 50, 77, 96, 180, 199"),
        (["--factors", "qat"], "--split"),
        ([*AS_REPORTED, *FACTORS, "--baseline", "qat=2,swa=1"], "--baseline qat=2,swa=1: no such arm"),
        ([*AS_REPORTED, *FACTORS, "--margin", "-1"], "margin = -1"),
        ([*AS_REPORTED, *FACTORS, "--alpha", "2"], "alpha = 2"),
        ([*AS_REPORTED, "--where", "qat=1", "--where", "swa=1", *FACTORS], "hold one arm"),
        ([*AS_REPORTED], "factors"),
    ],
)
def test_bad_input_is_code_2_and_a_sentence(options, words, monkeypatch, capsys):
    assert run(monkeypatch, *options) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error


def test_no_torch_is_imported():
    code = (
        "import sys; from mulligan.compare import report, record, power, noise, verdict; import mulligan.cli.compare;"
        "print(sorted({'torch', 'sentencepiece', 'mulligan.store', 'mulligan.recipe'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
