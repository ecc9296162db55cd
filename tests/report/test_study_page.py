"""The page of a study: one file that needs nothing else, shows every arm, verdict and failed cell, and escapes text."""

import re
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest

from mulligan.core.config import parse_config
from mulligan.recipe import Recipe, apply_change
from mulligan.report.markdown import study_markdown
from mulligan.report.study_page import _is_comparable, study_page
from mulligan.report.words import MEANINGS
from mulligan.store.store import Store
from mulligan.study.result import read_study
from toy import recipe_data

VOID = {"meta", "br", "img", "link", "input", "hr"}


class Page(HTMLParser):
    """Collects tags, attributes and text; raises on tags that are not closed."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.open, self.ids, self.words = [], [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def page(finished):
    return study_page(finished.result, finished.laid, finished.store)


def failing(result, arm, seed, error):
    """Let one cell of a result have failed."""
    for cell in result["cells"]:
        if (cell["arm"], cell["seed"]) == (arm, seed):
            cell.update(status="failed", error=error, values={})
            for name in ("address", "readings", "artifact", "average", "replay_reproduced_the_state"):
                cell.pop(name)
    return result


def test_the_page_is_one_file_without_scripts_or_references(page):
    parsed = Page(page)
    assert parsed.tags.count("html") == 1
    assert not {"script", "link", "img", "iframe", "object", "base"} & set(parsed.tags)
    assert "://" not in page
    fetching = [value for name, value in parsed.attributes if name in ("src", "href", "xlink:href")]
    assert fetching
    assert all(value.startswith("#") for value in fetching)
    assert not re.search(r"url\((?!#)|@import", page)
    assert not any(name.startswith("on") for name, _ in parsed.attributes)


def test_ids_are_unique_and_every_reference_has_its_target(page):
    parsed = Page(page)
    assert len(parsed.ids) == len(set(parsed.ids))
    targets = {value[1:] for name, value in parsed.attributes if name.endswith("href")} | set(
        re.findall(r"url\(#([^)]*)\)", page)
    )
    assert targets <= set(parsed.ids)


def test_it_shows_question_arms_verdicts_and_published_figures(page, finished):
    text = Page(page).text
    study, primary = finished.result["study"], finished.result["primary"]
    for said in (study["question"], study["hypothesis"], "+6.22 mBPB", "a published run", finished.result["hash"], "gap"):
        assert said in text
    for arm in finished.result["arms"]:
        verdict = primary["verdicts"].get(arm["name"], {"word": "baseline"})
        assert f"{arm['name']} {verdict['word']} 2 " in text
        mean = sum(primary["values"][arm["name"]].values()) / 2
        assert f"{mean:.4f}" in text
    for effect, verdict in primary["effect_verdicts"].items():
        name = effect.replace("->", "→").replace(" x ", " × ")
        assert re.search(f"{re.escape(name)} (main effect|interaction) {verdict['word']}", text)
    assert f"{finished.result['steps']['executed']} training steps were run" in text
    assert "All 8 cells have a value" in text


def test_every_figure_is_there(page):
    parsed = Page(page)
    assert parsed.tags.count("svg") == 5
    assert parsed.tags.count("figcaption") == 5
    text = parsed.text
    for title in (
        "Differences from the baseline",
        "Interaction of qat and swa",
        "Training loss",
        "by the token's place",
        "against the score",
    ):
        assert title in text
    assert "shared trunk to step 8" in text
    assert "qat=off, swa=off and qat=off, swa=on (one training)" in text


@pytest.mark.parametrize("word", MEANINGS)
def test_each_verdict_word_is_shown_with_its_sentence(word, finished, result):
    arm = "qat=on, swa=on"
    result["primary"]["verdicts"][arm].update(word=word, over_budget=word == "over budget", more_seeds=7)
    text = Page(study_page(result, finished.laid, Store(finished.store.root / "none"))).text
    assert f"{arm} {word} 2 " in text  # the table
    assert re.search(f" {word} [^.]*{re.escape(arm)}", text)  # the answer
    assert f"{word} {MEANINGS[word]}" in text
    assert ("About 7 more seeds" in text) == (word == "inconclusive")


def test_a_failed_cell_is_shown_with_its_error(finished, result):
    changed = failing(result, "qat=on, swa=off", 1, "The loss became NaN at step 7.")
    text = Page(study_page(changed, finished.laid, finished.store)).text
    assert "1 of 8 cells have no value" in text
    assert "qat=on, swa=off 1 failed The loss became NaN at step 7." in text


def test_finished_cells_without_a_partner_are_named(finished, result, page):
    assert "Excluded" not in page
    primary = result["primary"]
    primary["contrasts"]["qat=on, swa=on"]["seeds"] = [0]
    primary["contrasts"]["qat=on, swa=on"]["differences"] = [0.001]
    primary["effects"]["main"][0]["seeds"] = [0]
    text = Page(study_page(result, finished.laid, Store(finished.store.root / "none"))).text
    assert "Excluded: finished, but without a partner qat=on, swa=on, seed 1: not in its difference" in text
    assert "seed 1: not in the effects of the factors" in text


def test_hostile_text_is_escaped(finished, result):
    hostile = '<script>alert(1)</script><img src=x onerror=alert(2)> & "quoted" {{ 7 * 7 }}'
    result["study"]["question"] = hostile
    result["study"]["published"][0]["what"] = hostile
    changed = failing(result, "qat=on, swa=on", 0, f"</pre>{hostile}")
    text = study_page(changed, finished.laid, finished.store)
    parsed = Page(text)
    assert not {"script", "img"} & set(parsed.tags)
    assert parsed.text.count(hostile) == 4  # title, heading, published, error


def test_a_study_that_found_nothing_yet_has_a_page(finished):
    empty = Store(finished.store.root / "empty")
    result = read_study(finished.laid, empty, {})
    parsed = Page(study_page(result, finished.laid, empty))
    assert "svg" not in parsed.tags
    assert "8 of 8 cells have no value" in parsed.text
    assert "No arm can be compared" in parsed.text
    assert "No learning curves" in parsed.text


def test_mixed_environments_are_a_warning(finished, result, page):
    assert "Mixed environments" not in page
    result["environments"] = [*result["environments"], {**result["environments"][0], "num_threads": 64}]
    text = Page(study_page(result, finished.laid, Store(finished.store.root / "none"))).text
    assert "Mixed environments. The cells were trained in 2 environments" in text


def test_the_page_is_the_same_twice(finished, page):
    assert study_page(finished.result, finished.laid, finished.store) == page


def test_an_arm_that_is_wrong_on_purpose_says_so(finished, result, page):
    assert "wrong on purpose" not in page
    result["primary"]["wrong_on_purpose"] = {"qat=off, swa=on": "its sum is kept in bfloat16"}
    text = Page(study_page(result, finished.laid, Store(finished.store.root / "none"))).text
    assert "qat=off, swa=on is wrong on purpose: its sum is kept in bfloat16" in text


def test_an_illegal_score_is_stamped_wherever_its_arm_is_named(finished, result, page):
    assert "ILLEGAL" not in page
    assert "ILLEGAL" not in study_markdown(result)
    for metric in (result["primary"], result["secondary"][0]):
        assert metric["illegal"] == []
        metric["illegal"] = ["qat=off, swa=on"]
    text = Page(study_page(result, finished.laid, Store(finished.store.root / "none"))).text
    assert "ILLEGAL scores: qat=off, swa=on." in text
    assert text.count("qat=off, swa=on (ILLEGAL)") == 3  # arms, seeds, the secondary metric
    assert "ILLEGAL scores, on which no claim can rest: qat=off, swa=on." in study_markdown(result)


@pytest.mark.parametrize(
    ("change", "comparable"),
    [
        ("train.optimizer.matrix_lr=0.01", True),
        ("train.data_seed=7", False),
        ('train.loader={kind = "shuffled"}', False),
        ("train.accumulation_steps=2", False),  # the sequential loader skips a token after each part
        ('train.batch_ramp={kind = "linear", start_tokens = 8, num_sizes = 1, until = {kind = "at-step", step = 4}}', False),
        ('train.sequence_curriculum={kind = "shorter-first", seq_len = 4, until = {kind = "at-step", step = 4}}', False),
    ],
)
def test_losses_are_subtracted_only_where_arms_read_the_same_rows(change, comparable):
    changed = recipe_data()
    apply_change(changed, change)
    arms = [SimpleNamespace(recipe=parse_config(Recipe, data, "")) for data in (recipe_data(), changed)]
    assert _is_comparable(SimpleNamespace(arms=arms)) is comparable
