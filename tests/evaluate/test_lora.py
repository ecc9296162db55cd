"""Per-document LoRA: against documents adapted alone with weights written out; causality, order, an untouched network."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from model.test_lever import BOS, LEVERS, config_of
from mulligan.core.execution import Execution
from mulligan.evaluate import lora
from mulligan.evaluate.adaptation_config import Lora
from mulligan.evaluate.block import Watch, whole
from mulligan.evaluate.config import EvaluateConfig
from mulligan.evaluate.lora import adapt_per_document
from mulligan.evaluate.low_rank import adapted, check_lora, first_a, linear_maps
from mulligan.evaluate.passage import Passage
from mulligan.evaluate.scorer import Scorer
from toy import random_network

CONTEXT_LEN = 7
LENGTHS = (11, 3, 14, 1, 9)
COLD = Lora(kind="lora", rank=2, alpha=3.0, chunk_tokens=4, batch_documents=2, lr=0.01, a="cold")
WARM = COLD.replace(a="warm")
OTHERS = {"embedding": {"kind": "untied"}, **LEVERS["swiglu"], **LEVERS["input-gated smear"], **LEVERS["biased gate"]}
NETWORKS = {"all": config_of("all"), "others": config_of("loop", **OTHERS)}
each_start = pytest.mark.parametrize("config", [COLD, WARM], ids=lambda config: config.a)


def network(name="all"):
    return random_network(NETWORKS[name]).eval()


def passage(lengths=LENGTHS, seed=0) -> Passage:
    """Return documents of given lengths, each beginning with BOS; the last target is the BOS after them."""
    tokens = np.random.default_rng(seed).integers(2, 32, sum(lengths) + 1)
    starts = np.cumsum((0, *lengths[:-1]))
    tokens[[*starts, -1]] = BOS
    return Passage.of_tokens(tokens, starts)


def scored(config, model, text, context_len=CONTEXT_LEN, watch=None):
    scorer = Scorer(model, text, context_len, "fp32", Execution(), watch=watch)
    return whole(adapt_per_document(config, scorer, "evaluate"))


class Alone:
    """One document's network: a copy whose linear maps are W + scale (A B)^T, another sum for each call."""

    def __init__(self, config, model, a):
        self.model, self.config = copy.deepcopy(model).requires_grad_(False), config
        self.a = [nn.Parameter(start.clone()) for start in a]
        self.b = []
        self.calls = [0] * len(a)
        for i, found in enumerate(linear_maps(self.model)):
            self.b.append(nn.Parameter(torch.zeros(found.num_calls, config.rank, found.outputs)))
            found.module.forward = self.summed(i, getattr(found.module, "weight", None), getattr(found.module, "bias", None))

    def summed(self, i, own, bias):
        def forward(x, weight=None):
            call, self.calls[i] = self.calls[i], self.calls[i] + 1
            delta = self.config.alpha / self.config.rank * (self.a[i][call] @ self.b[i][call]).T
            return F.linear(x, (own if weight is None else weight) + delta, bias)

        return forward

    def nats(self, tokens):
        """Return the nats of a document's tokens (n + 1,), chunk by chunk."""
        config, found = self.config, []
        optimizer = torch.optim.AdamW(
            [*self.a, *self.b], config.lr, (config.beta1, config.beta2), config.eps, config.weight_decay
        )
        for begin in range(0, len(tokens) - 1, config.chunk_tokens):
            end = min(begin + config.chunk_tokens, len(tokens) - 1)
            start = max(0, begin + config.chunk_tokens - CONTEXT_LEN)  # where the document ends is not known yet
            self.calls = [0] * len(self.a)
            window = torch.from_numpy(tokens[start : end + 1])[None]
            nats = self.model(window[:, :-1], window[:, 1:], 0, CONTEXT_LEN)[0, begin - start :]
            found.append(nats.detach())
            if end < len(tokens) - 1:
                optimizer.zero_grad()
                nats.mean().backward()
                optimizer.step()
        return torch.cat(found).numpy()


@each_start
@pytest.mark.parametrize("name", NETWORKS)
def test_a_document_scores_as_it_does_alone_with_its_updates_written_into_the_weights(name, config):
    model, text = network(name), passage()
    found = scored(config.replace(beta1=0.5, weight_decay=3.0), model, text)
    ends = np.append(text.starts[1:], text.num_positions)
    carried = [[first_a(found, config.rank) for found in linear_maps(model)] for _ in range(config.batch_documents)]
    for n, (start, end) in enumerate(zip(text.starts, ends, strict=True)):
        place = n % config.batch_documents
        alone = Alone(config.replace(beta1=0.5, weight_decay=3.0), model, carried[place])
        expected = alone.nats(text.read(start, end + 1))
        np.testing.assert_allclose(found.nats[start:end], expected, rtol=0, atol=1e-5)
        if config.a == "warm":
            carried[place] = [a.detach() for a in alone.a]


def isolated(model, text):
    """Return the nats without adaptation, in the same windows."""
    lengths = np.diff(text.starts, append=text.num_positions)
    parts = []
    for n in range(len(lengths)):
        for chunk in range(-(-lengths[n] // COLD.chunk_tokens)):
            windows = lora.chunk_windows(COLD, CONTEXT_LEN, text.starts, lengths, np.array([n]), chunk)
            parts.append(Scorer(model, text, CONTEXT_LEN, "fp32", Execution()).score(windows, ""))
    return np.concatenate(parts)


@each_start
def test_the_first_chunk_is_unadapted_the_others_are_not_and_each_score_says_where_it_comes_from(config):
    model, text = network(), passage()
    found, plain = scored(config, model, text), isolated(model, text)
    place = np.arange(text.num_positions) - np.repeat(text.starts, LENGTHS)
    first = place < config.chunk_tokens
    np.testing.assert_array_equal(found.updates, place // config.chunk_tokens)
    np.testing.assert_allclose(found.nats[first], plain[first], rtol=0, atol=1e-5)
    assert np.abs(found.nats - plain)[~first].min() > 1e-5
    assert (found.position_in_window == place - np.maximum(0, (place // 4 + 1) * 4 - CONTEXT_LEN)).all()


def test_a_document_with_cold_a_scores_alike_in_any_company(monkeypatch):
    model, text = network(), passage()
    together = scored(COLD.replace(batch_documents=64), model, text).nats
    alone = scored(COLD.replace(batch_documents=1), model, text).nats
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)
    monkeypatch.setattr(lora, "BATCH_TOKENS", 2 * CONTEXT_LEN)
    cut = scored(COLD.replace(batch_documents=64), model, text).nats
    np.testing.assert_allclose(together, cut, rtol=0, atol=1e-5)


@each_start
def test_no_token_changes_a_score_or_a_distribution_before_it(config):
    model, text = network(), passage()
    tokens = text.read(0, text.num_positions + 1)
    wanted = frozenset(range(text.num_positions))
    watch = Watch(wanted)
    nats = scored(config, model, text, watch=watch).nats
    moved = []
    for changed in (7, 21, 34):
        other = tokens.copy()
        other[changed] = (tokens[changed] + 5) % 30 + 2
        seen = Watch(wanted)
        again = scored(config, model, Passage.of_tokens(other, text.starts), watch=seen).nats
        np.testing.assert_allclose(again[: changed - 1], nats[: changed - 1], rtol=0, atol=1e-5)
        rows = [np.abs(seen.rows[p] - watch.rows[p]).max() for p in range(text.num_positions)]
        assert max(rows[:changed]) < 2e-5  # the row by which the changed token itself is scored is one of them
        moved.append(max(rows[changed:]))
    assert min(moved) > 1e-3


@each_start
def test_no_score_depends_on_where_its_document_will_end(config):
    """One document of 30 tokens, and the same one cut off within a chunk that does not fit the window any more."""
    model, text = network(), passage((30,))
    long = scored(config, model, text).nats
    for end in (21, 22, 23):
        tokens = text.read(0, 31).copy()
        tokens[end] = BOS
        cut = scored(config, model, Passage.of_tokens(tokens, np.array([0, end]))).nats
        np.testing.assert_allclose(cut[: end - 1], long[: end - 1], atol=1e-4)


@each_start
def test_every_position_is_scored_once_and_then_learned_from_at_most_once(config):
    text, watch = passage(), Watch(frozenset(range(sum(LENGTHS))))
    nats = scored(config, network(), text, watch=watch).nats
    seen = {"scored": np.zeros(text.num_positions, int), "updated": np.zeros(text.num_positions, int)}
    for event in watch.events:
        seen[event.kind][event.positions] += 1
        assert (seen["updated"] <= seen["scored"]).all()
    assert (seen["scored"] == 1).all()
    place = np.arange(text.num_positions) - np.repeat(text.starts, LENGTHS)
    in_last_chunk = place // 4 == (np.repeat(LENGTHS, LENGTHS) - 1) // 4
    np.testing.assert_array_equal(seen["updated"], ~in_last_chunk)
    targets = text.read(1, text.num_positions + 1)
    np.testing.assert_allclose([-watch.rows[p][targets[p]] for p in range(len(nats))], nats, rtol=0, atol=1e-5)


def test_the_network_is_left_as_it_was():
    model = network()
    model.blocks[0].attn.c_q.weight.requires_grad_(False)
    before = {name: (p.detach().clone(), p.requires_grad) for name, p in model.named_parameters()}
    scored(WARM, model, passage())
    with pytest.raises(RuntimeError, match="no memory"), adapted(model, COLD, "cpu"):
        raise RuntimeError("no memory")
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name][0])
        assert parameter.requires_grad == before[name][1]
        assert parameter.grad is None
    assert not any(module._forward_hooks for module in model.modules())


def test_a_repetitive_document_gets_easier():
    tokens = np.tile(np.random.default_rng(0).integers(2, 32, 6), 10)
    tokens[0] = tokens[-1] = BOS
    model, text = network("others"), Passage.of_tokens(tokens, np.array([0]))
    assert scored(COLD, model, text).nats.mean() < isolated(model, text).mean() - 0.1


def test_maps_are_named_as_modules_run_as_often_as_the_order_says_and_the_head_is_one():
    calls = {found.name: found.num_calls for found in linear_maps(network())}
    assert calls["head"] == calls["blocks.0.attn.c_q"] == calls["blocks.4.mlp.proj"] == 1
    assert calls["blocks.1.attn.c_v"] == calls["blocks.2.mlp.fc"] == 3
    assert len(calls) == 5 * 6 + 1
    with adapted(network("others"), COLD.replace(match=("head", "*.c_[qv]")), "cpu") as adapters:
        assert {found.name.rsplit(".")[-1] for found in adapters.maps} == {"head", "c_q", "c_v"}
    with pytest.raises(ValueError, match=r"match: 'lm_head' matches no linear map\. There are: blocks\.0\.attn\.c_q, "):
        scored(COLD.replace(match=("lm_head",)), network(), passage())


def test_maps_are_checked_without_a_network_and_chunks_against_the_windows():
    check_lora(COLD, NETWORKS["all"])
    with pytest.raises(ValueError, match=r"match: '\*\.c_x' matches no linear map"):
        check_lora(COLD.replace(match=("head", "*.c_x")), NETWORKS["all"])
    data = {"windows": [{"kind": "flat", "context_len": 7}], "precision": "fp32", "bytes": "piece"}
    EvaluateConfig.model_validate({**data, "adaptation": COLD.replace(chunk_tokens=7)})
    with pytest.raises(ValueError, match=r"chunk_tokens = 8 is more than context_len = 7"):
        EvaluateConfig.model_validate({**data, "adaptation": COLD.replace(chunk_tokens=8)})


def test_a_document_that_predicts_nothing_is_passed_over():
    text = passage((5, 6))
    tokens = np.append(text.read(0, 12), [])
    ended = Passage.of_tokens(tokens.astype(np.int64), np.array([0, 5, 11]))
    model = network()
    np.testing.assert_array_equal(scored(WARM, model, ended).nats, scored(WARM, model, text).nats)


def test_bf16_scores_are_near_those_of_fp32():
    model, text = network(), passage()
    bf16 = Scorer(model, text, CONTEXT_LEN, "bf16", Execution())
    found = whole(adapt_per_document(COLD, bf16, "evaluate")).nats
    assert 1e-6 < np.abs(found - scored(COLD, model, text).nats).mean() < 0.2
