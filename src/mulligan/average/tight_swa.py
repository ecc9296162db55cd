"""Tight SWA: the mean of late, closely spaced snapshots.

What it does     SWA whose window is the last stretch of the warmdown: every `every_steps` while lr_scale < `lr_scale_below`.
Why it may help  Only near-converged iterates enter the mean, so none of them is far from the basin's floor.
Touches          average: which snapshots, which coefficients.
Cost             No train steps, no artifact bytes; one fp32 copy of the weights.
Source           parameter-golf PR 374, 455.
Published        0.0 mBPB before quantization (PR 374, 455).
"""

from mulligan.average.config import Swa, TightSwa
from mulligan.numerics.trigger import LrScaleBelow


def as_swa(config: TightSwa) -> Swa:
    """Return the SWA that this is: equal windows are one average, whatever they are called."""
    start = LrScaleBelow(kind="lr-scale-below", value=config.lr_scale_below)
    return Swa(kind="swa", start=start, every_steps=config.every_steps)
