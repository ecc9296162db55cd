"""The causal n-gram mixture against dictionaries in a loop: counts, causality, normalisation, blocks, and what a watch sees."""

import itertools
import math
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluate.test_stage import KINDS, TEXTS, corpus_of, network, score, weights_of
from mulligan.core.execution import Execution
from mulligan.evaluate import scorer
from mulligan.evaluate.block import Watch
from mulligan.evaluate.config import EvaluateConfig, NgramMixture
from mulligan.evaluate.mixture import mixed
from mulligan.evaluate.ngram_mixture import Counts, Ngram
from mulligan.evaluate.passage import Passage
from mulligan.evaluate.stage import run
from mulligan.model.kind import OFF

V = 4


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return corpus_of(TEXTS, tmp_path_factory.mktemp("data") / "corpus")


def config(**changes):
    return NgramMixture.model_validate({"kind": "ngram", "order": 3, "weight": 0.2, "concentration": 1.5, **changes})


def slow(asked, tokens, starts, vocab_size=V):
    """Return p(v) at every position, by dictionaries: what was counted is the targets before, in the scope alone."""
    found = np.empty((len(tokens) - 1, vocab_size))
    seen, history = [Counter() for _ in range(asked.order)], []
    for position in range(len(tokens) - 1):
        if asked.within == "document" and position in starts:
            seen, history = [Counter() for _ in range(asked.order)], []
        row = np.full(vocab_size, 1 / vocab_size)
        for k in range(asked.order):
            if len(history) >= k:
                context = tuple(history[len(history) - k :])
                counts = np.array([seen[k][(*context, v)] for v in range(vocab_size)])
                row = (counts + asked.concentration * row) / (counts.sum() + asked.concentration)
        found[position] = row
        history.append(int(tokens[position + 1]))
        for k in range(asked.order):
            if len(history) > k:
                seen[k][tuple(history[len(history) - k - 1 :])] += 1
    return found


def in_blocks(asked, passage, edges, vocab_size=V):
    expert = Ngram(asked, passage, vocab_size)
    edges = [0, *sorted(edge for edge in {*edges} if 0 < edge < passage.num_positions), passage.num_positions]
    return np.concatenate([expert.of_targets(a, b)[1] for a, b in itertools.pairwise(edges)])


STREAMS = st.lists(st.integers(0, V - 1), min_size=2, max_size=60)
ASKED = st.builds(
    config,
    order=st.integers(1, 5),
    concentration=st.sampled_from([0.01, 1.0, 30.0]),
    within=st.sampled_from(["stream", "document"]),
)


@settings(max_examples=150, deadline=None)
@given(tokens=STREAMS, asked=ASKED, cuts=st.sets(st.integers(1, 59), max_size=4), more=st.sets(st.integers(1, 58), max_size=5))
def test_the_probability_of_a_target_is_that_of_dictionaries_wherever_blocks_are_cut(tokens, asked, cuts, more):
    tokens = np.array(tokens)
    starts = np.array([0, *sorted(start for start in more if start < len(tokens) - 1)])
    passage = Passage.of_tokens(tokens, starts)
    expected = slow(asked, tokens, set(starts.tolist()))
    np.testing.assert_allclose(expected.sum(1), 1, rtol=0, atol=1e-12)
    found = in_blocks(asked, passage, cuts)
    np.testing.assert_allclose(found, expected[np.arange(len(found)), tokens[1:]], rtol=1e-12)
    expert = Ngram(asked, passage, V)
    for position in (0, len(found) // 2, len(found) - 1):
        np.testing.assert_allclose(expert.of_all(position)[1], expected[position], rtol=1e-12)


@settings(max_examples=100, deadline=None)
@given(tokens=STREAMS, asked=ASKED, data=st.data())
def test_a_changed_token_changes_no_probability_of_those_before_it(tokens, asked, data):
    """Token t is read at position t and is the target of t - 1; its own distribution, at t - 1, does not know it either."""
    tokens = np.array(tokens)
    changed = data.draw(st.integers(1, len(tokens) - 1))
    others = tokens.copy()
    others[changed:] = data.draw(
        st.lists(st.integers(0, V - 1), min_size=len(tokens) - changed, max_size=len(tokens) - changed)
    )
    starts = np.array([0])
    before, after = (Passage.of_tokens(stream, starts) for stream in (tokens, others))
    assert np.array_equal(in_blocks(asked, before, {9})[: changed - 1], in_blocks(asked, after, {9})[: changed - 1])
    rows = [Ngram(asked, passage, V).of_all(changed - 1)[1] for passage in (before, after)]
    assert np.array_equal(*rows)


@settings(max_examples=100, deadline=None)
@given(parts=st.lists(st.lists(st.integers(0, 5), max_size=20), min_size=1, max_size=4))
def test_counts_go_on_over_blocks(parts):
    counts, seen, first, position = Counts(), Counter(), {}, 0
    for part in parts:
        earlier, names = counts.add(np.array(part, np.int64), np.arange(position, position + len(part)))
        for key, count, name in zip(part, earlier, names, strict=True):
            assert (count, name) == (seen[key], first.setdefault(key, position))
            seen[key] += 1
            position += 1
    assert dict(zip(counts.keys.tolist(), counts.counts.tolist(), strict=True)) == dict(seen)
    counts.forget(3)
    assert sorted(counts.keys.tolist()) == sorted(key for key in seen if first[key] >= 3)


def test_within_documents_what_is_kept_does_not_grow_with_the_stream():
    """State of past documents is dropped; that of a stream is 20 bytes for each distinct k-gram."""
    tokens = np.random.default_rng(0).integers(0, 50, 20_001)
    passage = Passage.of_tokens(tokens, np.arange(0, 20_000, 100))
    expert = Ngram(config(within="document"), passage, 50)
    for begin in range(0, 20_000, 1000):
        expert.of_targets(begin, begin + 1000)
    assert max(len(counts.keys) for counts in expert._counts) <= 100
    stream = Ngram(config(), passage, 50)
    stream.of_targets(0, 20_000)
    for k, counts in enumerate(stream._counts):
        assert len(counts.keys) == len({tuple(tokens[i - k : i + 1]) for i in range(1 + k, 20_001)})
        assert counts.keys.itemsize + counts.counts.itemsize + counts.firsts.itemsize == 20


@KINDS
@pytest.mark.parametrize("within", ["stream", "document"])
def test_scores_are_those_of_the_mixture_in_blocks_of_any_size(corpus, windows, within, monkeypatch):
    asked = config(within=within)
    plain, mixed = score(corpus, windows), score(corpus, windows, mixture=asked.canonical())
    tokens = corpus.tokens("validation").read(0, len(plain.nats) + 1)
    starts = set(corpus.documents("validation").starts.tolist())
    gold = slow(asked, tokens, starts, 260)[np.arange(len(plain.nats)), tokens[1:]]
    expected = -np.log(0.8 * np.exp(-plain.nats.astype(float)) + 0.2 * gold)
    np.testing.assert_allclose(mixed.nats, expected, rtol=1e-6)
    assert mixed.nats.dtype == np.float32
    assert mixed.summary["mixture"] == asked.canonical()
    assert mixed.summary["legal"] is True
    monkeypatch.setattr(scorer, "BLOCK_POSITIONS", 12)
    assert np.array_equal(score(corpus, windows, mixture=asked.canonical()).nats, mixed.nats)


@KINDS
def test_a_watch_sees_the_mixed_distribution_which_sums_to_one(corpus, windows, monkeypatch):
    monkeypatch.setattr(scorer, "BLOCK_POSITIONS", 12)
    asked = {"windows": [windows.canonical()], "precision": "fp32", "bytes": "piece", "mixture": config().canonical()}
    watch = Watch(frozenset({0, 1, 30, 61, 70}))
    scored = run(EvaluateConfig.model_validate(asked), windows, None, weights_of(network()), corpus, Execution()).scores(watch)
    tokens = corpus.tokens("validation").read(0, len(scored.nats) + 1)
    assert watch.rows.keys() == watch.wanted
    for position, row in watch.rows.items():
        assert math.fsum(np.exp(row)) == pytest.approx(1, abs=1e-9)
        assert -row[tokens[position + 1]] == pytest.approx(scored.nats[position], abs=1e-5)


def test_text_that_repeats_is_learned():
    """After a few rounds of one sentence the n-gram knows it; a network that knows nothing gains almost all of it."""
    tokens = np.tile(np.arange(20), 30)
    expert = Ngram(config(order=2, concentration=0.1), Passage.of_tokens(tokens, np.array([0])), 20)
    _, probability = expert.of_targets(0, len(tokens) - 1)
    assert probability[:19].max() < 0.1
    assert probability[-20:].min() > 0.98


def test_a_mixture_that_is_off_is_not_there():
    blocks = iter([])
    assert mixed(OFF, blocks, SimpleNamespace(), V, None) is blocks
