"""What a review makes of the rules' findings: order, statuses, a rule that fails, JSON and Markdown."""

import types

import pytest

from mulligan.review.card import HEADINGS, rule_of
from mulligan.review.finding import Finding, NotChecked
from mulligan.review.markdown import review_markdown
from mulligan.review.review import CRASHED, review
from mulligan.review.rule import Rule
from mulligan.review.rules import NAMES, RULES
from mulligan.review.subject import Subject

FOUND = Finding("R6", "ngram_cache", "violation", "train_gpt.py", 7, "a table keyed by the target")
WARNED = Finding("R13", "smear_bos_leak", "warning", "train_gpt.py", 3, "a gate reads over a <bos>")


def rule(code, *found, error=None):
    def check(subject):
        yield from found
        if error:
            raise error

    return Rule(code, "a title", "- **Why it matters**: the sum is not one", check)


@pytest.fixture
def subject(tmp_path):
    (tmp_path / "train_gpt.py").write_text("import torch\n")
    return Subject.read(tmp_path)


def test_only_a_violation_decides_and_it_comes_first(subject):
    found = review(subject, [rule("R13", WARNED), rule("R6", FOUND)])
    assert (found.verdict, found.findings) == ("findings", (FOUND, WARNED))
    assert review(subject, [rule("R13", WARNED)]).verdict == "clean"


def test_a_rule_is_pass_warning_not_checked_or_fail(subject):
    rules = [
        rule("R6", FOUND, NotChecked("R6", "in part")),
        rule("R13", WARNED),
        rule("R1"),
        rule("R2", NotChecked("R2", "why")),
    ]
    found = review(subject, rules)
    assert [found.status(code) for code in ("R6", "R13", "R1", "R2", "R5")] == [
        "fail",
        "warning",
        "pass",
        "not checked",
        "not checked",
    ]
    assert {one.rule for one in found.not_checked} == NAMES.keys() - {"R13", "R1"}


@pytest.mark.parametrize("error", [KeyError("no such name"), RecursionError("too deep"), MemoryError()])
def test_a_rule_that_fails_says_so_and_keeps_what_it_found(subject, error):
    found = review(subject, [rule("R6", FOUND, error=error), rule("R13", WARNED)], codes=("R6", "R13"))
    assert found.findings == (FOUND, WARNED)
    assert [(one.rule, one.reason) for one in found.crashes] == [("R6", f"{CRASHED}{type(error).__name__}: {error}".strip())]


def test_json_has_the_agreed_keys(subject):
    data = review(subject, [rule("R6", FOUND)], codes=("R6", "R7")).as_json()
    assert list(data) == ["verdict", "findings", "not_checked"]
    assert list(data["findings"][0]) == ["rule", "category", "severity", "file", "line", "message"]
    assert [list(one) for one in data["not_checked"]] == [["rule", "reason"]]


def test_markdown_gives_the_place_the_reason_and_what_was_not_checked(subject):
    text = review_markdown("some | folder", review(subject, [rule("R6", FOUND), rule("R13", WARNED)]), [rule("R6")])
    assert "# Review of some \\| folder" in text
    assert "**1 violation**, 1 warning; 0 of 15 rules pass" in text
    assert "- `train_gpt.py:7` (ngram_cache): a table keyed by the target" in text
    assert "Why it matters: the sum is not one" in text
    assert "a gate reads over a \\<bos\\>" in text
    assert "| R5 | adaptation before the score | not checked | this version has no check of it |" in text


def test_every_rule_has_a_card_and_a_name():
    assert all(rule.code in NAMES and all(f"**{heading}**: " in rule.card for heading in HEADINGS) for rule in RULES)


def test_a_card_without_a_heading_is_refused():
    module = types.ModuleType("r99_new", "A title.\n\nWhat it finds  Things.\nWhy it matters  It does.\nExample  x = 1\n")
    with pytest.raises(ValueError, match="r99_new: the card has no What it cannot see, Source"):
        rule_of(module)


def test_a_card_is_read_over_several_lines():
    text = "A title.\n\n" + "\n".join(f"{heading}   first\n    and second" for heading in HEADINGS)
    module = types.ModuleType("r99_new", text)
    module.CODE, module.check = "R9", lambda subject: iter(())
    found = rule_of(module)
    assert found.title == "A title"
    assert found.card.splitlines() == [f"- **{heading}**: first and second" for heading in HEADINGS]
