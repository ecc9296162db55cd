"""Chunked adaptation: against a plain loop, score first, every setting, and what may not change (B5, B20, B22)."""

import copy
import math

import numpy as np
import pytest
import torch

from mulligan.core.config import parse_config
from mulligan.core.execution import Execution
from mulligan.evaluate.block import Watch, whole
from mulligan.evaluate.config import EvaluateConfig
from mulligan.evaluate.evaluator import evaluate, lay_windows
from mulligan.evaluate.passage import Passage
from mulligan.numerics.fake_quantize import fake_quantize
from mulligan.numerics.grid import assign
from mulligan.numerics.newton_schulz import orthogonalize
from mulligan.values.byte_table import ByteTable
from toy import GRID, model_config, random_network

CONTEXT, CHUNK = 8, 24
SLIDING = {"kind": "sliding", "context_len": CONTEXT, "stride": 3}
FLAT = {"kind": "flat", "context_len": CONTEXT}
SGD = {"kind": "sgd", "chunk_tokens": CHUNK, "epochs": 2, "batch_sequences": 2, "lr": 0.05}
NETWORKS = {
    "plain": {},
    "levers": {
        "smear": {"kind": "static"},
        "bigram_hash": {"kind": "xor", "num_buckets": 64, "dim": 4},
        "value_embedding": {"kind": "shared", "dim": 4, "layers": [1]},
        "value_residual": "first-layer",
        "attention_gate": {"kind": "sigmoid"},
        "recurrence": {"kind": "loop", "first": 0, "last": 1, "num_repeats": 1},
        "embedding": {"kind": "untied"},
    },
}


def passage_of(num_tokens=101, seed=0) -> Passage:
    rng = np.random.default_rng(seed)
    tokens = np.minimum(rng.geometric(0.15, num_tokens) + 1, 31)
    starts = np.array([0, 17, 18, 60])
    starts = starts[starts < num_tokens]
    tokens[starts] = 1
    table = ByteTable(np.arange(32) % 3, np.arange(32) % 2 == 1, np.arange(32) == 1)
    return Passage.of_tokens(tokens, starts, table)


def config_of(adaptation=SGD, windows=SLIDING) -> EvaluateConfig:
    data = {"windows": [windows], "precision": "fp32", "bytes": "piece", "adaptation": adaptation}
    return parse_config(EvaluateConfig, data, "evaluate")


def adapted(adaptation=SGD, windows=SLIDING, model=None, passage=None, watch=None):
    config, model = config_of(adaptation, windows), model or random_network(model_config()).eval()
    return whole(evaluate(config, config.windows[0], model, passage or passage_of(), Execution(), watch=watch, grid=GRID))


def plainly(model, passage, windows, adaptation) -> np.ndarray:
    """One window at a time, one sequence at a time, by torch.optim.SGD."""
    settings = {"momentum": 0.9, "schedule": "cosine", "clip_norm": 1.0, **adaptation}
    model = copy.deepcopy(model)
    tokens = torch.from_numpy(passage.read(0, passage.num_positions + 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0, momentum=settings["momentum"])
    laid = lay_windows(config_of(windows=windows).windows[0], passage.starts, passage.num_positions)
    nats, num_chunks = np.full(passage.num_positions, np.nan), math.ceil(passage.num_positions / CHUNK)
    for chunk in range(num_chunks):
        for start, first, stop in zip(laid.start, laid.first, laid.stop, strict=True):
            if first // CHUNK == chunk:
                with torch.no_grad():
                    found = model(tokens[None, start:stop], tokens[None, start + 1 : stop + 1])[0]
                nats[first:stop] = found[first - start :].numpy()
        if chunk + 1 == num_chunks:
            continue
        scale = 0.5 * (1 + math.cos(math.pi * chunk / (num_chunks - 1))) if settings["schedule"] == "cosine" else 1.0
        optimizer.param_groups[0]["lr"] = settings["lr"] * scale
        rows = [chunk * CHUNK + i * CONTEXT for i in range(CHUNK // CONTEXT)]
        for _ in range(settings["epochs"]):
            for begin in range(0, len(rows), settings["batch_sequences"]):
                batch = rows[begin : begin + settings["batch_sequences"]]
                optimizer.zero_grad()
                losses = [model(tokens[None, row : row + CONTEXT], tokens[None, row + 1 : row + CONTEXT + 1]) for row in batch]
                torch.cat(losses).mean().backward()
                if settings["clip_norm"]:
                    torch.nn.utils.clip_grad_norm_(model.parameters(), settings["clip_norm"])
                optimizer.step()
    return nats


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("windows", [SLIDING, FLAT], ids=lambda windows: windows["kind"])
@pytest.mark.parametrize(
    "change",
    [{}, {"schedule": "constant", "momentum": 0.5}, {"clip_norm": 0.0, "lr": 0.01}, {"batch_sequences": 1, "epochs": 1}],
)
def test_scores_are_those_of_a_plain_loop(network, windows, change):
    model, adaptation = random_network(model_config(**NETWORKS[network])).eval(), {**SGD, **change}
    expected = plainly(model, passage_of(), windows, adaptation)
    found = adapted(adaptation, windows, model)
    np.testing.assert_allclose(found.nats, expected, rtol=1e-5, atol=2e-5)
    still = whole(
        evaluate(config_of({"kind": "off"}, windows), config_of(windows=windows).windows[0], model, passage_of(), Execution())
    )
    assert found.nats[: CHUNK // 2].tolist() == pytest.approx(still.nats[: CHUNK // 2].tolist(), abs=1e-6)
    assert np.abs(found.nats[CHUNK + CONTEXT :] - still.nats[CHUNK + CONTEXT :]).max() > 0.01


def test_weights_learn_from_what_repeats():
    tokens = np.tile(np.random.default_rng(0).integers(2, 32, 20), 30)
    passage = Passage.of_tokens(tokens, np.array([0]))
    found = adapted({**SGD, "epochs": 4, "lr": 0.2, "schedule": "constant"}, FLAT, passage=passage)
    assert found.nats[-100:].mean() < 0.7 * found.nats[:100].mean()


def test_muon_steps_along_orthogonal_factors_and_vectors_by_their_gradient():
    model, passage = random_network(model_config()).eval(), passage_of(2 * CHUNK + 1)
    adaptation = {"kind": "muon", "chunk_tokens": CHUNK, "epochs": 1, "batch_sequences": 9, "lr": 0.03, "clip_norm": 0.0}
    found = adapted(adaptation, FLAT, model, passage)
    tokens = torch.from_numpy(passage.read(0, CHUNK + 1))
    stepped = copy.deepcopy(model)
    rows = tokens.unfold(0, CONTEXT + 1, CONTEXT)
    stepped(rows[:, :-1], rows[:, 1:]).mean().backward()
    with torch.no_grad():
        for weight in stepped.parameters():
            assert weight.grad is not None
            weight -= 0.03 * (orthogonalize(weight.grad[None], 3)[0] if weight.ndim > 1 else weight.grad)
        last = torch.from_numpy(passage.read(CHUNK, 2 * CHUNK + 1)).unfold(0, CONTEXT + 1, CONTEXT)
        expected = stepped(last[:, :-1], last[:, 1:]).flatten()
    np.testing.assert_allclose(found.nats[CHUNK:], expected.numpy(), rtol=0, atol=1e-5)


KINDS = pytest.mark.parametrize(
    "adaptation",
    [
        SGD,
        {**SGD, "kind": "muon"},
        {**SGD, "polyak": {"kind": "ema", "decay": 0.5}},
        {**SGD, "fake_quantize": "grid"},
        {**SGD, "loss": "per-byte"},
        {**SGD, "num_frozen_blocks": 1},
        {**SGD, "lr_factors": [{"match": ["*.proj.weight"], "factor": 3.0}]},
        {**SGD, "epochs_by_loss": {"kind": "by-loss", "above_nats": 3.6, "below_nats": 3.5}},
    ],
    ids=lambda adaptation: "-".join(str(value)[:12] for name, value in adaptation.items() if SGD.get(name) != value) or "sgd",
)


@KINDS
def test_a_token_changes_no_score_before_its_own_and_moves_later_ones(adaptation):
    model, passage = random_network(model_config()).eval(), passage_of()
    before = adapted(adaptation, model=model, passage=passage).nats
    for t in (3, CHUNK - 1, CHUNK + 1, 70):
        tokens = passage.read(0, passage.num_positions + 1)
        tokens[t] = 2 + (tokens[t] + 7) % 30
        after = adapted(adaptation, model=model, passage=Passage.of_tokens(tokens, passage.starts, passage.byte_table)).nats
        assert after[: t - 1].tobytes() == before[: t - 1].tobytes()
        assert abs(after[t - 1] - before[t - 1]) > 1e-4
    assert np.abs(after - before)[80:].max() > 1e-4


@KINDS
def test_every_position_is_scored_once_before_the_update_that_reads_it_and_the_model_stays(adaptation):
    model, watch = random_network(model_config()).eval(), Watch(frozenset({60}))
    kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = adapted(adaptation, model=model, watch=watch)
    again = adapted(adaptation, model=model)
    assert again.nats.tobytes() == found.nats.tobytes()
    assert all(torch.equal(tensor, kept[name]) for name, tensor in model.state_dict().items())
    assert not any(weight.requires_grad is False for weight in model.parameters())
    scored: set[int] = set()
    updates = 0
    for event in watch.events:
        positions = set(event.positions.tolist())
        if event.kind == "scored":
            assert not positions & scored
            assert set(found.updates[sorted(positions)].tolist()) == {updates}
            scored |= positions
        else:
            assert positions <= scored
            updates += 1
    assert scored == set(range(100))
    assert -watch.rows[60][passage_of().read(61, 62)[0]] == pytest.approx(found.nats[60], abs=1e-5)


def test_each_setting_does_what_it_says():
    """One update on the first chunk, seen in the scores of the second against weights moved by hand."""
    model, passage = random_network(model_config()).eval(), passage_of(2 * CHUNK + 1)
    base = {
        "kind": "sgd",
        "chunk_tokens": CHUNK,
        "epochs": 1,
        "batch_sequences": 9,
        "lr": 0.05,
        "clip_norm": 0.0,
        "momentum": 0.0,
    }
    rows = torch.from_numpy(passage.read(0, CHUNK + 1)).unfold(0, CONTEXT + 1, CONTEXT)
    last = torch.from_numpy(passage.read(CHUNK, 2 * CHUNK + 1)).unfold(0, CONTEXT + 1, CONTEXT)

    def by_hand(factor=lambda name: 1.0, weigh=None, rounded=False, kept=0.0):
        stepped = copy.deepcopy(model)
        named = dict(stepped.named_parameters())
        latent = {name: weight.detach().clone() for name, weight in named.items()}
        if rounded:
            with torch.no_grad():
                for name, form in assign(GRID, {name: tuple(weight.shape) for name, weight in named.items()}).items():
                    if form.kind == "int":
                        named[name].copy_(fake_quantize(latent[name], form))
        nats = stepped(rows[:, :-1], rows[:, 1:])
        loss = nats.mean() if weigh is None else (nats * weigh).sum() / weigh.sum()
        loss.backward()
        with torch.no_grad():
            for name, weight in named.items():
                weight.copy_(latent[name] - (1.0 - kept) * 0.05 * factor(name) * weight.grad)
            return stepped(last[:, :-1], last[:, 1:]).flatten().numpy()

    index = np.arange(CHUNK).reshape(-1, CONTEXT)
    byte_weights = torch.from_numpy(passage.bytes_of(index)).float()
    rules = [{"match": ["*.proj.weight"], "factor": 3.0}, {"match": ["*.proj.*", "*.fc.weight"], "factor": 0.5}]
    for change, expected in (
        ({}, by_hand()),
        ({"num_frozen_blocks": 1}, by_hand(lambda name: 0.0 if name.startswith("blocks.0.") else 1.0)),
        (
            {"lr_factors": rules},
            by_hand(lambda name: {"proj": 3.0, "fc": 0.5}.get(name.split(".")[-2], 1.0) if "." in name else 1.0),
        ),
        ({"loss": "per-byte"}, by_hand(weigh=byte_weights)),
        ({"fake_quantize": "grid"}, by_hand(rounded=True)),
        ({"polyak": {"kind": "ema", "decay": 0.75}}, by_hand(kept=0.75)),
    ):
        found = adapted({**base, **change}, FLAT, model, passage).nats[CHUNK:]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5, err_msg=str(change))
        assert change == {} or np.abs(found - by_hand()).max() > 1e-4


def test_epochs_follow_the_loss_of_the_chunk():
    passage = passage_of(2 * CHUNK + 1)
    for above, below, expected in ((99.0, 0.1, 2), (0.1, 0.05, 5), (99.0, 98.0, 1)):
        rule = {"kind": "by-loss", "above_nats": above, "below_nats": below, "more_epochs": 5, "fewer_epochs": 1}
        found = adapted({**SGD, "batch_sequences": 9, "epochs_by_loss": rule}, FLAT, passage=passage)
        assert sorted(set(found.updates.tolist())) == [0, expected]


@pytest.mark.parametrize("kind", ["train-then-score", "two-pass"])
def test_what_trains_on_the_answers_is_marked_and_reads_them(kind):
    """The illegal kinds: an earlier score moves with a later token, and the events say why."""
    config, passage, model = config_of({**SGD, "kind": kind}), passage_of(), random_network(model_config()).eval()
    assert config.legal is False
    assert config_of().legal is True
    watch = Watch()
    before = adapted({**SGD, "kind": kind}, model=model, passage=passage, watch=watch)
    tokens = passage.read(0, 101)
    tokens[90] = 2 + (tokens[90] + 7) % 30
    after = adapted({**SGD, "kind": kind}, model=model, passage=Passage.of_tokens(tokens, passage.starts))
    assert np.abs(after.nats - before.nats)[:80].max() > 1e-4
    times = np.bincount(np.concatenate([event.positions for event in watch.events if event.kind == "scored"]), minlength=100)
    assert set(times.tolist()) == ({1} if kind == "train-then-score" else {2})
    assert before.nats.mean() < adapted(model=model, passage=passage).nats.mean()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"lr_factors": [{"match": ["*.nothing"], "factor": 1.0}]}, r"'\*\.nothing' matches no tensor"),
        ({"lr_factors": [{"match": ["*"], "factor": 0.0}]}, "freezes every tensor"),
        ({"chunk_tokens": CONTEXT - 1}, "chunk_tokens = 7 is less than context_len = 8"),
    ],
)
def test_settings_that_would_teach_nothing_are_refused(change, said):
    with pytest.raises(ValueError, match=said):
        adapted({**SGD, **change})
