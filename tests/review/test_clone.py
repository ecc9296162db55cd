"""A clone's folders from git objects: the main branch's, and what each pull-request head adds since it left main."""

import pytest

from mulligan.review.clone import Clone, is_clone
from mulligan.review.many import patterns, review_clone, write_csv
from small_clone import TRACK, git, put

GPT = "x = 1\n"


def commit(root, message):
    git(root, "add", "-A")
    git(root, "commit", "-qm", message)


def head(root, number, start="main"):
    git(root, "checkout", "-q", "--detach", start)
    return f"refs/pull/{number}/head"


def publish(root, ref):
    commit(root, ref)
    git(root, "update-ref", ref, "HEAD")
    git(root, "checkout", "-q", "main")


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """Main with one record; head 7 adds one, 8 adds the same code with another README, 9 merged main and adds nothing."""
    root = tmp_path_factory.mktemp("clone")
    git(root, "init", "-q", "-b", "main")
    put(root, f"{TRACK}/old/train_gpt.py", GPT)
    put(root, f"{TRACK}/old/README.md", "# old\n")
    commit(root, "old")
    seventh = head(root, 7)
    put(root, f"{TRACK}/seven/train_gpt.py", "y = 2\n")
    put(root, f"{TRACK}/seven/lib/part.py", "z = 3\n")
    put(root, f"{TRACK}/seven/README.md", "# seven\n")
    (root / TRACK / "seven" / "link.py").symlink_to("/etc/passwd")
    publish(root, seventh)
    put(root, f"{TRACK}/later/train_gpt.py", GPT)
    commit(root, "later")
    eighth = head(root, 8, "main~1")
    put(root, f"{TRACK}/eight/train_gpt.py", "y = 2\n")
    put(root, f"{TRACK}/eight/lib/part.py", "z = 3\n")
    put(root, f"{TRACK}/eight/README.md", "# Non-record: eight\n")
    publish(root, eighth)
    ninth = head(root, 9, "main~1")
    put(root, "notes.md", "no record\n")
    commit(root, "notes")
    git(root, "merge", "-q", "--no-edit", "main")
    put(root, "more.md", "none\n")
    publish(root, ninth)
    return root


def test_a_head_has_its_own_folders_alone(clone):
    with Clone(clone) as opened:
        assert opened.heads() == [f"refs/pull/{number}/head" for number in (7, 8, 9)]
        assert [[folder.path for folder in opened.new_in(ref)] for ref in opened.heads()] == [
            [f"{TRACK}/seven"],
            [f"{TRACK}/eight"],
            [],
        ]
        assert [folder.path for folder in opened.of_main()] == [f"{TRACK}/later", f"{TRACK}/old"]
        (seven,), (eight,) = (opened.new_in(ref) for ref in opened.heads()[:2])
        assert seven.code == eight.code
        assert seven.digest != eight.digest


def test_a_folder_is_written_without_links(clone, tmp_path):
    with Clone(clone) as opened:
        opened.write(opened.new_in("refs/pull/7/head")[0], tmp_path)
    written = {path.relative_to(tmp_path).as_posix(): path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {"train_gpt.py": "y = 2\n", "lib/part.py": "z = 3\n", "README.md": "# seven\n"}


def test_a_long_file_keeps_its_size_and_a_part_of_its_bytes(clone, tmp_path, monkeypatch):
    monkeypatch.setattr("mulligan.review.clone.MOST_FILE_BYTES", 3)
    monkeypatch.setattr("mulligan.review.clone.CHUNK", 3)
    with Clone(clone) as opened:
        opened.write(opened.new_in("refs/pull/7/head")[0], tmp_path)
    assert (tmp_path / "train_gpt.py").read_bytes() == b"y =" + bytes(3)


def test_heads_are_reviewed_once_for_each_code_and_once_for_each_tree(clone, tmp_path):
    found = review_clone(clone, heads=True, processes=0)
    assert [(one.path, one.same_code) for one in found] == [
        (f"{TRACK}/seven", ""),
        (f"{TRACK}/eight", f"refs/pull/7/head:{TRACK}/seven"),
    ]
    assert [one.review.verdict for one in found] == ["findings", "clean"]  # the second is no record, so it is only warned
    assert not any(one.review.crashes for one in found)
    assert patterns(found) == [
        {"pattern": "R11 evidence", "folders": 1, "such_as": [f"refs/pull/7/head:{TRACK}/seven"]},
        {"pattern": "clean", "folders": 1, "such_as": [f"refs/pull/8/head:{TRACK}/eight"]},
    ]
    write_csv(tmp_path / "rows.csv", found)
    assert (
        (tmp_path / "rows.csv").read_text().splitlines()[1].startswith(f"refs/pull/7/head,{TRACK}/seven,findings,R11 evidence,")
    )


def test_what_is_no_clone_is_told(tmp_path):
    assert not is_clone(tmp_path)
    (tmp_path / "records").mkdir()
    assert is_clone(tmp_path)
    with pytest.raises(ValueError, match="pull-request heads need git"):
        review_clone(tmp_path, heads=True)
    git(tmp_path, "init", "-q", "-b", "other")
    with pytest.raises(ValueError, match="no branch of main"):
        review_clone(tmp_path, heads=True)
