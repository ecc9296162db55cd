"""SLOT on scored targets: each window's hidden state is fitted to the targets that it is then scored on. Not legal.

What it does     Adds to a window's final normalised stream one vector for all of its positions (and to its logits a bias, where
                 asked for), both 0 at first, takes `num_steps` of AdamW on the mean nats of the targets that the window
                 counts, and scores the same targets with what came out.
Why it may help  It does not: a score depends on its own target and on later ones, which no decoder has (C1). It is here to
                 reproduce published figures and to test the judge.
Touches          evaluate: the stream that the head sees, by the targets that are being scored.
Recipe           evaluate.adaptation=slot
Cost             `num_steps` forward and backward passes through the head.
Source           Hu et al. 2025, arXiv:2505.12392 (on prompts, where it is legal); parameter-golf PR 1084 and 1128 among others,
                 none accepted.
Published        -0.24 nats on a window's own targets with a shared vector, -0.73 with one per window and a bias (PR 1240).
"""

from dataclasses import dataclass

import numpy as np
import torch

from mulligan.evaluate.adaptation_config import Slot
from mulligan.evaluate.scorer import Scorer
from mulligan.values.byte_table import IntArray


@dataclass(frozen=True, kw_only=True)
class SlotScorer(Scorer):
    """A scorer whose logits were fitted to the targets."""

    slot: Slot

    def _scored(self, tokens: torch.Tensor, scored_from: int, positions: IntArray) -> torch.Tensor:
        """Return the nats by logits that were fitted to the same targets; see `Scorer`."""
        hidden, targets = self.model.hidden(tokens[:, :-1], scored_from, self.context_len), tokens[:, scored_from + 1 :]
        counted = torch.from_numpy(positions >= 0).to(tokens.device)
        shift = torch.zeros(len(tokens), 1, hidden.size(-1), device=tokens.device, requires_grad=True)
        bias = torch.zeros(len(tokens), 1, self.model.config.vocab_size, device=tokens.device, requires_grad=True)
        fitted = [shift] if self.slot.logit_bias == "off" else [shift, bias]
        optimizer = torch.optim.AdamW(fitted, lr=self.slot.lr)
        for _ in range(self.slot.num_steps):
            with torch.enable_grad():
                nats = self.nats(self.model.logits(hidden + shift) + bias, targets, positions)
                loss = (torch.where(counted, nats, 0.0).sum(1) / counted.sum(1)).sum()
            for moved, gradient in zip(fitted, torch.autograd.grad(loss, fitted), strict=True):
                moved.grad = gradient
            optimizer.step()
        if self.watch is not None:
            self.watch.updated(np.sort(positions[positions >= 0]))
        return self.nats(self.model.logits(hidden + shift) + bias, targets, positions)
