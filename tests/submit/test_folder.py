"""What `write_folder` and `submit study` write, and that it is what the check asks for."""

import json
from dataclasses import replace

import pytest

from mulligan.cli.main import make_app
from mulligan.core.config import parse_config
from mulligan.core.execution import Execution
from mulligan.data.document import Document
from mulligan.data.prepare import prepare
from mulligan.data.tokenizer import SentencePieceTokenizer
from mulligan.engine.inline import run_jobs
from mulligan.engine.job import corpus_at
from mulligan.one_file import form
from mulligan.recipe import Recipe, load_recipe, to_toml
from mulligan.store.store import Store
from mulligan.study.config import load_study
from mulligan.study.execute import RESULT, study_folder, write_json
from mulligan.study.plan import lay_study
from mulligan.study.result import read_study
from mulligan.submit.check_legal import AtHand
from mulligan.submit.folder import About, own_tokenizer, requirements_of, write_folder
from mulligan.submit.study_folder import claimed_arm, write_study
from mulligan.submit.submission import read_submission, schema_text, shipped_schema
from record_folder import SCORES, failing, make, seed_run, source, toy_recipe, verdicts
from toy import recipe_data, write_corpus
from toy_text import model_bytes

STUDY = """
question = "Does | SWA help?"
phase = "explore"
recipe = "{folder}/toy.toml"
seeds = [0, 1]
budget = {{kind = "steps"}}
design = {{kind = "sweep"}}
margin_bpb = 0.01
metric = {{point = "quantized", windows = "sliding", context_len = 8, stride = 2}}
secondary = [{{kind = "score", name = "flat", of = {{point = "quantized", windows = "flat"}}}}]
[factors.average.levels]
last = {{average = {{kind = "last"}}}}
swa = {{average = {{kind = "swa", start = {{kind = "lr-scale-below", value = 0.4}}, every_steps = 1}}}}
"""


IMPORTS = "import json\nimport constriction\n"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study that was run: its folder, layout, store and result."""
    folder = tmp_path_factory.mktemp("study")
    write_corpus(folder / "corpus")
    (folder / "toy.toml").write_text(to_toml(parse_config(Recipe, recipe_data(), "")))
    (folder / "study.toml").write_text(STUDY.format(folder=folder))
    laid, store = lay_study(load_study(folder / "study.toml"), corpus_at(folder / "corpus")), Store(folder / "store")
    run_jobs(laid.jobs, store, Execution())
    result = read_study(laid, store, {})
    write_json(study_folder(laid, store) / RESULT, result)
    return folder, laid, store, result


@pytest.fixture(scope="module")
def written(finished):
    folder, _, store, _ = finished
    out = folder / "out"
    where = ["--data", str(folder / "corpus"), "--store", str(store.root)]
    arguments = ["submit", "study", str(folder / "study.toml"), "--out", str(out), "--author", "A", "--github-id", "a", *where]
    with pytest.MonkeyPatch.context() as patch:  # a real one takes 10 s; tests/submit/test_script.py makes some
        patch.setattr(form, "build", lambda recipe: {"packed": source(recipe, IMPORTS)})
        assert make_app()(arguments, exit_on_error=False) == 0
    return out


def test_the_schema_that_ships_is_the_models():
    assert shipped_schema() == schema_text(), "run docs/generate_submission_schema.py"


def test_the_readme_has_every_seed_the_difference_from_the_parent_and_the_commands(tmp_path):
    recipe, code = toy_recipe(), source(toy_recipe())
    parent = toy_recipe(average={"kind": "last"})
    runs = [seed_run(recipe, seed, code, bits) for seed, bits in SCORES.items()]
    write_folder(tmp_path / "out", runs, code, About("A *record*"), parent=("parent", parent))
    text = (tmp_path / "out" / "README.md").read_text()
    assert "# A \\*record\\*" in text
    assert "Mean 1.220100 bits per byte (sd 0.000200 over 3 seeds)" in text
    assert f"| 2 | 1.21990000 | 2.05974991 | 1.21990000 | 15,900,000 | {len(code):,} |" in text
    assert '| average.kind | "last" | "swa" |' in text
    assert "SEED=1 DATA_PATH=" in text
    assert "mulligan run recipe.toml --seed 1" in text
    assert load_recipe(str(tmp_path / "out" / "recipe.toml")) == recipe
    assert "raw\\_flat\\_exact" in text


def test_the_recipe_stands_in_the_readme_where_there_is_no_parent(tmp_path):
    assert "train.seq_len = 8" in (make(tmp_path / "out") / "README.md").read_text()


@pytest.mark.parametrize(
    ("codec", "more"),
    [
        ("zlib", []),
        ("lzma", []),
        ("zstd", ["zstandard"]),
        ("brotli", ["brotli"]),
        ("auto", ["brotli", "constriction", "zstandard"]),
    ],
)
def test_requirements_name_the_codecs_of_the_recipe(codec, more):
    recipe = toy_recipe(pack={"codec": {"kind": codec}})
    assert requirements_of(recipe) == sorted(["numpy", "sentencepiece", "torch", *more])


def test_a_tokenizer_of_ones_own_goes_along_and_the_standard_one_does_not(tmp_path):
    assert own_tokenizer(write_corpus(tmp_path / "bytes").folder) is None
    corpus = tmp_path / "pieces"
    texts = [Document(f"{i}", f"the cat sat {i}") for i in range(40)]
    prepare(texts[:30], texts[30:], SentencePieceTokenizer(model_bytes()), corpus)
    tokenizer = own_tokenizer(corpus)
    assert tokenizer == corpus / "tokenizer.model"
    run = seed_run(toy_recipe(), 0, b"x = 1", 1.2)
    write_folder(tmp_path / "out", [run], b"x = 1", About("A"), tokenizer=tokenizer)
    assert (tmp_path / "out" / "tokenizer.model").read_bytes() == tokenizer.read_bytes()
    (corpus / "origin.json").write_text("{}")
    assert own_tokenizer(corpus) is None


def test_runs_that_are_no_seeds_of_one_recipe_are_refused(tmp_path):
    one, code = toy_recipe(), b""
    other = toy_recipe(average={"kind": "last"})
    for runs, said in (
        ([], "Given: none"),
        ([seed_run(one, 0, code, 1.2)] * 2, "Given: \\[0, 0\\]"),
        ([seed_run(one, 0, code, 1.2), seed_run(other, 1, code, 1.2)], 'average.kind: "swa" and "last"'),
        ([replace(seed_run(one, 0, code, 1.2), log="nothing")], "no final_exact line"),
    ):
        with pytest.raises(ValueError, match=said):
            write_folder(tmp_path / "out", runs, code, About("A"))
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("")
    with pytest.raises(ValueError, match="new or empty"):
        write_folder(tmp_path / "out", [seed_run(one, 0, code, 1.2)], code, About("A"))


def test_a_study_is_written_with_its_findings_and_a_log_a_cell(finished, written):
    _, laid, _, result = finished
    about = read_submission((written / "submission.json").read_text())
    assert about.study is not None
    assert [arm.name for arm in about.study.arms] == [arm.name for arm in laid.arms]
    assert about.study.claimed_arm == claimed_arm(result)
    assert {finding.name for finding in about.study.findings} == set(result["primary"]["contrasts"])
    assert len(list((written / "logs").iterdir())) == 4
    claimed = result["primary"]["values"][about.study.claimed_arm]
    assert about.val_bpb == pytest.approx(sum(claimed.values()) / 2, abs=1e-8)
    text = (written / "README.md").read_text()
    assert "# Does \\| SWA help?" in text
    assert '| average.kind | "last" | "swa" |' in text
    assert "mulligan study run study.toml" in text
    recipes = {path.stem: load_recipe(str(path)) for path in (written / "recipes").iterdir()}
    assert sorted(map(repr, recipes.values())) == sorted(repr(arm.recipe) for arm in laid.arms)


def test_the_check_accepts_a_study_and_refuses_one_whose_cell_ran_another_arm(finished, written):
    at_hand = AtHand(finished[2])
    found = verdicts(written, "non-record", at_hand=at_hand)
    assert failing(found) == {}
    assert (written / "requirements.txt").read_text().split() == ["constriction", "numpy", "sentencepiece", "torch"]
    passed = {rule for rule, one in found.items() if one.verdict == "pass"}
    assert passed >= {"files", "submission.json", "bytes", "stated bytes", "logs", "one configuration", "score", "evaluator"}
    first, second = sorted((written / "logs").glob("*_seed0.log"))
    kept = first.read_text()
    try:
        first.write_text(second.read_text())
        assert "one configuration" in failing(verdicts(written, "non-record", at_hand=at_hand))
    finally:
        first.write_text(kept)


def test_an_arm_that_is_illegal_or_over_budget_is_not_claimed(finished):
    result = json.loads(json.dumps(finished[3]))
    best = claimed_arm(result)
    other = next(arm["name"] for arm in result["arms"] if arm["name"] != best)
    result["primary"]["illegal"] = [best]
    assert claimed_arm(result) == other
    result["primary"]["over_budget"] = [other]
    assert claimed_arm(result) is None


def test_a_study_carries_the_script_of_its_claimed_arm(finished, tmp_path):
    _, laid, store, result = finished
    claimed = next(arm.recipe for arm in laid.arms if arm.name == claimed_arm(result))
    other = next(arm.recipe for arm in laid.arms if arm.recipe != claimed)
    given = (result, laid, store, About(""), ["mulligan"])
    write_study(tmp_path / "right", *given, build=source)
    found = verdicts(tmp_path / "right", "non-record", at_hand=AtHand(store))
    assert failing(found) == {}
    assert [rule for rule, one in found.items() if one.verdict == "not checked"] == ["judge"]
    about = read_submission((tmp_path / "right" / "submission.json").read_text())
    assert about.bytes_code == len(source(claimed))
    write_study(tmp_path / "wrong", *given, build=lambda _: source(other))
    found = failing(verdicts(tmp_path / "wrong", "non-record", at_hand=AtHand(store)))
    assert "not that of the claimed arm" in found["one configuration"]
