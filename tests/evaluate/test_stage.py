"""The evaluate stage on a tiny corpus: against a naive scorer, isolation, causality, normalisation, sums and refusals."""

import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from evaluate.test_window import plain_windows
from mulligan.core.config import parse_config
from mulligan.core.execution import Execution
from mulligan.data.document import Document
from mulligan.data.prepare import prepare, write_documents
from mulligan.data.tokenizer import ByteTokenizer
from mulligan.evaluate import scorer
from mulligan.evaluate.block import Watch
from mulligan.evaluate.config import DocumentIsolated, EvaluateConfig, Flat, Sliding
from mulligan.evaluate.stage import run
from mulligan.values.corpus import HEADER_BYTES, Corpus
from mulligan.values.scores import Scores
from mulligan.values.weights import Weights
from toy import model_config, random_network

TEXTS = ["the cat sat on the mat, and then it slept", "é", "ab", "zebras — in the süd", "x" * 16, "no more than this", "end!"]
FLAT = Flat(kind="flat", context_len=9)
SLIDING = Sliding(kind="sliding", context_len=9, stride=2)
ISOLATED = DocumentIsolated(kind="document-isolated", context_len=9, stride=2)
KINDS = pytest.mark.parametrize("windows", [FLAT, SLIDING, ISOLATED], ids=lambda windows: windows.kind)


def corpus_of(texts, out, **options) -> Corpus:
    validation = [Document(str(i), text) for i, text in enumerate(texts)]
    return prepare([Document("train", "something else")], validation, ByteTokenizer(), out, **options)


def network(**changes):
    return random_network(model_config(vocab_size=260, **changes)).eval()


def test_a_network_that_looks_for_another_beginning_of_documents_is_refused(tmp_path):
    corpus = corpus_of(TEXTS, tmp_path / "corpus")
    weights = Weights({}, model_config(vocab_size=260, bos_id=7, document_attention="isolated").canonical(), {})
    with pytest.raises(ValueError, match=r"begins its documents with token 1 .* Give --set model\.bos_id=1"):
        run(EvaluateConfig(windows=(FLAT,), precision="fp32", bytes="piece"), FLAT, None, weights, corpus, Execution())


@KINDS
def test_a_base_that_depends_on_the_length_is_that_of_the_context_in_every_window(tmp_path, windows, monkeypatch):
    """Windows cut short by a document's or the stream's end, alone or padded in a batch, score alike."""
    corpus = corpus_of(TEXTS, tmp_path / "corpus")
    rope = {"kind": "rope", "base": 100.0, "rotated_dims": 4, "extension": {"kind": "ntk", "from_len": 3}}
    model = network(model_dim=32, positions=rope)
    weights = Weights(model.state_dict(), model.config.canonical(), {})
    config = EvaluateConfig(windows=(windows,), precision="fp32", bytes="piece")
    together = run(config, windows, None, weights, corpus, Execution()).scores().nats
    monkeypatch.setattr(scorer, "BATCH_TOKENS", 1)
    alone = run(config, windows, None, weights, corpus, Execution()).scores().nats
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)


def weights_of(model) -> Weights:
    return Weights({name: tensor.clone() for name, tensor in model.state_dict().items()}, model.config.canonical(), {})


def score(corpus, windows, documents=None, weights=None, execution=None, **config) -> Scores:
    data = {"windows": [windows.canonical()], "precision": "fp32", "bytes": "piece", **config}
    evaluate = parse_config(EvaluateConfig, data, "evaluate")
    return run(evaluate, windows, documents, weights or weights_of(network()), corpus, execution or Execution()).scores()


def naive(model, tokens, windows) -> np.ndarray:
    """Score one window at a time, each position in the only window that counts it."""
    nats = np.full(len(tokens) - 1, np.nan)
    for begin, first, end in windows:
        with torch.no_grad():
            logits = model.logits(model.hidden(torch.from_numpy(tokens[None, begin:end])))[0].double()
        scores = torch.log_softmax(logits, -1).numpy()
        for position in range(first, end):
            assert np.isnan(nats[position])
            nats[position] = -scores[position - begin, tokens[position + 1]]
    return nats


def assert_close(found, expected) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    return corpus_of(TEXTS, tmp_path_factory.mktemp("data") / "corpus", shard_tokens=50)


@pytest.fixture(scope="module")
def tokens(corpus) -> np.ndarray:
    stream = corpus.tokens("validation")
    assert len(stream.shards) > 2
    return stream.read(0, stream.num_tokens)


# Against the naive scorer


@pytest.mark.parametrize(("context_len", "stride"), [(1, 1), (2, 1), (9, 2), (9, 9), (16, 5), (400, 3)])
@pytest.mark.parametrize("shape", [{}, {"num_layers": 3, "embedding": {"kind": "untied"}}], ids=["tied", "untied"])
def test_sliding_windows_score_as_one_window_at_a_time(corpus, tokens, context_len, stride, shape):
    model = network(**shape)
    windows = Sliding(kind="sliding", context_len=context_len, stride=stride)
    expected = naive(model, tokens, plain_windows(len(tokens) - 1, context_len, stride))
    found = score(corpus, windows, weights=weights_of(model))
    assert found.nats.dtype == np.float32
    assert_close(found.nats, expected)


@pytest.mark.parametrize(("context_len", "stride"), [(1, 1), (9, 2), (16, 16), (400, 3)])
def test_isolated_windows_score_each_document_alone(corpus, tokens, context_len, stride):
    model = network()
    starts = corpus.documents("validation").starts
    expected = []
    for begin, end in zip(starts, [*starts[1:], len(tokens) - 1], strict=True):
        own = tokens[begin : end + 1]
        expected.append(naive(model, own, plain_windows(len(own) - 1, context_len, stride)))
    windows = DocumentIsolated(kind="document-isolated", context_len=context_len, stride=stride)
    assert_close(score(corpus, windows).nats, np.concatenate(expected))


@pytest.mark.parametrize("context_len", [1, 7, 9, 400])
def test_flat_windows_are_sliding_windows_a_whole_context_apart(corpus, context_len):
    flat = score(corpus, Flat(kind="flat", context_len=context_len))
    sliding = score(corpus, Sliding(kind="sliding", context_len=context_len, stride=context_len))
    assert_close(flat.nats, sliding.nats)
    assert flat.position_in_window.tolist() == sliding.position_in_window.tolist()
    assert flat.position_in_window.tolist() == [p % context_len for p in range(len(flat.nats))]


@KINDS
@pytest.mark.parametrize("batch_tokens", [1, 20, 100])
def test_scores_do_not_depend_on_which_windows_run_together(corpus, windows, batch_tokens, monkeypatch):
    expected = score(corpus, windows).nats
    monkeypatch.setattr(scorer, "BATCH_TOKENS", batch_tokens)
    assert_close(score(corpus, windows).nats, expected)


def test_the_position_in_the_window_is_the_context_that_a_target_had(corpus, tokens):
    found = score(corpus, SLIDING).position_in_window
    for begin, first, end in plain_windows(len(tokens) - 1, 9, 2):
        assert found[first:end].tolist() == list(range(first - begin, end - begin))


def test_bf16_scores_are_near_those_of_fp32_and_not_the_same(corpus):
    exact, rounded = score(corpus, FLAT), score(corpus, FLAT, precision="bf16")
    assert (exact.summary["precision"], rounded.summary["precision"]) == ("fp32", "bf16")
    assert rounded.nats.dtype == np.float32
    assert np.abs(exact.nats - rounded.nats).max() > 0
    assert np.abs(exact.nats - rounded.nats).mean() < 0.05


# What a score may depend on


@pytest.mark.parametrize("k", range(len(TEXTS) - 1))
def test_the_next_document_changes_no_score_of_an_isolated_document(corpus, tmp_path, k):
    before = score(corpus, ISOLATED)
    for i, text in enumerate(["q" * len(TEXTS[k + 1].encode()), "a very different and much longer text than before", "?"]):
        after = score(corpus_of([*TEXTS[: k + 1], text, *TEXTS[k + 2 :]], tmp_path / str(i)), ISOLATED)
        for document in set(range(len(TEXTS))) - {k + 1}:
            assert_close(after.nats[after.document == document], before.nats[before.document == document])
        shared = (after.document == k + 1).sum(), (before.document == k + 1).sum()
        assert shared[0] != shared[1] or np.abs(after.nats - before.nats).max() > 0.01


def test_sliding_windows_do_see_the_document_before(corpus, tmp_path):
    changed = corpus_of([TEXTS[0][::-1], *TEXTS[1:]], tmp_path / "changed")
    before, after = score(corpus, SLIDING), score(changed, SLIDING)
    second = before.document == 1
    assert np.abs(after.nats[second] - before.nats[second]).max() > 0.01


@KINDS
def test_no_token_changes_a_score_before_its_own(corpus, tokens, windows, tmp_path):
    """Position p scores token p + 1, so a new token t may change positions from t - 1 on, and must change that one."""
    before = score(corpus, windows).nats
    for t in range(1, len(tokens), 3):
        if tokens[t] == ByteTokenizer.bos:
            continue
        after = score(_with_token(corpus, t, 4 + (tokens[t] + 57) % 256, tmp_path / str(t)), windows).nats
        np.testing.assert_allclose(after[: t - 1], before[: t - 1], rtol=0, atol=1e-6)
        assert abs(after[t - 1] - before[t - 1]) > 1e-4


def _with_token(corpus, position, token, folder) -> Corpus:
    shutil.copytree(corpus.folder, folder)
    shard, offset = divmod(position, 50)
    with (folder / f"validation_{shard:06d}.bin").open("r+b") as file:
        file.seek(HEADER_BYTES + 2 * offset)
        file.write(int(token).to_bytes(2, "little"))
    return Corpus.load(folder)


@KINDS
def test_probabilities_of_all_tokens_sum_to_one(corpus, tokens, windows):
    """What the stage reports is minus the log of one of probabilities that sum to 1, at random positions."""
    model, found = network(), score(corpus, windows)
    for position in np.random.default_rng(0).choice(len(found.nats), 12, replace=False):
        begin = position - found.position_in_window[position]
        context = torch.from_numpy(tokens[None, begin : position + 1])
        with torch.no_grad():
            logits = model.logits(model.hidden(context))[0, -1].double()
            row = context.expand(260, -1)
            nats = model(row, torch.arange(260)[:, None].expand_as(row), row.size(1) - 1).double()[:, 0]
        assert nats.neg().exp().sum().item() == pytest.approx(1.0, abs=1e-6)
        probabilities = torch.softmax(logits, 0)
        assert math.exp(-found.nats[position]) == pytest.approx(probabilities[tokens[position + 1]].item(), rel=1e-4)


@KINDS
def test_scoring_changes_no_weight_and_gives_equal_bits_again(corpus, windows):
    weights = weights_of(network())
    kept = {name: tensor.clone() for name, tensor in weights.tensors.items()}
    first = score(corpus, windows, weights=weights)
    torch.manual_seed(5)
    second = score(corpus, windows, weights=weights)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in weights.tensors.items())
    assert first.nats.tobytes() == second.nats.tobytes()
    assert first.summary == second.summary


@KINDS
def test_a_passage_scored_in_many_blocks_is_the_passage_scored_in_one(corpus, windows, monkeypatch, tmp_path):
    expected = score(corpus, windows, bytes="raw")
    monkeypatch.setattr(scorer, "BLOCK_POSITIONS", 7)
    data = {"windows": [windows.canonical()], "precision": "fp32", "bytes": "raw"}
    scoring = run(parse_config(EvaluateConfig, data, ""), windows, None, weights_of(network()), corpus, Execution())
    assert len(list(scoring.blocks(scoring.passage, None))) > 5
    summary = scoring.save(tmp_path)
    found = Scores.load(tmp_path)
    assert_close(found.nats, expected.nats)
    for name in ("document", "position_in_window"):
        assert getattr(found, name).tolist() == getattr(expected, name).tolist()
    for name, column in expected.documents.items():
        np.testing.assert_allclose(found.documents[name], column, rtol=1e-5)
    assert summary == found.summary == scoring.summary()
    assert summary["bits_per_byte"] == pytest.approx(expected.summary["bits_per_byte"], rel=1e-6)


@KINDS
def test_a_watch_sees_the_distributions_that_gave_the_scores(corpus, windows):
    wanted = frozenset({0, 5, 41, 90})
    watch = Watch(wanted)
    data = {"windows": [windows.canonical()], "precision": "fp32", "bytes": "piece"}
    scoring = run(parse_config(EvaluateConfig, data, ""), windows, None, weights_of(network()), corpus, Execution())
    found = scoring.scores(watch)
    tokens = corpus.tokens("validation").read(0, corpus.tokens("validation").num_tokens)
    assert watch.rows.keys() == wanted
    for position, row in watch.rows.items():
        assert np.exp(row).sum() == pytest.approx(1.0, abs=1e-9)
        assert -row[tokens[position + 1]] == pytest.approx(found.nats[position], abs=1e-5)
    assert np.concatenate([event.positions for event in watch.events]).tolist() == list(range(len(found.nats)))
    assert {event.kind for event in watch.events} == {"scored"}


# Which documents are scored


@KINDS
@pytest.mark.parametrize("count", range(1, len(TEXTS) + 1))
def test_the_first_documents_score_alone_as_they_do_among_all(corpus, windows, count):
    full, part = score(corpus, windows), score(corpus, windows, documents=count)
    assert_close(part.nats, full.nats[: len(part.nats)])
    for name in ("document", "position_in_window"):
        assert getattr(part, name).tolist() == getattr(full, name)[: len(part.nats)].tolist()
    for name, column in part.documents.items():
        np.testing.assert_allclose(column, full.documents[name][:count], rtol=1e-6)
    assert part.summary["validation_documents"] == count
    assert full.summary["validation_documents"] == len(TEXTS)


@KINDS
def test_the_last_target_of_n_documents_is_the_next_bos_where_there_is_one(corpus, tokens, windows):
    documents = corpus.documents("validation")
    for count in range(1, len(TEXTS)):
        found = score(corpus, windows, documents=count)
        assert len(found.nats) == found.summary["scored_tokens"] == documents.starts[count]
        assert tokens[len(found.nats)] == ByteTokenizer.bos
        assert found.documents["tokens"].tolist() == documents.num_tokens[:count].tolist()
    found = score(corpus, windows)
    assert len(found.nats) == found.summary["scored_tokens"] == len(tokens) - 1
    assert found.documents["tokens"].tolist() == [*documents.num_tokens[:-1], documents.num_tokens[-1] - 1]


def test_a_target_belongs_to_the_document_of_the_token_before_it(corpus, tokens):
    found = score(corpus, FLAT)
    assert found.document.dtype == np.int32
    assert found.document.tolist() == (np.cumsum(tokens == ByteTokenizer.bos) - 1)[:-1].tolist()


# Sums


@KINDS
def test_document_sums_are_the_sums_of_their_tokens(corpus, windows):
    found = score(corpus, windows, bytes="raw")
    for document, text in enumerate(TEXTS):
        own = found.nats[found.document == document].astype(np.float64)
        assert found.documents["nats"][document] == pytest.approx(own.sum(), rel=1e-12)
        assert found.documents["tokens"][document] == len(own)
        assert found.documents["piece_bytes"][document] == found.documents["raw_bytes"][document] == len(text.encode())
    total = found.nats.astype(np.float64).sum()
    assert found.summary["nats_per_token"] == pytest.approx(total / len(found.nats), rel=1e-12)


@pytest.mark.parametrize("count", [3, None])
def test_bits_per_byte_are_bits_over_the_bytes_that_were_asked_for(corpus, tmp_path, count):
    raw = np.arange(100, 100 + len(TEXTS))
    other = _with_raw_bytes(corpus, raw, tmp_path / "other")
    piece, true = (score(other, SLIDING, documents=count, bytes=kind) for kind in ("piece", "raw"))
    bits = piece.nats.astype(np.float64).sum() / math.log(2)
    expected = {"piece": sum(len(text.encode()) for text in TEXTS[:count]), "raw": int(raw[:count].sum())}
    for found in (piece, true):
        kind = found.summary["bytes_kind"]
        assert found.summary["total_bytes"] == expected[kind]
        assert found.summary["bits_per_byte"] == pytest.approx(bits / expected[kind], rel=1e-12)
    assert (piece.summary["bytes_kind"], true.summary["bytes_kind"]) == ("piece", "raw")
    assert true.documents["raw_bytes"].tolist() == raw[:count].tolist()


def _with_raw_bytes(corpus, raw_bytes, folder) -> Corpus:
    shutil.copytree(corpus.folder, folder)
    starts, stream = corpus.documents("validation").starts, corpus.tokens("validation")
    write_documents(folder, "validation", starts, stream.num_tokens, raw_bytes)
    return Corpus.load(folder)


@KINDS
def test_the_summary_is_the_address_of_the_score(corpus, windows, tmp_path):
    found = score(corpus, windows, documents=4)
    assert found.summary["windows"] == windows.kind
    assert (found.summary["context_len"], found.summary["stride"]) == (9, windows.stride)
    assert found.summary["corpus"] == corpus.digest
    assert found.summary["legal"] is True
    found.save(tmp_path)
    assert Scores.load(tmp_path).nats.tobytes() == found.nats.tobytes()


@KINDS
def test_progress_ends_with_every_window_done(corpus, windows, monkeypatch):
    monkeypatch.setattr(scorer, "BATCH_TOKENS", 50)
    seen = []
    score(corpus, windows, execution=Execution(progress=lambda *said: seen.append(said)))
    assert len(seen) >= 3
    assert [done for _, done, _, _ in seen] == sorted(done for _, done, _, _ in seen)
    assert all((what, note) == ("evaluate", "windows") for what, _, _, note in seen)
    assert seen[-1][1] == seen[-1][2]


# Refusals


def test_a_corpus_of_another_vocabulary_is_refused(corpus):
    foreign = weights_of(random_network(model_config(vocab_size=64)))
    with pytest.raises(ValueError, match=r"vocab_size = 64 and the corpus .* 260 pieces") as caught:
        score(corpus, FLAT, weights=foreign)
    assert "--set model.vocab_size=260" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("skip_weights", None, r"skip_weights is absent, and \(1, 16\) in the network"),
        ("skip_weights", torch.ones(3, 3), r"skip_weights is \(3, 3\), and \(1, 16\) in the network"),
        ("surplus", torch.ones(2), r"surplus is \(2,\), and absent in the network"),
    ],
)
def test_weights_of_another_network_than_they_say_are_refused(corpus, name, value, said):
    weights = weights_of(network())
    tensors = {key: tensor for key, tensor in {**weights.tensors, name: value}.items() if tensor is not None}
    with pytest.raises(ValueError, match=said):
        score(corpus, FLAT, weights=replace(weights, tensors=tensors))


def test_a_network_that_the_weights_do_not_bear_out_is_never_built(corpus):
    weights = weights_of(network())
    with pytest.raises(ValueError, match="are not those of the network"):
        score(corpus, FLAT, weights=replace(weights, model={**weights.model, "model_dim": 4_000_000}))
    with pytest.raises(ValueError, match=r"model\.num_layer: unknown key"):
        score(corpus, FLAT, weights=replace(weights, model={**weights.model, "num_layer": 3}))


@pytest.mark.parametrize("count", [len(TEXTS) + 1, 10**9, 0, -1])
def test_a_number_of_documents_that_the_split_lacks_is_refused(corpus, count):
    with pytest.raises(ValueError, match=f"validation_documents = {count}, and the validation split has 7. Give 1 to 7"):
        score(corpus, FLAT, documents=count)


def test_raw_bytes_that_are_not_known_are_refused_before_anything_is_scored(corpus, tmp_path):
    seen = []
    unknown = _with_raw_bytes(corpus, None, tmp_path / "unknown")
    with pytest.raises(ValueError, match=r'evaluate\.bytes = "raw", and .* does not know its raw UTF-8 bytes') as caught:
        score(unknown, FLAT, bytes="raw", execution=Execution(progress=lambda *said: seen.append(said)))
    assert 'Use bytes = "piece"' in str(caught.value)
    assert seen == []
    assert "raw_bytes" not in score(unknown, FLAT).documents


def test_weights_that_diverged_are_refused(corpus):
    weights = weights_of(network())
    broken = {**weights.tensors, "blocks.0.mlp.fc.weight": weights.tensors["blocks.0.mlp.fc.weight"] * math.nan}
    with pytest.raises(ValueError, match="NaN or infinite"):
        score(corpus, FLAT, weights=replace(weights, tensors=broken))


def test_a_text_without_bytes_to_count_is_refused(tmp_path):
    """The only document is made of special tokens, which stand for no byte."""
    corpus = corpus_of(["ab"], tmp_path / "corpus")
    for position in (1, 2):
        corpus = _with_token(corpus, position, 0, tmp_path / str(position))
    with pytest.raises(ValueError, match="at least one byte"):
        score(corpus, FLAT)


@KINDS
def test_a_network_is_scored_with_another_window_than_its_own(tmp_path, windows):
    """The scores are those of a network of that window, the address says so, and the other way round."""
    corpus, model = corpus_of(TEXTS, tmp_path / "corpus"), network()
    narrow = {"kind": "causal", "tokens": 3}
    base = {"windows": (windows,), "precision": "fp32", "bytes": "piece"}
    plain, asked = (EvaluateConfig.model_validate({**base, **more}) for more in ({}, {"attention_window": narrow}))
    wide = EvaluateConfig.model_validate({**base, "attention_window": {"kind": "off"}})

    def weights(**changes):
        return Weights(model.state_dict(), model.config.replace(**changes).canonical(), {})

    def nats(config, **changes):
        return run(config, windows, None, weights(**changes), corpus, Execution()).scores()

    expected = nats(plain, attention_window=narrow)
    assert np.array_equal(nats(asked).nats, expected.nats)
    assert np.array_equal(nats(wide, attention_window=narrow).nats, nats(plain).nats)
    assert not np.array_equal(expected.nats, nats(plain).nats)
    assert nats(asked).summary["attention_window"] == narrow
    assert "attention_window" not in nats(plain).summary


@KINDS
@pytest.mark.parametrize(
    "extension", [{"kind": "ntk", "from_len": 4}, {"kind": "yarn", "from_len": 4, "to_len": 9}], ids=lambda kind: kind["kind"]
)
def test_a_network_is_scored_with_positions_extended_otherwise(corpus, windows, extension):
    """The scores are those of a network trained so, the address says so; `off` takes a trained extension away."""

    def weights(**more):
        rope = {"kind": "rope", "base": 100.0, **more}
        model = network(model_dim=32, positions=rope)
        return Weights(model.state_dict(), {**model.config.canonical(), "positions": rope}, {})

    plain, stretched = score(corpus, windows, weights=weights()), score(corpus, windows, weights=weights(extension=extension))
    asked = score(corpus, windows, weights=weights(), position_extension=extension)
    off = score(corpus, windows, weights=weights(extension=extension), position_extension={"kind": "off"})
    assert np.array_equal(asked.nats, stretched.nats)
    assert np.array_equal(off.nats, plain.nats)
    assert not np.array_equal(asked.nats, plain.nats)
    assert asked.summary["position_extension"] == extension
    assert "position_extension" not in plain.summary


def test_an_extension_of_positions_that_do_not_rotate_is_refused(corpus):
    with pytest.raises(ValueError, match=r"stretches rotary positions, and the network has positions 'alibi'"):
        score(corpus, FLAT, weights=weights_of(network(positions={"kind": "alibi"})), position_extension={"kind": "off"})
