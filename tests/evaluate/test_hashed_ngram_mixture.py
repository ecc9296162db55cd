"""The hashed gold-only blend: reproduced as it was published, and caught: its "distributions" sum to far more than one."""

from collections import Counter

import numpy as np
import pytest

from evaluate.test_stage import FLAT, KINDS, corpus_of, network, score, weights_of
from mulligan.core.execution import Execution
from mulligan.evaluate import scorer
from mulligan.evaluate.block import Watch
from mulligan.evaluate.config import EvaluateConfig, HashedNgramMixture
from mulligan.evaluate.hashed_ngram_mixture import HashedNgram
from mulligan.evaluate.passage import Passage
from mulligan.evaluate.stage import run
from toy import toy_documents

BLEND = {"kind": "hashed-ngram", "order": 3, "weight": 0.4, "num_buckets": 8}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    texts = [document.text for document in toy_documents(12, 3)]
    return corpus_of(texts, tmp_path_factory.mktemp("data") / "corpus")


def watched(corpus, windows, mixture, wanted):
    data = {"windows": [windows.canonical()], "precision": "fp32", "bytes": "piece", "mixture": mixture}
    watch = Watch(frozenset(wanted))
    config = EvaluateConfig.model_validate(data)
    return run(config, windows, None, weights_of(network()), corpus, Execution()).scores(watch), watch.rows


@pytest.mark.parametrize("buckets", [2, 8, 1 << 20])
@pytest.mark.parametrize("order", [2, 3, 9])
def test_ratios_are_counts_of_buckets_in_a_loop(buckets, order):
    tokens = np.random.default_rng(order).integers(0, 3, 300)
    asked = HashedNgramMixture.model_validate({**BLEND, "order": order, "num_buckets": buckets})
    passage = Passage.of_tokens(tokens, np.array([0]))
    blocks = HashedNgram(asked, passage, 3)
    parts = [blocks.of_targets(begin, min(begin + 64, 299)) for begin in range(0, 299, 64)]
    weight, ratio = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    contexts, pairs = Counter(), Counter()
    for position in range(299):
        context = int(blocks._context(np.array([position]))[0])
        pair = int(blocks._pair(np.array([context]), tokens[position + 1 : position + 2])[0])
        assert weight[position] == (0.4 if contexts[context] >= 2 else 0)
        if contexts[context] >= 2:
            assert ratio[position] == min(pairs[pair], contexts[context]) / contexts[context]
        if position % 37 == 0:
            of_all = blocks.of_all(position)
            assert of_all[1][tokens[position + 1]] == ratio[position]
        contexts[context] += 1
        pairs[pair] += 1
    if buckets > 1000 and order < 9:  # hardly a collision: the context is the tokens themselves
        distinct = {tuple(tokens[max(p - order + 2, 0) : p + 1]) for p in range(299)}
        assert len(contexts) == len(distinct)


@KINDS
def test_it_is_caught_its_distributions_sum_to_more_than_one(corpus, windows, monkeypatch):
    monkeypatch.setattr(scorer, "BLOCK_POSITIONS", 100)
    wanted = range(100, 160)
    blended, rows = watched(corpus, windows, BLEND, wanted)
    tokens = corpus.tokens("validation").read(0, len(blended.nats) + 1)
    assert min(np.exp(row).sum() for row in rows.values()) > 1.5
    for position, row in rows.items():
        assert -row[tokens[position + 1]] == pytest.approx(blended.nats[position], abs=1e-5)
    assert blended.summary["legal"] is False


def test_what_it_reports_is_far_below_what_a_normalised_mixture_of_the_same_counts_gives(corpus):
    legal = score(corpus, FLAT, mixture={"kind": "ngram", "order": 3, "weight": 0.4}).summary
    blended, plain = score(corpus, FLAT, mixture=BLEND).summary, score(corpus, FLAT).summary
    assert blended["nats_per_token"] < 0.6 * legal["nats_per_token"] < 0.6 * plain["nats_per_token"]
    many = score(corpus, FLAT, mixture={**BLEND, "num_buckets": 1 << 20}).summary
    assert many["nats_per_token"] > legal["nats_per_token"]  # without collisions nothing is gained


def test_what_comes_later_changes_no_report(corpus):
    """It is causal: the fault is the sum alone."""
    tokens = corpus.tokens("validation").read(0, 200)
    others = tokens.copy()
    others[120:] = tokens[:80]
    asked = HashedNgramMixture.model_validate(BLEND)
    found = [
        HashedNgram(asked, Passage.of_tokens(stream, np.array([0])), 260).of_targets(0, 199) for stream in (tokens, others)
    ]
    assert np.array_equal(found[0][1][:119], found[1][1][:119])
    assert not np.array_equal(found[0][1], found[1][1])
