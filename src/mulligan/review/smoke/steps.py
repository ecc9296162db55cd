"""What is done with a submission once nothing can happen: import, build, one forward."""

import ast
import random
from pathlib import Path
from typing import Any, Protocol

import torch

from mulligan.review.smoke import loading, standins
from mulligan.review.smoke.build import build
from mulligan.review.smoke.cell import SUBMISSION
from mulligan.review.smoke.forward import look
from mulligan.review.smoke.slices import Script

SEED = 1


class Tell(Protocol):
    """Tells what a step found."""

    def __call__(self, step: str, **found: Any) -> None:
        """Tell it."""


def take_steps(given: dict[str, Any], tell: Tell) -> None:
    """Import the script, build its network, run it; each step is told, and an error ends them.

    `given`: `script`, the entry file; `text`, its innermost layer; `elsewhere`, modules that this machine may lack.
    """
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    random.seed(SEED)
    finder = standins.install(())
    device = standins.OnCPU()
    step = "imported"
    try:
        with device:
            tell("importing")
            module, seconds = loading.import_script(given["script"], finder, given["elsewhere"])
            own = loading.own_files()
            code = sum((Path(SUBMISSION) / file).stat().st_size for file in own)
            tell(step, seconds=round(seconds, 3), files=own, code_bytes=code, stand_ins=sorted(finder.absent))
            step = "built"
            network, name = build(Script(ast.parse(given["text"]), vars(module)))
            tell(step, network=name, parameters=sum(one.numel() for one in network.parameters()))
            step = "forward"
            tell(step, **vars(look(network.eval(), device)))
    except BaseException as error:  # a script may raise SystemExit when it is imported
        tell(step, error=loading.told_error(error))
