"""`mulligan audit` on finished toy runs: what it prints, and its exit codes."""

import json

import pytest

from mulligan.cli.audit import NOT_ALL_CHECKED, conclusion
from mulligan.cli.main import make_app
from mulligan.core.config import parse_config
from mulligan.recipe import Recipe, to_toml
from toy import recipe_data, write_corpus

SLIDING = '{kind = "sliding", context_len = 32, stride = 8}'
OVERRUN = '{kind = "document-overrun", context_len = 32, stride = 8}'


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("audit")
    write_corpus(folder / "corpus")
    (folder / "toy.toml").write_text(to_toml(parse_config(Recipe, recipe_data(average={"kind": "last"}), "")))
    return folder


def call(*arguments):
    return make_app()([str(argument) for argument in arguments], exit_on_error=False)


def audited(folder, windows, capsys, *options):
    """Run the toy recipe with these windows alone, and audit it; return the exit code and what was printed."""
    where = ["--data", folder / "corpus", "--store", folder / "store"]
    assert call("run", folder / "toy.toml", *where, "--set", f"evaluate.windows=[{windows}]", "--json") == 0
    name = json.loads(capsys.readouterr().out)["name"]
    return call("audit", name, *where, *options), capsys.readouterr().out


def test_a_legal_run_passes(workplace, capsys):
    code, printed = audited(workplace, SLIDING, capsys, "--json")
    (reading,) = json.loads(printed)["readings"]
    verdicts = {found["rule"].split()[0]: found["verdict"] for found in reading["findings"]}
    assert list(verdicts) == ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10a", "10b", "10c", "12"]
    assert {verdict for rule, verdict in verdicts.items() if rule not in ("10b", "10c")} == {"pass"}
    assert code == (0 if verdicts["10b"] == verdicts["10c"] == "pass" else NOT_ALL_CHECKED)
    assert (reading["reading"], reading["declared_legal"]) == ("sliding quantized", True)


def test_an_illegal_run_fails_and_the_table_says_by_what(workplace, capsys):
    code, printed = audited(workplace, OVERRUN, capsys)
    assert code == 1
    assert "document-overrun quantized, ILLEGAL on purpose" in printed
    assert "FAILS: 4 gold consistency, 5 order of score and update, 6 coverage" in printed
    where = ["--data", workplace / "corpus", "--store", workplace / "store"]
    call("run", workplace / "toy.toml", *where, "--set", f"evaluate.windows=[{OVERRUN}]")
    assert "document-overrun, ILLEGAL" in capsys.readouterr().out


def test_what_was_not_checked_is_no_pass():
    found = [{"rule": "1", "verdict": "pass"}, {"rule": "10b", "verdict": "not checked"}, {"rule": "3", "verdict": "fail"}]
    assert conclusion(found) == "1 of 3 pass; FAILS: 3; not checked: 10b"


def test_another_corpus_is_refused(workplace, tmp_path):
    from mulligan.data.prepare import prepare
    from mulligan.data.tokenizer import ByteTokenizer
    from toy import toy_documents

    prepare(toy_documents(3, 5), toy_documents(2, 6), ByteTokenizer(), tmp_path / "other")
    run = next((workplace / "store" / "runs").glob("*.json")).stem
    with pytest.raises(ValueError, match="another corpus than that of the run"):
        call("audit", run, "--data", tmp_path / "other", "--store", workplace / "store")
