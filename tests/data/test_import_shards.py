"""Shards that others wrote: documents at BOS across shard borders, the same counts as our own, foreign ones caught."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mulligan.data import import_shards as module
from mulligan.data.document import Document, read_documents
from mulligan.data.import_shards import import_shards
from mulligan.data.prepare import prepare, verify_corpus
from mulligan.data.tokenizer import ByteTokenizer, SentencePieceTokenizer
from small_text import SHARED_DATA, documents, small_tokenizer

TRAIN, VALIDATION = documents(30, seed=1), documents(12, seed=2)


def export(folder: Path, train=TRAIN, validation=VALIDATION, tokenizer=None, shard_tokens=150) -> Path:
    """Lay shards out as the challenge does; return their folder."""
    made = prepare(train, validation, tokenizer or small_tokenizer(), folder / "made", shard_tokens=shard_tokens)
    shards = folder / "fineweb10B_sp320"
    shards.mkdir()
    for path in sorted(made.folder.glob("*.bin")):
        split, number = path.stem.rsplit("_", 1)
        path.rename(shards / f"fineweb_{ {'train': 'train', 'validation': 'val'}[split] }_{number}.bin")
    return shards


@pytest.mark.parametrize("tokenizer", [small_tokenizer(), ByteTokenizer()], ids=["sentencepiece", "bytes"])
@pytest.mark.parametrize("scan_tokens", [7, 1 << 20])
def test_imported_shards_are_the_corpus_that_they_were_written_from(tmp_path, monkeypatch, tokenizer, scan_tokens):
    monkeypatch.setattr(module, "SCAN_TOKENS", scan_tokens)
    own = prepare(TRAIN, VALIDATION, tokenizer, tmp_path / "own", shard_tokens=150)
    found = import_shards(export(tmp_path, tokenizer=tokenizer), tokenizer, tmp_path / "imported")
    assert found.manifest["tokenizer"] == own.manifest["tokenizer"]
    for split in ("train", "validation"):
        ours, theirs = own.manifest["splits"][split], found.manifest["splits"][split]
        assert theirs["raw_bytes"] is None
        assert found.documents(split).raw_bytes is None
        for name in ("documents", "tokens", "bytes", "tokens_per_byte", "shards"):
            assert theirs[name] == ours[name]
        np.testing.assert_array_equal(found.documents(split).starts, own.documents(split).starts)
        np.testing.assert_array_equal(found.documents(split).num_tokens, own.documents(split).num_tokens)
    assert found.manifest["splits"]["train"]["documents_also_in_validation"] == 0
    assert verify_corpus(found) == []


@settings(max_examples=20, deadline=None)
@given(
    texts=st.lists(st.sampled_from(["", "over", "the sun over 42", "é."]), min_size=1, max_size=7),
    shard_tokens=st.integers(1, 12),
    scan_tokens=st.integers(1, 9),
)
def test_documents_are_found_wherever_shards_and_chunks_are_cut(tmp_path_factory, texts, shard_tokens, scan_tokens):
    folder = tmp_path_factory.mktemp("import")
    held_out = [Document(str(i), text) for i, text in enumerate([*texts, "sun"])]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)  # dozens of shards of one token
        patch.setattr(module, "SCAN_TOKENS", scan_tokens)
        shards = export(folder, train=TRAIN[:1], validation=held_out, shard_tokens=shard_tokens)
        found = import_shards(shards, small_tokenizer(), folder / "out")
        scan = module._SplitScan("validation", module.find_shards(shards)["validation"], small_tokenizer(), lambda *_: None)
    lengths = [len(ids) + 1 for ids in small_tokenizer().encode([document.text for document in held_out])]
    assert found.documents("validation").num_tokens.tolist() == lengths
    assert found.manifest["splits"]["validation"]["bytes"] == sum(len(document.text.encode()) for document in held_out)
    assert len(scan.digests) == len(held_out)
    assert len(set(scan.digests)) == len({document.text for document in held_out})


def test_validation_shards_alone_are_enough(tmp_path):
    shards = export(tmp_path)
    for path in shards.glob("fineweb_train_*"):
        path.unlink()
    corpus = import_shards(shards, small_tokenizer(), tmp_path / "out")
    assert list(corpus.manifest["splits"]) == ["validation"]
    with pytest.raises(ValueError, match="no train split"):
        corpus.tokens("train")


def test_byte_side_cars_and_other_files_are_no_shards(tmp_path):
    shards = export(tmp_path)
    for name in ("fineweb_val_bytes_000000.bin", "notes.txt", "fineweb_val_000000.bin.part"):
        (shards / name).write_bytes(b"not a shard")
    assert import_shards(shards, small_tokenizer(), tmp_path / "out").manifest["splits"]["validation"]["documents"] == 12


def test_shards_are_linked_through_symbolic_links_or_else_copied(tmp_path, monkeypatch):
    shards = export(tmp_path)
    first = shards / "fineweb_val_000000.bin"
    stored = tmp_path / "blob"
    first.rename(stored)
    first.symlink_to(stored)
    linked = import_shards(shards, small_tokenizer(), tmp_path / "linked").folder / "validation_000000.bin"
    assert not linked.is_symlink()
    assert linked.samefile(stored)

    def refuse(*_):
        raise OSError("another file system")

    monkeypatch.setattr(os, "link", refuse)
    copied = import_shards(shards, small_tokenizer(), tmp_path / "copied").folder / "validation_000000.bin"
    assert not copied.samefile(stored)
    assert copied.read_bytes() == stored.read_bytes()


def fails(shards: Path, message: str, tokenizer=None) -> None:
    out = shards.parent / "out" / "corpus"
    with pytest.raises(ValueError, match=message):
        import_shards(shards, tokenizer or small_tokenizer(), out)
    assert not out.parent.exists() or list(out.parent.iterdir()) == []


def test_shards_that_another_tokenizer_wrote_are_caught(tmp_path):
    shards = export(tmp_path, tokenizer=small_tokenizer(seed=1))
    fails(shards, r"another tokenizer wrote the validation shards.* tokens came back .* times as many")
    fails(shards, r"token \d+, and the tokenizer has 260 pieces. Another tokenizer wrote this shard", ByteTokenizer())


def test_train_shards_of_another_tokenizer_than_the_validation_shards_are_caught(tmp_path):
    shards = export(tmp_path)
    (tmp_path / "other").mkdir()
    other = export(tmp_path / "other", tokenizer=small_tokenizer(seed=1))
    for path in other.glob("fineweb_train_*"):
        path.replace(shards / path.name)
    fails(shards, "another tokenizer wrote the train shards")


def test_a_train_split_that_holds_the_validation_documents_is_refused(tmp_path):
    shards = export(tmp_path)
    (tmp_path / "other").mkdir()
    leaking = export(tmp_path / "other", train=[*TRAIN, *VALIDATION[2:]], validation=documents(2, seed=3))
    for path in leaking.glob("fineweb_train_*"):
        path.replace(shards / path.name)
    fails(shards, "10 documents of the train shards are among the 12 of the validation shards")


def test_a_few_repeated_documents_are_counted_not_refused(tmp_path):
    many = documents(40, seed=4)
    shards = export(tmp_path, validation=many, shard_tokens=10**6)
    (tmp_path / "other").mkdir()
    repeating = export(tmp_path / "other", train=[*TRAIN, many[7]], validation=documents(2, seed=3), shard_tokens=10**6)
    (repeating / "fineweb_train_000000.bin").replace(shards / "fineweb_train_000000.bin")
    corpus = import_shards(shards, small_tokenizer(), tmp_path / "out")
    assert corpus.manifest["splits"]["train"]["documents_also_in_validation"] == 1


def test_missing_shards_are_refused(tmp_path):
    fails(tmp_path / "nowhere" / "none", "no such folder")
    shards = export(tmp_path)
    (shards / "fineweb_train_000001.bin").unlink()
    fails(shards, r"_train_000001\.bin is missing")
    for path in shards.glob("fineweb_val_*"):
        path.unlink()
    fails(shards, "no validation shard")


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [(0, 7, "magic number"), (4, 9, "format version 9"), (8, 1, "cut short or damaged"), (1025, 5, "token 1281")],
)
def test_a_damaged_shard_is_refused(tmp_path, at, value, message):
    shards = export(tmp_path)
    content = bytearray((shards / "fineweb_val_000000.bin").read_bytes())
    content[at] = value
    (shards / "fineweb_val_000000.bin").write_bytes(content)
    fails(shards, message)


def test_any_name_before_the_split_will_do_but_not_two_of_them(tmp_path):
    shards = export(tmp_path)
    for path in list(shards.iterdir()):
        path.rename(shards / path.name.replace("fineweb", "my_own.text"))
    assert import_shards(shards, small_tokenizer(), tmp_path / "found").manifest["splits"]["validation"]["documents"] == 12
    (shards / "other_val_000000.bin").write_bytes((shards / "my_own.text_val_000000.bin").read_bytes())
    fails(shards, "are both shard 0. Keep one data set")


def test_train_shards_may_be_counted_from_any_number(tmp_path):
    shards = export(tmp_path, shard_tokens=400)
    numbers = sorted(int(path.stem.rsplit("_", 1)[1]) for path in shards.glob("*_train_*"))
    for number in reversed(numbers):
        (shards / f"fineweb_train_{number:06d}.bin").rename(shards / f"fineweb_train_{number + 1:06d}.bin")
    found = import_shards(shards, small_tokenizer(), tmp_path / "found")
    assert found.manifest["splits"]["train"]["documents"] == 30


def test_shards_from_the_middle_of_a_set_begin_with_the_rest_of_a_document(tmp_path):
    shards = export(tmp_path, train=documents(30, seed=6), shard_tokens=400)
    whole = import_shards(shards, small_tokenizer(), tmp_path / "whole")
    first, stream = shards / "fineweb_train_000000.bin", whole.tokens("train").read(400, whole.tokens("train").num_tokens)
    assert stream[0] != 1
    first.unlink()
    found = import_shards(shards, small_tokenizer(), tmp_path / "found")
    starts = [0, *np.flatnonzero(stream == 1).tolist()]
    assert found.documents("train").starts.tolist() == starts
    assert found.documents("train").num_tokens.tolist() == np.diff([*starts, len(stream)]).tolist()
    table = small_tokenizer().byte_table()
    counted = table.bytes_of(np.array([1, *stream[:-1]]), stream)
    assert found.manifest["splits"]["train"]["bytes"] == int(counted.sum())


def test_where_they_came_from_is_kept_and_changes_no_digest(tmp_path):
    shards = export(tmp_path)
    plain = import_shards(shards, small_tokenizer(), tmp_path / "plain")
    told = import_shards(shards, small_tokenizer(), tmp_path / "told", origin={"repository": "a/b", "commit": "c" * 40})
    assert told.origin == {"repository": "a/b", "commit": "c" * 40}
    assert plain.origin is None
    assert told.digest == plain.digest


@pytest.fixture(scope="module")
def wikipedia(tmp_path_factory):
    """Shards of real text as the challenge's 1,024 pieces write them, and what to read them with."""
    source = SHARED_DATA / "wiki" / "val.jsonl.gz"
    models = [SHARED_DATA / "tokenizers" / f"fineweb_{size}_bpe.model" for size in (1024, 8192)]
    if not all(path.is_file() for path in (source, *models)):
        pytest.skip(f"the shared data is not here: {SHARED_DATA}")
    texts = list(read_documents(source))[:400]
    tokenizers = {path.stem: SentencePieceTokenizer.from_file(path) for path in models}
    for name, part in (("first half", texts[:200]), ("second half", texts[200:])):
        tokenizers[name] = SentencePieceTokenizer.train((document.text for document in part), 1024)
    folders = {}
    for name, tokenizer in tokenizers.items():
        folder = tmp_path_factory.mktemp("wikipedia")
        folders[name] = export(folder, train=texts[300:], validation=texts[:300], tokenizer=tokenizer, shard_tokens=100_000)
    return tokenizers, folders


WRITERS = ["fineweb_1024_bpe", "fineweb_8192_bpe", "first half", "second half"]


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("given_model", WRITERS)
def test_on_real_text_the_writer_is_told_from_every_other_tokenizer(tmp_path, wikipedia, writer, given_model):
    tokenizers, folders = wikipedia
    if writer == given_model:
        found = import_shards(folders[writer], tokenizers[writer], tmp_path / "found")
        assert found.manifest["splits"]["validation"]["documents"] == 300
        assert found.manifest["splits"]["train"]["documents"] == 100
        return
    with pytest.raises(ValueError, match="nother tokenizer wrote"):
        import_shards(folders[writer], tokenizers[given_model], tmp_path / "found")
    assert list(tmp_path.iterdir()) == []
