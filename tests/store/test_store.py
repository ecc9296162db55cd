"""The store publishes at once or not at all, verifies what it reads, and keeps the first of two values."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mulligan.core.error import StoreCorruptError
from mulligan.store.stage_call import OutsideInput, StageCall
from mulligan.store.store import MANIFEST, Store

CALL = StageCall("toy", 1, {"kind": "a"}, (OutsideInput("text", "0" * 64),), seed=3)


def write(text):
    def save(folder: Path) -> None:
        (folder / "value.txt").write_text(text)
        (folder / "summary.json").write_text('{"n":1}')

    return save


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def test_a_published_value_is_found_and_read(store):
    assert not store.has(CALL)
    store.publish(CALL, write("hello"), {"seconds": 1.5})
    entry = Store(store.root).open(CALL)
    assert (entry.folder / "value.txt").read_text() == "hello"
    assert entry.summary() == {"n": 1}
    assert entry.manifest["provenance"]["seconds"] == 1.5


def test_the_key_is_the_digest_of_what_bears_identity_alone():
    assert CALL.key == StageCall("toy", 1, {"kind": "a"}, (OutsideInput("renamed", "0" * 64),), seed=3).key
    others = [
        StageCall("toy", 2, {"kind": "a"}, CALL.inputs, seed=3),
        StageCall("toy", 1, {"kind": "b"}, CALL.inputs, seed=3),
        StageCall("toy", 1, {"kind": "a"}, CALL.inputs, seed=4),
        StageCall("toy", 1, {"kind": "a"}, CALL.inputs),
        StageCall("toy", 1, {"kind": "a"}, (), seed=3),
        StageCall("toy", 1, {"kind": "a"}, (CALL,), seed=3),
        StageCall("yot", 1, {"kind": "a"}, CALL.inputs, seed=3),
    ]
    assert len({CALL.key, *(call.key for call in others)}) == 8


def test_a_failing_writer_leaves_nothing(store):
    def fail(folder: Path) -> None:
        (folder / "value.txt").write_text("half")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        store.publish(CALL, fail, {})
    assert not store.has(CALL)
    assert not any((store.root / "tmp").iterdir())


def test_a_torn_folder_is_a_miss_and_is_replaced(store):
    folder = store.folder(CALL.key)
    folder.mkdir(parents=True)
    (folder / "value.txt").write_text("torn")
    assert not store.has(CALL)
    store.publish(CALL, write("whole"), {})
    assert (store.open(CALL).folder / "value.txt").read_text() == "whole"


def test_the_first_of_two_different_values_is_kept_and_both_are_recorded(store):
    first = store.publish(CALL, write("first"), {})
    assert store.publish(CALL, write("first"), {}).reproduced
    second = store.publish(CALL, write("second"), {})
    assert not second.reproduced
    assert (second.folder / "value.txt").read_text() == "first"
    (rerun,) = store.reruns()
    assert rerun["kept"] == first.digest != rerun["other"]


@pytest.mark.parametrize("name", ["value.txt", "summary.json", MANIFEST])
def test_a_flipped_bit_is_found_and_named(store, name):
    path = store.publish(CALL, write("hello"), {}).folder / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoreCorruptError, match=name):
        Store(store.root).open(CALL)
    assert name in store.verify()[0]


def test_every_byte_of_a_manifest_is_protected(store):
    path = store.publish(CALL, write("hello"), {}).folder / MANIFEST
    content = path.read_bytes()
    for i in range(0, len(content), 7):
        path.write_bytes(content[:i] + bytes([content[i] ^ 4]) + content[i + 1 :])
        with pytest.raises(StoreCorruptError):
            Store(store.root).open(CALL)


def test_a_missing_file_is_found(store):
    (store.publish(CALL, write("hello"), {}).folder / "value.txt").unlink()
    with pytest.raises(StoreCorruptError, match="no such file"):
        Store(store.root).open(CALL)


def test_gc_keeps_what_a_run_names(store):
    other = StageCall("toy", 1, {"kind": "b"})
    store.publish(CALL, write("kept"), {})
    store.publish(other, write("loose"), {})
    store.record_run("run", {"keys": [CALL.key]})
    assert store.gc(dry_run=True)[0] == 1
    assert store.has(other)
    assert store.gc()[0] == 1
    assert store.has(CALL)
    assert not store.has(other)
    assert store.verify() == []


def test_keys_do_not_depend_on_the_process(tmp_path):
    code = "from mulligan.store.stage_call import StageCall; print(StageCall('toy', 1, {'b': 1.5, 'a': ['x', None]}).key)"
    keys = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert keys == {StageCall("toy", 1, {"a": ["x", None], "b": 1.5}).key + "\n"}


def test_a_killed_writer_leaves_a_miss(store):
    """A process that dies in the middle of publishing has published nothing."""
    code = f"""
import os, signal
from pathlib import Path
from mulligan.store.stage_call import StageCall
from mulligan.store.store import Store
def save(folder):
    (folder / "summary.json").write_text("{{}}")
    os.kill(os.getpid(), signal.SIGKILL)
Store(Path({str(store.root)!r})).publish(StageCall("toy", 1, {{}}), save, {{}})
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    call = StageCall("toy", 1, {})
    assert not store.has(call)
    store.publish(call, write("whole"), {})
    assert store.verify() == []


def test_manifest_is_written_in_canonical_json(store):
    text = (store.publish(CALL, write("hello"), {}).folder / MANIFEST).read_text()
    assert json.loads(text)["header"] == CALL.header
