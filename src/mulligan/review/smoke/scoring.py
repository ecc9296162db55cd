"""Tests of a script's own scoring functions on a toy shard: does it repeat, what does it cover, does it look ahead?"""

import copy
from collections.abc import Callable
from typing import Any

from torch import nn

from mulligan.review.smoke import toy_data
from mulligan.review.smoke.forward import look
from mulligan.review.smoke.loading import told_error
from mulligan.review.smoke.observe import FEWEST, moved, score
from mulligan.review.smoke.scorers import Prepare, Scorer, make_folders, scorers, shorten, thinned
from mulligan.review.smoke.slices import Script
from mulligan.review.smoke.standins import OnCPU

CUT = 600
"""The position after which tokens are replaced: within a window, whatever its length."""
MOST = 8


def try_scorers(
    script: Script, network: nn.Module, kind: str, vocabulary: int, device: OnCPU, tell: Callable[..., None]
) -> None:
    """Test every scoring function that can be reached, at most MOST, and tell of each."""
    toy_data.write_tokenizer(vocabulary)
    shorten(script)
    make_folders(script)
    thin = thinned(network, lambda one: look(one, device))
    found = list(scorers(script, kind))
    tell("scorers", names=[scorer.name for scorer in found[:MOST]])
    for scorer in found[:MOST]:
        tell("scored", name=scorer.name, **try_calls(scorer, thin, vocabulary, device))


def try_calls(scorer: Scorer, network: nn.Module, vocabulary: int, device: OnCPU) -> dict[str, Any]:
    """Return what the first call shows that works; where none does, the error of the first."""
    problem: dict[str, Any] = {}
    for prepare in scorer.calls:
        try:
            return try_one(prepare, network, vocabulary, device)
        except Exception as error:
            problem = problem or {"error": told_error(error)}
    return problem


def try_one(prepare: Prepare, network: nn.Module, vocabulary: int, device: OnCPU) -> dict[str, Any]:
    """Score a stream twice, and once with other tokens after CUT; return what differs."""
    tokens = toy_data.stream(vocabulary, seed=1)
    other = tokens.copy()
    other[CUT + 1 :] = toy_data.stream(vocabulary, seed=2)[CUT + 1 :]
    runs = []
    for given in (tokens, tokens, other):
        toy_data.write_shard(given)
        runs.append(score(prepare, copy.deepcopy(network), given, device))
        if runs[0].loss is None or len(runs[0].nats) < FEWEST:
            return {"loss": runs[0].loss, "covered": len(runs[0].nats), "positions": len(tokens) - 1}
    first, again, changed = runs
    how_many, of, most = moved(first, changed, CUT)
    return {
        "loss": first.loss,
        "covered": len(first.nats),
        "positions": len(tokens) - 1,
        "repeats": first.loss == again.loss and first.nats == again.nats,
        "weights_changed": first.changed,
        "steps": first.steps,
        "steps_on_parameters": first.on_parameters,
        "moved": how_many,
        "compared": of,
        "moved_by": most,
    }
