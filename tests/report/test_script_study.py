"""The page of a study of somebody's own script: its readings have names only, and much is not known of it."""

import sys

import pytest

from mulligan.engine.pool import PoolSize
from mulligan.report.markdown import study_markdown
from mulligan.report.numbers import study_rows
from mulligan.report.study_page import study_page
from mulligan.store.store import Store
from mulligan.study.config import load_study
from mulligan.study.execute import run_study
from mulligan.study.plan import lay_study

SCRIPT = """
import os
seed, qat = int(os.environ["SEED"]), os.environ["QAT"] == "1"
for step in (0, 50, 100):
    print(f"step:{step}/100 val_loss:2.0 val_bpb:{4 if step == 0 else 1.3 - 0.001 * step - 0.01 * qat}")
if not os.environ.get("SILENT"):
    print("Serialized model int8+zlib: 15000000 bytes")
    print(f"Code size: {2000000 if qat else 50000} bytes")
print(f"quantized val_loss:2.0 val_bpb:{1.2 + 0.001 * seed - 0.01 * qat + 0.0001 * seed * qat}")
"""

STUDY = """
question = "Does QAT help my script?"
phase = "explore"
recipe = {{script = "{script}", launch = "{python}"}}
seeds = [0, 1]
budget = {{kind = "steps"}}
design = {{kind = "sweep"}}
margin_bpb = 0.002
metric = {{log = "quantized"}}
secondary = [{{kind = "payload-bytes"}}]
changes = {changes}
factors.qat = {{path = "QAT", values = [0, 1]}}
"""


def run(folder, changes="{}"):
    (folder / "train_gpt.py").write_text(SCRIPT)
    file = folder / "study.toml"
    file.write_text(STUDY.format(script=folder / "train_gpt.py", python=sys.executable, changes=changes))
    laid, store = lay_study(load_study(file)), Store(folder / "store")
    return run_study(laid, store, PoolSize(2, 1)), laid, store


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    return run(tmp_path_factory.mktemp("script"))


def test_its_page_shows_what_the_log_says(script):
    page = study_page(*script)
    assert "by the script&#39;s own settings" in page
    assert "as the script logs it" in page
    assert "train_gpt.py</code>, run as it is" in page
    assert page.count("<svg") == 3
    for title in ("Differences from the baseline", "Validation score by step", "Payload and code bytes"):
        assert f"<figcaption>{title}" in page
    assert "budget 16,000,000" in page  # the line in the figure of bytes
    assert "<b>over</b>" in page
    assert ">over budget</span>" in page
    assert "a script logs sums only" in page


def test_its_numbers_have_the_names_of_the_log(script):
    found = {row[:3]: row[3] for row in study_rows(script[0])}
    assert found["qat=1", "1", "reading: quantized: bits_per_byte"] == pytest.approx(1.1911)
    assert found["qat=0", "0", "artifact: total_bytes"] == 15_050_000
    assert "| over budget | 15,000,000 |" in study_markdown(script[0])


def test_a_log_without_bytes_has_a_page_too(tmp_path):
    result, laid, store = run(tmp_path, '{SILENT = "1"}')
    page = study_page(result, laid, store)
    assert page.count("<svg") == 2
    assert "The bytes of no cell are known" in page
    assert not any(row[2].startswith("artifact: payload") for row in study_rows(result))
    assert ">better</span>" in page
