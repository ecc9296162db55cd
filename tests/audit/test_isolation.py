"""A way of scoring that looks where it must not is seen, and gets nothing; a corpus is copied without its train split."""

import py_compile
import sys
from dataclasses import replace

import pytest

from mulligan.audit.case import Case
from mulligan.audit.child import Opened
from mulligan.audit.isolation import answer_of, isolation, library_folders, start, validation_alone
from mulligan.audit.judge import examinee_of
from mulligan.core.config import parse_config
from mulligan.core.execution import Execution
from mulligan.evaluate.config import EvaluateConfig
from mulligan.values.corpus import Corpus
from mulligan.values.weights import Weights
from toy import model_config, random_network, write_corpus

CURIOUS = '''
"""Curious windows.

What it does     Sliding windows, laid by one who looks around.
Why it may help  It does not.
Touches          evaluate: nothing that it may.
Cost             None.
Source           Here.
"""

import socket
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from mulligan.evaluate.config import UserWindows
from mulligan.evaluate.window import cover

with suppress(OSError):
    Path("SECRET").with_suffix(".as-it-is-loaded").read_bytes()


class Curious(UserWindows):
    """Windows that read what is beside the corpus and call somebody."""

    kind: Literal["curious"]
    example: ClassVar = {"context_len": 8, "stride": 4}

    def lay(self, starts, num_positions):
        found = []
        for look in (self.read, self.call):
            with suppress(OSError):
                found.append(look())
        if found:
            raise ValueError(f"{len(found)} of 2 were answered")
        return cover(np.array([0]), np.array([num_positions]), self.context_len, self.stride)

    def read(self):
        return Path("SECRET").read_bytes()

    def call(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            out.connect(("192.0.2.1", 9))
'''


def test_what_looks_around_is_seen_and_gets_nothing(tmp_path):
    corpus = write_corpus(tmp_path / "corpus")
    model = random_network(model_config(vocab_size=260)).eval()
    Weights(dict(model.state_dict()), model.config.canonical(), {"kind": "last"}).to_file(tmp_path / "weights.safetensors")
    secret = tmp_path / "corpus" / "train_000000.bin"
    (tmp_path / "lever.py").write_text(CURIOUS.replace("SECRET", str(secret)))
    data = {"windows": [{"kind": "flat", "context_len": 8}], "precision": "fp32", "bytes": "piece"}
    config = parse_config(EvaluateConfig, data, "")
    settings = {"point": "quantized", "windows": config.windows[0], "num_documents": 2, "split": "validation"}
    copy = validation_alone(corpus.folder, tmp_path / "copy")
    case = Case(config, settings, tmp_path / "weights.safetensors", copy, "cpu", 1, (tmp_path / "lever.py",), None).to_json()
    case["config"]["windows"] = [{"kind": "curious", "context_len": 8, "stride": 4}]
    readable = [*library_folders(), case["corpus"], case["weights"], *case["levers"]]
    (tmp_path / "scratch").mkdir()
    given = {"case": case, "path": library_folders(), "readable": readable}
    found = answer_of(start({**given, "forbidden": str(secret), "scratch": str(tmp_path / "scratch")}))
    assert isinstance(found, dict), found
    assert f"open {secret}" in found["outside"]
    assert f"open {secret.with_suffix('.as-it-is-loaded')}" in found["outside"]
    assert "socket.connect" in found["outside"]
    if not found["network"] and not found["files"]:  # else the kernel refuses to withhold them, and says so
        assert found["error"] is None
        assert found["digest"]


@pytest.mark.parametrize("cached", [True, False])
def test_the_compiled_form_of_a_lever_is_no_file_from_outside(tmp_path, cached):
    corpus = write_corpus(tmp_path / "corpus")
    (tmp_path / "lever.py").write_text(CURIOUS.replace("SECRET", str(tmp_path / "corpus" / "train_000000.bin")))
    if cached:
        py_compile.compile(str(tmp_path / "lever.py"))
    examinee = examinee_with_levers(tmp_path, corpus, (tmp_path / "lever.py",))
    opened, _, _ = isolation(examinee)
    assert "as-it-is-loaded" in opened.evidence  # what it does open from outside is told
    assert "__pycache__" not in opened.evidence
    assert opened.evidence.startswith("1 not allowed")


def examinee_with_levers(folder, corpus, levers):
    """Return a flat reading of a random network; its case names lever files."""
    model = random_network(model_config(vocab_size=260)).eval()
    weights = folder / "weights.safetensors"
    Weights(dict(model.state_dict()), model.config.canonical(), {"kind": "last"}).to_file(weights)
    data = {"windows": [{"kind": "flat", "context_len": 8}], "precision": "fp32", "bytes": "piece"}
    config = parse_config(EvaluateConfig, data, "")
    settings = {"point": "quantized", "windows": config.windows[0], "num_documents": 2, "split": "validation"}
    case = Case(config, settings, weights, corpus.folder, "cpu", 1, (), None)
    return replace(examinee_of(case, "flat", Execution("cpu")), case=replace(case, levers=levers))


def test_a_copy_has_the_validation_split_alone(tmp_path):
    corpus = write_corpus(tmp_path / "corpus")
    copy = Corpus.load(validation_alone(corpus.folder, tmp_path / "copy"))
    assert copy.digest == corpus.digest
    assert copy.tokens("validation").num_tokens == corpus.tokens("validation").num_tokens
    with pytest.raises(OSError, match="train"):
        copy.tokens("train")


@pytest.mark.parametrize(
    ("event", "arguments", "outside"),
    [
        ("open", ("/allowed/file", "r", 0), []),
        ("open", ("/allowed/../secret", "r", 0), ["open /secret"]),
        ("open", ("/allowedness", "r", 0), ["open /allowedness"]),
        ("open", ("/allowed/file", "w", 0), ["write /allowed/file"]),
        ("open", ("/allowed/file", None, 1), ["write /allowed/file"]),
        ("open", ("/scratch/file", "w", 0), []),
        ("open", (3, "w", 0), []),
        ("socket.connect", (), ["socket.connect"]),
        ("subprocess.Popen", (), ["subprocess.Popen"]),
        ("os.exec", (), ["os.exec"]),
        ("import", (), []),
    ],
)
def test_the_hook_keeps_what_is_not_allowed(event, arguments, outside):
    seen = Opened(["/allowed"], "/scratch")
    seen(event, arguments)
    assert seen.outside == outside


def test_a_process_that_fails_says_why():
    found = answer_of(start({"path": sys.path}))
    assert found.startswith("a process ended with code 1: KeyError")
