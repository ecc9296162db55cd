"""A small submission of our own, and how tests hand one to the smoke test."""

from pathlib import Path

from mulligan.review.finding import NotChecked
from mulligan.review.smoke.run import smoke
from mulligan.review.subject import Subject

NETWORK = """
import os

import torch
import torch.nn.functional as F
from torch import nn


class Settings:
    tokens = int(os.environ.get("TOKENS", 300))
    size = 16
    depth = 3


class Part(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.mix = nn.Linear(size, size)

    def forward(self, x):
        return x + self.mix(x)


class Net(nn.Module):
    def __init__(self, tokens, size, depth):
        super().__init__()
        self.table = nn.Embedding(tokens, size)
        self.parts = nn.ModuleList([Part(size) for _ in range(depth)])

    def logits(self, x):
        h = self.table(x)
        for part in self.parts:
            h = part(h)
        return F.linear(h, self.table.weight)

    def forward(self, x, y):
        return F.cross_entropy(self.logits(x).flatten(0, 1), y.flatten())
"""

MAIN = """
def main():
    s = Settings()
    device = torch.device("cuda", 0)
    raise_if_it_runs = 1 / 0
    net = Net(s.tokens, size=s.size, depth=s.depth).to(device)
    net = torch.compile(net)


if __name__ == "__main__":
    main()
"""


def write(folder: Path, text: str, **others: str) -> Subject:
    """Write a script and other files into a folder; return it as a rule is given it."""
    folder.mkdir(exist_ok=True)
    (folder / "train_gpt.py").write_text(text)
    for name, other in others.items():
        (folder / name.replace("_dot_", ".")).write_text(other)
    return Subject.read(folder)


def smoked(subject: Subject, **bounds: float):
    """Run the smoke test; return what it found and printed, or None where this machine has no cell: then nothing was run."""
    found, said = smoke(subject, **bounds)
    if any(isinstance(one, NotChecked) and "nothing was run" in one.reason for one in found):
        assert len(found) == 1
        assert said == {}
        assert any(word in found[0].reason for word in ("refuses", "this system has no", "this kernel has no", "no way known"))
        return None
    return found, said
