"""The data stage: equal configs write equal folders."""

import pytest

from mulligan.data import stage
from mulligan.data.config import EmbeddedData
from mulligan.data.prepare import verify_corpus
from mulligan.values.corpus import Corpus
from small_text import documents


@pytest.fixture(autouse=True)
def few_documents(monkeypatch):
    monkeypatch.setattr(stage, "read_embedded", lambda: (documents(60, seed=1), documents(9, seed=2)))


def test_the_stage_writes_a_corpus_with_a_tokenizer_of_the_wanted_size(tmp_path):
    stage.run(EmbeddedData(kind="embedded", vocab_size=330), tmp_path)
    corpus = Corpus.load(tmp_path)
    assert corpus.vocab_size == 330
    assert (corpus.manifest["splits"]["train"]["documents"], corpus.manifest["splits"]["validation"]["documents"]) == (60, 9)
    assert verify_corpus(corpus) == []


def test_equal_configs_write_equal_bytes_and_validation_documents_changes_none(tmp_path):
    configs = [EmbeddedData(kind="embedded", vocab_size=330, validation_documents=n) for n in (None, 4)]
    for i, config in enumerate(configs):
        (tmp_path / str(i)).mkdir()
        stage.run(config, tmp_path / str(i))
    first, second = ({path.name: path.read_bytes() for path in (tmp_path / str(i)).iterdir()} for i in range(2))
    assert first == second


def test_the_validation_split_does_not_move_the_tokenizer(tmp_path, monkeypatch):
    config = EmbeddedData(kind="embedded", vocab_size=330)
    models = []
    for seed in (2, 3):
        monkeypatch.setattr(stage, "read_embedded", lambda seed=seed: (documents(60, seed=1), documents(9, seed=seed)))
        (tmp_path / str(seed)).mkdir()
        stage.run(config, tmp_path / str(seed))
        models.append((tmp_path / str(seed) / "tokenizer.model").read_bytes())
    assert models[0] == models[1]
