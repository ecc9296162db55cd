"""`mulligan data`: each command called in-process; what it prints, what it makes, how it fails."""

import gzip
import json
import subprocess
import sys

import pytest

from mulligan.cli.main import make_app
from mulligan.core.error import StoreCorruptError
from mulligan.data.prepare import verify_corpus
from mulligan.values.corpus import Corpus
from small_text import documents, small_tokenizer


def call(*arguments):
    return make_app()(["data", *map(str, arguments)], exit_on_error=False, print_error=False)


@pytest.fixture
def text(tmp_path):
    """Lay out train.jsonl.gz, validation.jsonl and a model; nothing else, so that what is left behind shows."""
    folder = tmp_path / "text"
    folder.mkdir()
    lines = [json.dumps({"text": document.text}) for document in documents(40, seed=1)]
    (folder / "train.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    (folder / "validation.jsonl").write_text("\n".join(json.dumps({"text": d.text}) for d in documents(6, seed=2)))
    (folder / "small.model").write_bytes(small_tokenizer().model)
    return folder


def prepare(text, out, *more, tokenizer=None, validation="validation.jsonl"):
    chosen = tokenizer or text / "small.model"
    return call(
        "prepare", text / "train.jsonl.gz", "--validation", text / validation, "--tokenizer", chosen, "--out", out, *more
    )


@pytest.mark.parametrize(("tokenizer", "vocab_size"), [(None, 320), ("bytes", 260), ("train:300", 300)])
def test_prepare_makes_a_corpus_with_any_tokenizer_and_prints_one_object(text, tmp_path, capsys, tokenizer, vocab_size):
    assert prepare(text, tmp_path / "corpus", "--json", tokenizer=tokenizer) == 0
    printed = json.loads(capsys.readouterr().out)
    corpus = Corpus.load(tmp_path / "corpus")
    assert printed["path"] == str(tmp_path / "corpus")
    assert printed["digest"] == corpus.digest
    assert printed["splits"] == corpus.manifest["splits"]
    assert printed["tokenizer"]["vocab_size"] == corpus.vocab_size == vocab_size
    assert [corpus.manifest["splits"][split]["documents"] for split in ("train", "validation")] == [40, 6]
    assert verify_corpus(corpus) == []


def test_without_json_a_table_and_the_next_command_are_printed(text, tmp_path, capsys):
    prepare(text, tmp_path / "corpus")
    printed = capsys.readouterr().out
    assert "sentencepiece, 320 pieces" in printed
    assert "tokens per byte" in printed
    assert f"mulligan run small --data {tmp_path / 'corpus'}" in printed.replace("\n", "")


def test_the_same_model_is_trained_again(text, tmp_path):
    for name in ("a", "b"):
        prepare(text, tmp_path / name, "--json", tokenizer="train:300")
    assert Corpus.load(tmp_path / "a").digest == Corpus.load(tmp_path / "b").digest


@pytest.mark.parametrize(
    ("tokenizer", "message"),
    [
        ("train:many", "'many' is no number of pieces. Allowed: a SentencePiece .model file, bytes, or train:VOCAB"),
        ("train:", "'' is no number of pieces"),
        ("train:-5", "'-5' is no number of pieces"),
        ("train:90000", "could not be trained|yields a SentencePiece model of"),
        ("absent.model", "absent.model: no such file"),
    ],
)
def test_a_tokenizer_that_cannot_be_had_is_refused_and_nothing_is_left(text, tmp_path, tokenizer, message):
    with pytest.raises(ValueError, match=message):
        prepare(text, tmp_path / "corpus", tokenizer=tokenizer)
    assert [path.name for path in tmp_path.iterdir()] == ["text"]


def test_a_document_in_both_splits_is_refused_and_nothing_is_left(text, tmp_path):
    with pytest.raises(ValueError, match="same text"):
        prepare(text, tmp_path / "corpus", validation="train.jsonl.gz")
    assert [path.name for path in tmp_path.iterdir()] == ["text"]


def test_a_folder_that_exists_is_refused_before_a_tokenizer_is_trained(text, tmp_path, monkeypatch):
    monkeypatch.setattr("mulligan.data.tokenizer.SentencePieceTokenizer.train", lambda *_: pytest.fail("trained"))
    with pytest.raises(ValueError, match="exists already"):
        prepare(text, tmp_path, tokenizer="train:300")


def test_inspect_shows_a_corpus_and_finds_it_intact(text, tmp_path, capsys):
    prepare(text, tmp_path / "corpus", "--json")
    capsys.readouterr()
    assert call("inspect", tmp_path / "corpus", "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["damaged"] == []
    assert printed["tokenizer"]["vocab_size"] == 320
    assert call("inspect", tmp_path / "corpus") == 0
    assert "train" in capsys.readouterr().out


def test_inspect_names_every_damaged_file(text, tmp_path, capsys):
    prepare(text, tmp_path / "corpus", "--json")
    capsys.readouterr()
    shard = tmp_path / "corpus" / "train_000000.bin"
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    (tmp_path / "corpus" / "tokenizer.model").unlink()
    with pytest.raises(StoreCorruptError, match=r"train_000000\.bin: its sha256(.|\n)*tokenizer\.model: no such file"):
        call("inspect", tmp_path / "corpus", "--json")
    assert len(json.loads(capsys.readouterr().out)["damaged"]) == 2


@pytest.mark.parametrize(("damage", "code"), [("shard", 4), ("manifest", 2), ("no corpus", 2)])
def test_the_exit_code_says_what_kind_of_error_it_is(text, tmp_path, damage, code):
    prepare(text, tmp_path / "corpus", "--json")
    if damage == "shard":
        (tmp_path / "corpus" / "validation_000000.bin").unlink()
    else:
        (tmp_path / "corpus" / "corpus.json").write_text("{" if damage == "manifest" else "{}")
    command = [sys.executable, "-m", "mulligan", "data", "inspect", str(tmp_path / "corpus")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == code
    assert done.stderr.startswith("mulligan: ")
    assert "mulligan run" not in done.stdout


@pytest.fixture
def shards(text, tmp_path, capsys):
    prepare(text, text / "made", "--json")
    capsys.readouterr()
    folder = text / "shards"
    folder.mkdir()
    for split, name in (("train", "train"), ("validation", "val")):
        (text / "made" / f"{split}_000000.bin").rename(folder / f"fineweb_{name}_000000.bin")
    return folder


def test_import_shards_takes_over_what_prepare_wrote(text, shards, tmp_path, capsys):
    assert call("import-shards", shards, "--tokenizer", text / "small.model", "--out", tmp_path / "in", "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    made = json.loads((text / "made" / "corpus.json").read_text())
    for split in ("train", "validation"):
        for count in ("documents", "tokens", "bytes"):
            assert printed["splits"][split][count] == made["splits"][split][count]
        assert printed["splits"][split]["raw_bytes"] is None
    assert call("inspect", tmp_path / "in") == 0
    assert "unknown" in capsys.readouterr().out


def test_validation_shards_alone_point_to_scoring_not_training(text, shards, tmp_path, capsys):
    (shards / "fineweb_train_000000.bin").unlink()
    assert call("import-shards", shards, "--tokenizer", text / "small.model", "--out", tmp_path / "in") == 0
    printed = capsys.readouterr().out
    assert "mulligan evaluate" in printed
    assert "mulligan run" not in printed


@pytest.mark.parametrize(("tokenizer", "message"), [("bytes", "nother tokenizer"), ("train:300", "are written already")])
def test_shards_of_another_tokenizer_are_refused(shards, tmp_path, tokenizer, message):
    with pytest.raises(ValueError, match=message):
        call("import-shards", shards, "--tokenizer", tokenizer, "--out", tmp_path / "in")
    assert [path.name for path in tmp_path.iterdir()] == ["text"]


def test_fetch_hands_its_arguments_on(text, tmp_path, capsys, monkeypatch):
    prepare(text, tmp_path / "corpus", "--json")
    capsys.readouterr()
    asked = []

    def answer(*arguments, **settings):
        asked.append((arguments, {name: value for name, value in settings.items() if name != "progress"}))
        return Corpus.load(tmp_path / "corpus")

    monkeypatch.setattr("mulligan.data.fetch.fetch", answer)
    from mulligan.data.fetch import REVISION

    out = tmp_path / "out"
    assert call("fetch", "fineweb", "--train-shards", 2, "--out", out, "--json") == 0
    assert json.loads(capsys.readouterr().out)["tokenizer"]["vocab_size"] == 320
    more = ("--variant", "sp8192", "--revision", "main")
    assert call("fetch", "fineweb", "--train-shards", 0, "--out", out, "--json", *more) == 0
    assert asked == [
        (("fineweb", "sp1024"), {"train_shards": 2, "out": out, "revision": REVISION}),
        (("fineweb", "sp8192"), {"train_shards": 0, "out": out, "revision": "main"}),
    ]


def test_the_commands_are_listed_without_heavy_imports():
    code = (
        "import sys; from mulligan.cli.main import make_app; make_app()(['data', '--help']);"
        "print([m for m in ('torch', 'numpy', 'pyarrow', 'sentencepiece', 'huggingface_hub') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")
    for name in ("prepare", "inspect", "import-shards", "fetch"):
        assert name in done.stdout
