"""Levers that cannot have had an effect: unowned parameters, folded flags, averages never loaded, settings never read."""

import pytest

from mulligan.review.rules import lever_folded, lever_unloaded, lever_unowned, lever_unused
from script_subject import findings, not_checked, subject_of

NETWORK = """
import torch
from torch import nn
from os import environ

class Settings:
    pairs = int(environ.get("PAIRS", "0"))

class Block(nn.Module):
    def __init__(self, width):
        self.mix = nn.Linear(width, width, bias=False)
        self.gain = nn.Parameter(torch.ones(width))

class Pairs(nn.Module):
    def __init__(self, count, width):
        self.table = nn.Embedding(count, width)

class Network(nn.Module):
    def __init__(self, s):
        self.words = nn.Embedding(1024, 64)
        self.blocks = nn.ModuleList([Block(64) for _ in range(4)])
        self.pairs = Pairs(s.pairs, 64) if s.pairs > 0 else None
        self.skips = nn.Parameter(torch.zeros(4, 64))

SMALL = tuple(x for x in environ.get("SMALL", "gain,skips").split(",") if x)

def main():
    s = Settings()
    base = Network(s).cuda()
    net = torch.compile(base)
    named = list(base.blocks.named_parameters())
    matrices = [p for n, p in named if p.ndim == 2 and not any(x in n for x in SMALL)]
    vectors = [p for n, p in named if p.ndim < 2 or any(x in n for x in SMALL)]
    if base.skips.numel() > 0:
        vectors.append(base.skips)
    MORE
    one = torch.optim.Adam([{"params": [base.words.weight], "lr": s.rate}])
    two = Own(matrices, lr=s.rate)
    three = torch.optim.AdamW(vectors)
    return one, two, three

class Own(torch.optim.Optimizer):
    def step(self):
        pass

def adapt(net):
    torch.optim.SGD(net.parameters(), lr=0.1)

main()
adapt(None)
"""
ASKED = {"README.md": "Run `PAIRS=2048 torchrun train_gpt.py`\n"}


def unowned(tmp_path, more="pass", files=ASKED):
    subject = subject_of(tmp_path, NETWORK.replace("MORE", more), files)
    assert not_checked(lever_unowned, subject) == []
    return [one.message.split(" ")[0] for one in findings(lever_unowned, subject)]


def test_a_parameter_that_no_group_takes_is_told_where_the_instructions_turn_it_on(tmp_path):
    assert unowned(tmp_path) == ["pairs.table.weight"]


def test_a_parameter_that_is_off_is_not_told(tmp_path):
    assert unowned(tmp_path, files={}) == []


@pytest.mark.parametrize(
    "more",
    [
        "if base.pairs is not None:\n        matrices.append(base.pairs.table.weight)",
        "for n, p in base.named_parameters():\n        if 'pairs' in n:\n            matrices += [p]",
        "taken = {id(p) for p in matrices}\n    matrices.extend(p for p in base.parameters() if id(p) not in taken)",
        "matrices = matrices + list(base.pairs.parameters())",
        "matrices = grouped_by_a_library(base, matrices)",
        "other = torch.optim.SGD([*base.pairs.parameters()])",
        "vectors.extend(part.weight for part in getattr(base, 'pairs'))",
        "for part in base.pairs:\n        vectors.append(part.weight)",
    ],
)
def test_whatever_hands_it_over_is_enough(tmp_path, more):
    assert unowned(tmp_path, more) == []


def test_a_tied_parameter_is_owned_with_the_other(tmp_path):
    network = NETWORK.replace(
        "        self.skips =",
        "        self.head = nn.Linear(64, 1024)\n        self.head.weight = self.words.weight\n        self.skips =",
    )
    assert findings(lever_unowned, subject_of(tmp_path, network.replace("MORE", "pass"))) == []


def test_a_module_that_is_given_to_another_is_not_told(tmp_path):
    network = NETWORK.replace("[Block(64) for", "[Block(64, self.shared) for").replace(
        "        self.blocks =", "        self.shared = nn.Linear(64, 64)\n        self.blocks ="
    )
    assert findings(lever_unowned, subject_of(tmp_path, network.replace("MORE", "pass"))) == []


def test_a_filter_that_drops_it_is_seen_through(tmp_path):
    more = (
        "for n, p in base.named_parameters():\n        if 'pairs.table' in n:\n            continue\n        matrices.append(p)"
    )
    assert unowned(tmp_path, more) == ["pairs.table.weight"]


def test_groups_that_are_not_understood_are_not_checked(tmp_path):
    text = "from torch import nn\nclass N(nn.Module):\n    def __init__(self):\n        self.a = nn.Linear(2, 2)\nN()\n"
    assert len(not_checked(lever_unowned, subject_of(tmp_path, text))) == 1
    assert len(not_checked(lever_unowned, subject_of(tmp_path, "print(1)"))) == 1


def test_a_flag_set_after_compilation_is_told_and_one_set_before_is_not(tmp_path):
    text = """
    import torch
    class Layer(torch.nn.Linear):
        coarse = False
        def forward(self, x):
            return x if self.coarse else 2 * x
    def main(net):
        {before}
        net = torch.compile(net)
        {after}
    main(Layer())
    """
    late = findings(lever_folded, subject_of(tmp_path, text.format(before="pass", after="Layer.coarse = True")))
    assert [(one.severity, one.line) for one in late] == [("warning", 10)]
    assert findings(lever_folded, subject_of(tmp_path, text.format(before="Layer.coarse = True", after="pass"))) == []
    assert findings(lever_folded, subject_of(tmp_path, text.format(before="pass", after="Layer.unread = True"))) == []


def test_a_setting_that_nothing_reads_is_told(tmp_path):
    text = """
    import os
    class Settings:
        rate = float(os.environ.get("RATE", "0.1"))
        decay = float(os.environ.get("DECAY", "0.1"))
        named = int(os.getenv("NAMED", "1"))
    print(Settings.rate, getattr(Settings, "named"))
    """
    (one,) = findings(lever_unused, subject_of(tmp_path, text))
    assert (one.severity, one.line) == ("warning", 5)
    assert "decay" in one.message
    assert "named" not in one.message


@pytest.mark.parametrize(
    ("use", "told"), [("pass", 1), ("net.load_state_dict(mean)", 0), ("print(mean['a'])", 0), ("keep(mean)", 0)]
)
@pytest.mark.parametrize("update", ["mean[k].mul_(0.9).add_(v, alpha=0.1)", "mean[k] += v"])
def test_an_average_that_is_never_read_is_told(tmp_path, use, told, update):
    text = f"""
    def main(net):
        mean = None
        for step in range(9):
            if mean is None:
                mean = {{k: v.clone() for k, v in net.state_dict().items()}}
            for k, v in net.state_dict().items():
                {update}
        {use}
    main(1)
    """
    assert len(findings(lever_unloaded, subject_of(tmp_path, text))) == told
