"""Characters that are not seen, or that turn text round, are told with file and line."""

import pytest

from mulligan.review.rules import hidden_text
from script_subject import findings, subject_of


@pytest.mark.parametrize("character", ["\u202e", "\u2066", "\u200b", "\u2060", "\U000e0041", "\u00ad", "\u200d", "\ufeff"])
def test_a_hidden_character_is_a_warning_with_its_line(tmp_path, character):
    (one,) = findings(hidden_text, subject_of(tmp_path, f"x = 1\ny = 2  # a{character}b\n"))
    assert (one.severity, one.line) == ("warning", 2)
    assert f"U+{ord(character):04X}" in one.message


def test_a_name_of_two_scripts_is_a_warning(tmp_path):
    (one,) = findings(hidden_text, subject_of(tmp_path, "score = 1\ns\u0441ore = 2\n"))
    assert "CYRILLIC and LATIN" in one.message


def test_ordinary_text_passes(tmp_path):
    words = "d\u00e9j\u00e0 vu \u2581 \u03b1\u03b2 \u0440\u0443\u0441 \U0001f468\u200d\U0001f4bb \u2014 \u2192"
    text = f"\ufeffx = '{words}'\n\u03b1 = \u03b7_max = 1\n"
    assert findings(hidden_text, subject_of(tmp_path, text)) == []


def test_a_file_full_of_them_gives_ten_findings(tmp_path):
    assert len(findings(hidden_text, subject_of(tmp_path, "# \u202e\n" * 50))) == 10
