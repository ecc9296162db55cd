"""Streaming against one banded forward over the whole stream: any chunk, window and place, every lever on."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model import reference
from model.test_lever import LEVERS, config_of
from mulligan.core.config import parse_config
from mulligan.core.execution import Execution
from mulligan.evaluate import scorer, streaming
from mulligan.evaluate.block import Block, Watch, whole
from mulligan.evaluate.config import EvaluateConfig, Streaming
from mulligan.evaluate.passage import Passage
from mulligan.evaluate.scorer import Scorer
from mulligan.model import gpt
from mulligan.model.attention_mask import attention_mask
from mulligan.model.config import ModelConfig
from mulligan.model.past import Past
from mulligan.model.positions import rotation_at
from toy import random_network

BOS, LENGTH = 1, 37
STARTS = [0, 5, 6, 20]
SCHEMES = {
    "rope": {},
    "none": {"positions": {"kind": "none"}},
    **{name: {"positions": LEVERS[name]["positions"]} for name in ("partial rope", "partial ntk", "yarn", "alibi", "buckets")},
}
NETWORKS = {
    **{f"all, {name}": {**LEVERS["all"], "positions": {"kind": "rope", "base": 100.0}, **s} for name, s in SCHEMES.items()},
    "all that isolates nothing": {**LEVERS["all"], "document_attention": "across", "legacy_document_leak": True},
    "input-gated": {**LEVERS["input-gated smear"], **LEVERS["linear bigrams"], **LEVERS["sparse gate"]},
}
documents_too = pytest.mark.parametrize("documents", ["across", "isolated"])


def network_of(name: str) -> gpt.GPT:
    return random_network(config_of("leaky", **NETWORKS[name])).eval()


def passage_of(length: int = LENGTH) -> Passage:
    """Return a passage in which documents begin at STARTS."""
    tokens = np.random.default_rng(0).integers(2, 32, length + 1)
    starts = np.array([start for start in STARTS if start < length])
    tokens[starts] = BOS
    return Passage.of_tokens(tokens, starts)


def streamed(model: gpt.GPT, passage: Passage, window: int, documents: str = "across", watch: Watch | None = None) -> Block:
    config = Streaming(kind="streaming", context_len=window, documents=documents)
    return whole(streaming.stream(config, Scorer(model, passage, window, "fp32", Execution(), watch=watch), "test"))


def hidden(model: gpt.GPT, tokens: torch.Tensor, window: int, ends: list[int], starts=None, first_position=0) -> torch.Tensor:
    """Return the stream's (T, model_dim) for tokens (T,), in chunks cut at `ends`."""
    past = Past(window, starts, first_position)
    with torch.no_grad():
        return torch.cat([model.hidden(part[None], past=past)[0] for part in torch.tensor_split(tokens, ends) if len(part)])


def in_one_forward(model: gpt.GPT, tokens: torch.Tensor, window: int, documents: str, monkeypatch) -> torch.Tensor:
    """Return the stream's (T, model_dim) by the path without a past, through one (T, T) mask per layer."""
    changes = {"document_attention": "isolated", "legacy_document_leak": False} if documents == "isolated" else {}
    other = gpt.GPT(model.config.replace(**changes), 0).to(model.tok_emb.weight.dtype).eval()
    other.load_state_dict(model.state_dict())

    def banded(seq_len, own, *rest):
        return attention_mask(seq_len, min(window, own or window), *rest)

    def turned(config, head_dim, seq_len, device, context_len):
        return rotation_at(config, head_dim, torch.arange(seq_len, device=device), context_len)

    with monkeypatch.context() as patch, torch.no_grad():
        patch.setattr(gpt, "attention_mask", banded)
        patch.setattr(gpt, "rotation", turned)
        return other.hidden(tokens[None], context_len=window)[0]


@documents_too
@pytest.mark.parametrize(("name", "window"), [*((name, 8) for name in NETWORKS), ("all, partial ntk", 1), ("all, alibi", 60)])
def test_streaming_is_one_banded_forward(name, documents, window, monkeypatch):
    model, passage = network_of(name), passage_of()
    tokens = torch.from_numpy(passage.read(0, LENGTH + 1))
    expected = in_one_forward(model, tokens[:-1], window, documents, monkeypatch)
    with torch.no_grad():
        nats = torch.nn.functional.cross_entropy(model.logits(expected), tokens[1:], reduction="none")
    monkeypatch.setattr(streaming, "CHUNK_TOKENS", 10)
    np.testing.assert_allclose(streamed(model, passage, window, documents).nats, nats.numpy(), rtol=0, atol=1e-5)
    double = model.double()
    expected = in_one_forward(double, tokens[:-1], window, documents, monkeypatch)
    starts = torch.tensor(STARTS) if documents == "isolated" else None
    found = hidden(double, tokens[:-1], window, [10, 20, 30], starts)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@documents_too
@pytest.mark.parametrize("name", ["all, partial rope", "all that isolates nothing", "input-gated"])
def test_streaming_agrees_with_the_plain_reference(name, documents, monkeypatch):
    """Numpy, one token, head and layer at a time."""
    model, passage, sees, window = network_of(name), passage_of(24), reference.sees, 5
    changes = {"document_attention": "isolated", "legacy_document_leak": False} if documents == "isolated" else {}
    monkeypatch.setattr(
        reference, "sees", lambda config, layer, tokens, t, j: j > t - window and sees(config, layer, tokens, t, j)
    )
    tokens, parameters = passage.read(0, 25), reference.parameters_of(model)
    expected = reference.nats(model.config.replace(**changes), parameters, tokens[:-1], tokens[1:], context_len=window)
    monkeypatch.setattr(streaming, "CHUNK_TOKENS", 7)
    np.testing.assert_allclose(streamed(model, passage, window, documents).nats, expected, rtol=0, atol=2e-5)


@settings(max_examples=15, deadline=None)
@given(
    name=st.sampled_from(list(NETWORKS)),
    window=st.integers(1, 50),
    ends=st.lists(st.integers(1, LENGTH), max_size=6).map(sorted),
    isolated=st.booleans(),
)
def test_where_the_chunks_are_cut_changes_nothing(name, window, ends, isolated):
    model, tokens = network_of(name).double(), torch.from_numpy(passage_of().read(0, LENGTH))
    starts = torch.tensor(STARTS) if isolated else None
    found, at_once = hidden(model, tokens, window, ends, starts), hidden(model, tokens, window, [], starts)
    torch.testing.assert_close(found, at_once, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", [f"all, {scheme}" for scheme in SCHEMES])
def test_sixty_million_tokens_on_scores_are_those_of_the_beginning(name):
    model, tokens = network_of(name), torch.from_numpy(passage_of().read(0, LENGTH))
    near, far = (hidden(model, tokens, 8, [10, 11, 25], first_position=first) for first in (0, 61_999_999))
    torch.testing.assert_close(far, near, rtol=0, atol=1e-5)


@documents_too
def test_no_later_token_changes_a_score_and_the_window_is_all_that_one_layer_sees(documents, monkeypatch):
    """C1. One layer, so that a key knows its own token alone: position p sees tokens p - window + 1 to p."""
    model = random_network(ModelConfig.model_validate({**config_of("ntk").model_dump(), "num_layers": 1})).eval()
    passage, window = passage_of(), 6
    monkeypatch.setattr(streaming, "CHUNK_TOKENS", 9)
    monkeypatch.setattr(scorer, "BLOCK_POSITIONS", 9)
    wanted = frozenset(range(LENGTH))

    def rows(tokens: np.ndarray) -> np.ndarray:
        watch = Watch(wanted=wanted)
        streamed(model, Passage.of_tokens(tokens, passage.starts), window, documents, watch)
        assert np.concatenate([event.positions for event in watch.events]).tolist() == list(range(LENGTH))
        return np.array([watch.rows[p] for p in range(LENGTH)])

    tokens = passage.read(0, LENGTH + 1)
    before = rows(tokens)
    for changed in range(LENGTH):
        other = tokens.copy()
        other[changed] = 2 + (other[changed] + 1) % 30
        moved = np.flatnonzero(np.abs(rows(other) - before).max(1) > 1e-5)
        end = min([start for start in STARTS if start > changed] + [LENGTH]) if documents == "isolated" else LENGTH
        assert moved.tolist() == list(range(changed, min(changed + window, end)))


@documents_too
def test_positions_count_the_keys_that_are_seen(documents, monkeypatch):
    monkeypatch.setattr(streaming, "CHUNK_TOKENS", 9)
    monkeypatch.setattr(scorer, "BLOCK_POSITIONS", 10)
    found = streamed(network_of("all, rope"), passage_of(), 6, documents)
    places = np.arange(LENGTH) if documents == "across" else np.arange(LENGTH) - np.repeat(STARTS, np.diff([*STARTS, LENGTH]))
    assert found.position_in_window.tolist() == np.minimum(places, 5).tolist()


def test_the_length_of_a_chunk_is_bounded_by_its_logits(monkeypatch):
    sizes, model = [], network_of("all, rope")
    logits = model.logits
    monkeypatch.setattr(model, "logits", lambda x: (sizes.append(x.size(1)), logits(x))[1])
    monkeypatch.setattr(streaming, "CHUNK_LOGITS", 32 * 8)
    streamed(model, passage_of(), 4)
    assert sizes == [8, 8, 8, 8, 5]


def test_adaptation_in_streaming_windows_is_refused():
    data = {"windows": [{"kind": "streaming", "context_len": 8}], "precision": "fp32", "bytes": "piece"}
    parse_config(EvaluateConfig, data, "evaluate")
    with pytest.raises(ValueError, match="streaming has none"):
        parse_config(EvaluateConfig, {**data, "adaptation": {"kind": "sgd"}}, "evaluate")
