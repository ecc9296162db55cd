"""What is done with a submission once nothing can happen: import, build, one forward, its own scoring on toy data."""

import ast
import random
import sys
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Protocol

import torch

from mulligan.review.smoke import loading, standins, toy_data
from mulligan.review.smoke.build import build
from mulligan.review.smoke.forward import look
from mulligan.review.smoke.scoring import try_scorers
from mulligan.review.smoke.slices import Script

SEED = 1
TOLD_AT = 0.9
"""Share of the time after which the place that it has come to is told: it may be killed there."""


class Tell(Protocol):
    """Tells what a step found."""

    def __call__(self, step: str, **found: Any) -> None:
        """Tell it."""


def take_steps(given: dict[str, Any], tell: Tell) -> None:
    """Import the script, build its network, run it; each step is told, and an error ends them.

    `given`: `script`, the entry file; `texts`, the innermost layer of each file, its own first; `elsewhere`, modules that
    this machine may lack.
    """
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    random.seed(SEED)
    watch = threading.Timer(given["seconds"] * TOLD_AT, lambda: tell("late", **loading.where_now()))
    watch.daemon = True
    watch.start()
    read = loading.CodeRead()
    sys.addaudithook(read)
    finder = standins.install(())
    toy_data.offer()
    device = standins.OnCPU()
    step = "imported"
    try:
        with device:
            tell("importing")
            module, seconds = loading.import_script(
                given["script"], given["texts"][given["script"]], finder, given["elsewhere"]
            )
            tell(step, seconds=round(seconds, 3), **read.told(), stand_ins=sorted(finder.absent))
            step = "built"
            network, name, script = build(scripts_of(given, module, finder))
            size = sum(one.numel() for one in network.parameters())
            late = {**read.told(), "stand_ins": sorted(finder.absent)}  # main may import more than the script does
            tell(step, network=name, parameters=size, **late)
            step = "forward"
            seen = look(network.eval(), device)
            tell(step, **vars(seen))
            if seen.vocabulary is not None:
                try_scorers(script, network, name, seen.vocabulary, device, tell)
    except BaseException as error:  # a script may raise SystemExit when it is imported
        tell(step, error=loading.told_error(error))


def scripts_of(given: dict[str, Any], module: ModuleType, finder: standins.StandIns) -> Iterator[Script]:
    """Yield the entry script, then the files beside it: what main imports late is imported now, what it executes is at hand."""
    for file, text in given["texts"].items():
        tree = ast.parse(text)
        classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
        at_hand = file == given["script"] or (classes and classes <= vars(module).keys())
        held = module if at_hand else loading.import_helper(file, finder, given["elsewhere"])
        if held is not None:
            script = Script(tree, vars(held))
            script.settle_globals()
            yield script
