"""What a rule is given."""

import pytest

from mulligan.review.subject import Subject


def test_a_subject_is_the_entry_its_layers_and_what_it_reaches(tmp_path):
    (tmp_path / "train_gpt.py").write_text("import wide\nimport torch\n")
    (tmp_path / "wide.py").write_text("x = 1\n")
    (tmp_path / "unused.py").write_text("x = (\n")
    subject = Subject.read(tmp_path)
    assert (subject.entry, subject.problems) == ("train_gpt.py", ())
    assert [(source.file, source.layer) for source in subject.sources] == [("train_gpt.py", 0), ("wide.py", 0)]
    assert subject.folder.folder == tmp_path
    (tmp_path / "wide.py").write_text("x = 1\ny = (\n")
    assert [(found.file, found.line) for found in Subject.read(tmp_path).problems] == [("wide.py", 2)]
    assert Subject.read(tmp_path / "wide.py").entry == "wide.py"
    with pytest.raises(OSError, match="nowhere"):
        Subject.read(tmp_path / "nowhere")
