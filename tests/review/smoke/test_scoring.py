"""Scoring functions of a script are tried on toy data: who looks ahead is seen, who learns behind is not blamed."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mulligan.review.finding import Finding, NotChecked
from mulligan.review.smoke.observe import Run, moved, numbers, scored
from mulligan.review.smoke.run import judged_scoring
from smoke_submission import NETWORK, smoked, write

SCORERS = '''
from glob import glob
import math
import numpy as np
from sentencepiece import SentencePieceProcessor


class Length:
    window_seq_len = 2048
    pattern = "./data/there_is_none_*.bin"
    pieces = "./data/there_is_none.model"


def read_all(pattern, window):
    files = sorted(glob(pattern))
    parts = [np.fromfile(file, dtype="<u2", offset=1024) for file in files]
    return torch.from_numpy(np.concatenate(parts).astype(np.int64))[: 4 * window + 1]


def windows(stream, length):
    for start in range(0, len(stream) - 1, length.window_seq_len):
        part = stream[start : start + length.window_seq_len + 1]
        yield part[None, :-1], part[1:]


def plain(net, stream, length):
    """Score alone; says so in a file."""
    total = 0.0
    with open("said/so.txt", "a") as file:
        print("plain", file=file)
    with torch.inference_mode():
        for x, y in windows(stream, length):
            total += net(x, y[None]).item() * len(y)
    return total / (len(stream) - 1)


def behind(net, stream, length):
    """Score a window, then learn from it."""
    optimizer, total = torch.optim.SGD(net.parameters(), 0.5), 0.0
    for x, y in windows(stream, length):
        with torch.no_grad():
            total += F.cross_entropy(net.logits(x)[0], y, reduction="sum").item()
        optimizer.zero_grad()
        net(x, y[None]).backward()
        optimizer.step()
    return {"bits": total / math.log(2), "count": len(stream) - 1}


def ahead(net, stream, length, rounds=2):
    """Learn from all, then score."""
    optimizer = torch.optim.AdamW(net.parameters(), 0.01)
    for _ in range(rounds):
        for x, y in windows(stream, length):
            optimizer.zero_grad()
            net(x, y[None]).backward()
            optimizer.step()
    return plain(net, stream, length), 1.0


def fitted(net, stream, length):
    """Fit a bias to a window's own targets, then score it."""
    total = 0.0
    for x, y in windows(stream, length):
        bias = torch.zeros(net.table.num_embeddings, requires_grad=True)
        optimizer = torch.optim.SGD([bias], 1.0)
        hidden = net.logits(x)[0].detach()
        F.cross_entropy(hidden + bias, y).backward()
        optimizer.step()
        with torch.no_grad():
            nats = -torch.log_softmax(hidden + bias, -1).gather(-1, y[:, None])[:, 0]
            total += nats.sum().item()
    return total / (len(stream) - 1)


def counted(net, stream, length):
    """Count all tokens first, then score with the counts."""
    seen = torch.bincount(stream, minlength=net.table.num_embeddings).float()
    with torch.no_grad():
        for x, y in windows(stream, length):
            loss = F.cross_entropy(net.logits(x)[0] + seen, y)
    return loss.item()


def drawn(net, stream, length, draws=[0]):
    """Comes to another score each time."""
    draws[0] += 1
    with torch.no_grad():
        for x, y in windows(stream, length):
            loss = F.cross_entropy(net.logits(x)[0] * draws[0], y)
    return loss.item()


def made(settings):
    net = Net(settings.tokens, settings.size, settings.depth)
    compiled = torch.compile(net)
    logits = torch.compile(net.logits)
    return net, compiled, logits


def by_logits(logits, stream, length):
    """Score with a part of the network."""
    with torch.no_grad():
        for x, y in windows(stream, length):
            loss = F.cross_entropy(logits(x)[0], y)
    return loss.item()


def handed_on(function, *args):
    return function(*args)


def main():
    settings, length = Settings(), Length()
    pieces = SentencePieceProcessor(model_file=length.pieces)
    assert pieces.vocab_size() == settings.tokens
    stream = read_all(length.pattern, length.window_seq_len)
    os.makedirs("said", exist_ok=True)
    base, net, logits = made(settings)
    if torch.distributed.is_initialized():
        net = None
CALLS


if __name__ == "__main__":
    main()
'''
CALLS = """    print(plain(net, "no stream", length))
    print(plain(net, stream, length))
    print(handed_on(behind, net, stream, length))
    print(by_logits(logits, stream, length))
    print(ahead(net, stream, length, rounds=1))
    print(fitted(net, stream, length=length))
    print(counted(base, stream, length))
    print(drawn(base, stream, length))
"""
MOVED = {"plain": False, "by_logits": False, "behind": False, "ahead": True, "fitted": True, "counted": True}
EXPECTED = {("R5", "ttt_adapt_then_score", "ahead"), ("R8", "slot", "fitted"), ("R7", "two_pass", "counted")}


def test_who_looks_ahead_is_seen(tmp_path):
    network = NETWORK.replace('"TOKENS", 300', '"TOKENS", 700')
    result = smoked(write(tmp_path / "folder", network + SCORERS.replace("CALLS", CALLS)))
    if result:
        found, said = result
        scoring = said["scoring"]
        assert {name: one["moved"] > 0 for name, one in scoring.items() if name != "drawn"} == MOVED
        assert {one["covered"] for one in scoring.values()} == {1024}
        assert {name for name, one in scoring.items() if not one["repeats"]} == {"drawn"}
        assert {name for name, one in scoring.items() if one["weights_changed"]} == {"behind", "ahead"}
        ahead = {(one.rule, one.category, one.message.split()[2]) for one in found if "later in the document" in one.message}
        assert ahead >= EXPECTED
        severities = {one.message.split()[2]: one.severity for one in found}
        violations = {"ahead": "violation", "fitted": "violation"}
        assert severities == {**violations, "counted": "warning", "drawn": severities["drawn"]}


@pytest.mark.parametrize(
    ("line", "kind", "told"),
    [
        ({"moved": 3, "compared": 9, "moved_by": 0.5, "steps": 0}, "two_pass", "3 of 9 scores before them move"),
        ({"moved": 0, "repeats": False}, "evidence", "scored again"),
        ({"moved": 0, "repeats": True}, None, ""),
        ({"loss": 2.0}, NotChecked, "could not be seen"),
        ({"loss": None}, None, ""),
        ({"error": {"type": "TimeoutError", "message": "more than 20 s"}}, NotChecked, "f on a toy shard: TimeoutError: more"),
    ],
)
def test_what_a_scoring_function_showed_is_judged(line, kind, told):
    found = list(judged_scoring({"lines": [{"step": "scored", "name": "f", **line}], "end": ""}, "train_gpt.py"))
    if kind is None:
        assert found == []
    elif kind is NotChecked:
        assert isinstance(found[0], NotChecked)
        assert told in found[0].reason
    else:
        assert isinstance(found[0], Finding)
        assert found[0].category == kind
        assert told in found[0].message


def test_scoring_that_was_not_reached_is_told():
    assert [one.reason.split(":")[1] for one in judged_scoring({"lines": [], "end": ""}, "a.py")] == [
        " no function is given the network and comes to a loss, so no scoring was run"
    ]
    (found,) = judged_scoring({"lines": [], "end": "it was killed after 4 s"}, "a.py")
    assert "killed after 4 s" in found.reason


def test_nats_are_read_off_the_calls_that_look_them_up():
    logits, targets = torch.randn(5, 7), torch.tensor([1, 2, 3, 4, 5])
    nats = F.cross_entropy(logits, targets, reduction="none").tolist()
    ((names, values),) = scored("cross_entropy", (logits, targets), {}, None)
    assert (names, values) == (targets.tolist(), nats)
    picked = torch.log_softmax(logits, -1).gather(-1, targets[:, None])
    ((names, values),) = scored("gather", (logits, -1, targets[:, None]), {}, picked)
    assert (names, np.round(values, 5).tolist()) == (targets.tolist(), np.round(nats, 5).tolist())
    assert list(scored("linear", (logits, targets), {}, None)) == []


def test_only_positions_before_the_cut_are_compared():
    first, other = Run({0: 1.0, 1: 2.0, 2: 3.0, 5: 9.0}), Run({0: 1.0, 1: 2.5, 5: 1.0})
    assert moved(first, other, cut=5) == (1, 2, 0.5)


def test_the_numbers_of_a_result_are_found_in_what_holds_them():
    assert list(numbers((torch.tensor(2.0), "x", 3))) == [2.0, 3.0]
    assert list(numbers({"loss": 1.5})) == [1.5]
    assert list(numbers(None)) == []
