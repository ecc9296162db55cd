"""R1: bytes of artifact and code, from logs, from the folder, from submission.json."""

from submission_folder import SCORES, found, log_text, reasons, write_folder


def test_a_folder_within_the_cap_passes(tmp_path):
    folder = write_folder(tmp_path)
    assert found(folder, "R1") == []
    assert reasons(folder, "R1") == []


def test_the_shipped_code_counts_and_not_the_logged_one(tmp_path):
    folder = write_folder(tmp_path, script="#" + "x" * 89_999, payload=15_920_000, code=80_000)
    (first, *others) = found(folder, "R1")
    assert first[:3] == ("violation", "train_seed1.log", 9)
    assert "artifact 15,920,000 + code 90,000 (its log counts 80,000) = 16,010,000 bytes, 10,000 over 16,000,000" in first[3]
    assert len(others) == 2


def test_code_that_the_log_counts_packed_is_a_warning(tmp_path):
    folder = write_folder(tmp_path, script="#" + "x" * 149_999, payload=15_920_000, code=30_000)
    assert {severity for severity, *_ in found(folder, "R1")} == {"warning"}
    assert "packed it would fit (50,000 bytes left)" in found(folder, "R1")[0][3]


def test_data_and_c_sources_that_the_script_names_count(tmp_path):
    folder = write_folder(tmp_path, script="open('table.npz'); load('fast.c')\n", payload=15_999_000)
    (folder / "unread.npz").write_bytes(bytes(9_000))
    (folder / "table.npz").write_bytes(bytes(600))
    (folder / "fast.c").write_bytes(bytes(390))
    assert "of which fast.c 390, of which table.npz 600" in found(folder, "R1")[0][3]
    (folder / "fast.c").write_bytes(bytes(300))
    assert found(folder, "R1") == []


def test_a_run_that_is_not_claimed_is_a_warning(tmp_path):
    other = {"ablation.log": log_text(9, 1.5, payload=16_100_000)}
    claimed = {"seed_results": {str(seed): {"val_bpb": score} for seed, score in SCORES.items()}}
    folder = write_folder(tmp_path, about=claimed, logs=other)
    assert [one[:2] for one in found(folder, "R1")] == [("warning", "ablation.log")]


def test_without_a_log_the_artifact_beside_counts(tmp_path):
    folder = write_folder(tmp_path, {1: 1.2}, script="open('model.ptz')\n", logs={"train_seed1.log": None})
    (folder / "model.ptz").write_bytes(b"")
    with (folder / "model.ptz").open("wb") as file:
        file.truncate(16_000_000)
    ((severity, file, line, message),) = found(folder, "R1")
    assert (severity, file, line) == ("violation", "model.ptz", None)
    assert "16,000,000 + code 18 = 16,000,018 bytes, 18 over" in message


def test_without_any_file_the_stated_bytes_count(tmp_path):
    folder = write_folder(tmp_path, {1: 1.2}, about={"bytes_total": 16_000_001}, logs={"train_seed1.log": None})
    assert [one[:3] for one in found(folder, "R1")] == [("violation", "submission.json", 7)]
    (folder / "submission.json").write_text("{}")
    assert "no log and no submission.json states" in reasons(folder, "R1")[0]


def test_a_total_that_is_no_sum_is_told(tmp_path):
    text = log_text(1, 1.22).replace("size int6+zstd: 15900030", "size int6+zstd: 15800030")
    ((severity, file, line, message),) = found(write_folder(tmp_path, logs={"train_seed1.log": text}), "R1")
    assert (severity, file, line) == ("warning", "train_seed1.log", 11)
    assert "states 15,800,030 bytes in all; its artifact 15,900,000 + code 30 = 15,900,030" in message
