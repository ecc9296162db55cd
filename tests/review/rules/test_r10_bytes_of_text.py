"""A score that implies more bytes than the validation text has is a violation, whatever counted them."""

import json
import math

import pytest

from mulligan.review.rules import r10_bytes_of_text
from script_subject import findings, not_checked, subject_of

TOKENS = 62_021_632
RIGHT = 151_080_891 / TOKENS
"""Bytes per token."""


def line(bytes_per_token, nats=2.0):
    return f"final_exact val_loss:{nats:.8f} val_bpb:{nats / math.log(2) / bytes_per_token:.8f}\n"


def found(tmp_path, files, script="x = 1\n"):
    return findings(r10_bytes_of_text, subject_of(tmp_path, script, files))


@pytest.mark.parametrize("head", [f"val_loader:shards pattern=x tokens:{TOKENS}\n", f"val_tokens: {TOKENS:,}\n"])
def test_bytes_that_the_text_does_not_have_are_a_violation_with_the_line(tmp_path, head):
    (one,) = found(tmp_path, {"a.log": head + "train_loss:3\n" + line(1.17 * RIGHT)})
    assert (one.severity, one.file, one.line) == ("violation", "a.log", 3)
    assert "1.170 times" in one.message
    assert found(tmp_path, {"a.log": head + line(RIGHT)}) == []
    assert found(tmp_path, {"a.log": head + line(0.9 * RIGHT)}) == []


def test_a_mixture_s_bits_beside_the_network_s_nats_say_nothing(tmp_path):
    head = f"val_tokens: {TOKENS}\n"
    assert found(tmp_path, {"a.log": head + line(1.2 * RIGHT), "b.log": head + line(RIGHT)}) == []


def test_without_a_count_of_tokens_the_named_tokenization_tells(tmp_path):
    script = 'DATA = "data/fineweb10B_sp1024"\n'
    assert len(found(tmp_path, {"a.log": line(1.17 * RIGHT)}, script)) == 1
    assert found(tmp_path, {"a.log": line(1.05 * RIGHT)}, script) == []  # the first documents alone have as many
    assert found(tmp_path, {"a.log": line(1.17 * RIGHT)}, script + 'OTHER = "fineweb10B_sp7000"\n') == []
    assert found(tmp_path, {"a.log": line(1.17 * RIGHT)}) == []


def test_submission_json_tells_where_no_log_does(tmp_path):
    stated = {"submission.json": json.dumps({"val_loss": 2.01234567, "val_bpb": 2.01234567 / math.log(2) / (1.17 * RIGHT)})}
    script = 'DATA = "data/fineweb10B_sp1024"\n'
    assert [one.file for one in found(tmp_path, stated, script)] == ["submission.json"]
    assert found(tmp_path, stated | {"a.log": line(RIGHT)}, script) == []


@pytest.mark.parametrize("about", ["{", "[]", '{"val_loss": "a", "val_bpb": 1}', '{"val_loss": 0, "val_bpb": 0}'])
def test_nothing_to_read_is_not_checked(tmp_path, about):
    subject = subject_of(tmp_path, "x = 1\n", {"submission.json": about, "a.log": "val_loss:0.0001 val_bpb:0.0000\n"})
    assert findings(r10_bytes_of_text, subject) == []
    assert len(not_checked(r10_bytes_of_text, subject)) == 1
