"""The scorer that overruns, against one window at a time; the doubled space, by hand."""

import numpy as np
import pytest
import torch

from mulligan.core.config import parse_config
from mulligan.core.execution import Execution
from mulligan.evaluate import document_overrun
from mulligan.evaluate.block import Watch
from mulligan.evaluate.config import EvaluateConfig
from mulligan.evaluate.doubled_space import doubled_space
from mulligan.evaluate.stage import run
from mulligan.values.byte_table import ByteTable
from mulligan.values.weights import Weights
from toy import model_config, random_network, write_corpus

CONTEXT_LEN, STRIDE = 24, 5


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("overrun") / "corpus")


@pytest.fixture(scope="module")
def model():
    return random_network(model_config(vocab_size=260)).eval()


def scoring(corpus, model, kind="document-overrun", **changes):
    windows = {"kind": kind, "context_len": CONTEXT_LEN, "stride": STRIDE}
    config = parse_config(EvaluateConfig, {"windows": [windows], "precision": "fp32", "bytes": "piece", **changes}, "")
    weights = Weights({name: tensor.clone() for name, tensor in model.state_dict().items()}, model.config.canonical(), {})
    return run(config, config.windows[0], None, weights, corpus, Execution())


def naive(model, tokens, starts):
    """Every time that a position is counted, by PR 199's rule: the end of a window is the stream's, not the document's."""
    count = len(tokens) - 1
    found = [[] for _ in range(count)]
    for begin, end in zip(starts, [*starts[1:], count], strict=True):
        for start in range(begin, max(begin + 1, end - CONTEXT_LEN + STRIDE), STRIDE):
            first = start if start == begin else start + CONTEXT_LEN - STRIDE
            stop = min(start + CONTEXT_LEN, count if end - begin < CONTEXT_LEN else end)
            if first >= stop:
                continue
            with torch.no_grad():
                rows = torch.log_softmax(model.logits(model.hidden(torch.from_numpy(tokens[None, start:stop])))[0].double(), -1)
            for position in range(first, stop):
                found[position].append(-float(rows[position - start, tokens[position + 1]]))
    return found


@pytest.mark.parametrize("block", [1 << 20, 7])
def test_short_documents_run_on_and_count_again_what_follows(corpus, model, block, monkeypatch):
    monkeypatch.setattr(document_overrun, "BLOCK_POSITIONS", block)
    stream, starts = corpus.tokens("validation"), corpus.documents("validation").starts
    expected = naive(model, stream.read(0, stream.num_tokens), starts.tolist())
    found = scoring(corpus, model).scores()
    assert found.times_counted.tolist() == [len(nats) for nats in expected]
    assert found.times_counted.max() > 1
    np.testing.assert_allclose(found.nats, [np.mean(nats) for nats in expected], atol=1e-5)
    assert found.summary["scored_tokens"] == sum(map(len, expected))
    assert found.summary["legal"] is False
    total = sum(map(sum, expected))
    assert found.summary["nats_per_token"] == pytest.approx(total / sum(map(len, expected)), abs=1e-6)


def test_an_event_tells_of_every_time(corpus, model):
    watch = Watch()
    found = scoring(corpus, model).scores(watch)
    times = np.bincount(np.concatenate([event.positions for event in watch.events]), minlength=len(found.nats))
    assert times.tolist() == found.times_counted.tolist()


def test_adaptation_in_windows_that_overrun_is_refused():
    windows = [{"kind": "document-overrun", "context_len": 8, "stride": 2}]
    data = {"windows": windows, "precision": "fp32", "bytes": "piece", "adaptation": {"kind": "sgd"}}
    with pytest.raises(ValueError, match="document-overrun has none that follow one another"):
        parse_config(EvaluateConfig, data, "")


def test_a_doubled_space_counts_where_the_piece_follows_text_and_where_it_does_not():
    lead, plain, boundary = 0, 1, 2
    table = ByteTable(np.array([3, 2, 0]), np.array([True, False, False]), np.array([False, False, True]))
    previous, targets = np.array([plain, boundary, lead, plain]), np.array([lead, lead, plain, boundary])
    assert table.bytes_of(previous, targets).tolist() == [4, 3, 2, 0]
    assert doubled_space(table).bytes_of(previous, targets).tolist() == [5, 4, 2, 0]


def test_doubled_spaces_are_a_column_and_a_reading_of_their_own(corpus, model):
    """Plain bytes have no pieces with a space in them: the same count under another name, and still no score to claim."""
    found = scoring(corpus, model, "document-isolated", bytes="doubled-space").scores()
    assert found.summary["legal"] is False
    assert found.summary["bytes_kind"] == "doubled-space"
    assert found.documents["doubled-space_bytes"].sum() == found.summary["total_bytes"]
    legal = scoring(corpus, model, "document-isolated").scores()
    assert legal.summary["legal"] is True
    assert "doubled-space_bytes" not in legal.documents


def test_one_illegal_reading_does_not_stain_those_beside_it(corpus, model):
    data = {"windows": [{"kind": "flat", "context_len": 8}, {"kind": "document-overrun", "context_len": 8, "stride": 2}]}
    config = parse_config(EvaluateConfig, {**data, "precision": "fp32", "bytes": "piece"}, "")
    weights = Weights({name: tensor.clone() for name, tensor in model.state_dict().items()}, model.config.canonical(), {})
    legal = [run(config, windows, None, weights, corpus, Execution()).address["legal"] for windows in config.windows]
    assert legal == [True, False]
