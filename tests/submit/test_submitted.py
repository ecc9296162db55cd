"""A folder is read as it lies on disk, and nothing outside of it, however its files are made."""

import json
import os

from mulligan.submit.submitted import MOST_LOG, Submitted

LOG = "step:1/2 train_loss:2.0\nstep:2/2 val_loss:2.0 val_bpb:1.2\n"


def test_links_out_of_the_folder_pipes_and_endless_files_are_no_files(tmp_path):
    folder, outside = tmp_path / "folder", tmp_path / "outside"
    for path in (folder / "logs", outside):
        path.mkdir(parents=True)
    (folder / "logs" / "kept.log").write_text(LOG)
    (folder / "logs" / "linked.log").symlink_to("kept.log")
    (outside / "secret.log").write_text(LOG)
    (outside / "submission.json").write_text(json.dumps({"name": "x"}))
    (outside / "train_gpt.py").write_text("x = 1\n")
    (folder / "secret.log").symlink_to(outside / "secret.log")
    (folder / "submission.json").symlink_to(outside / "submission.json")
    (folder / "train_gpt.py").symlink_to(outside / "train_gpt.py")
    (folder / "more").symlink_to(outside)
    (folder / "endless.txt").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe.log")
    submitted = Submitted(folder)
    assert [path.name for path in submitted.files] == ["kept.log", "linked.log"]
    assert [submitted.name_of(log) for log in submitted.logs] == ["logs/kept.log", "logs/linked.log"]
    assert (submitted.about, submitted.script) == ("not there", None)


def test_a_log_beyond_the_bound_is_not_read(tmp_path):
    (tmp_path / "kept.log").write_bytes(LOG.replace("\n", "\r\n").encode())
    with (tmp_path / "huge.log").open("wb") as file:
        file.write(LOG.encode())
        file.truncate(MOST_LOG + 1)
    submitted = Submitted(tmp_path)
    assert [submitted.name_of(log) for log in submitted.logs] == ["kept.log"]
    assert len(submitted.files) == 2
