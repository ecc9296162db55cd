"""Weight-decay taper: Muon's weight decay is let go late in the run.

What it does     Multiplies `muon_weight_decay` by 1 until `from_fraction` of the budget, then linearly down to `to` at its end.
Why it may help  Decay keeps weights small while they move fast; late in the run it only pulls them away from where they settle.
Touches          train: the decoupled decay of Muon's matrices. Adam's decay and the learning rate stay as they are.
Recipe           train.optimizer.muon_weight_decay_taper
Cost             None.
Source           parameter-golf PR 1729.
Published        About -0.2 mBPB (PR 1729).
"""

from dataclasses import dataclass

from mulligan.core.canonical import Json
from mulligan.train.config import LinearTaper, MuonAdam, TrainConfig


@dataclass(frozen=True)
class Taper:
    """scale = 1 - (1 - to) x share, `share` of the way from `begin` to `end`: steps, or fractions of a budget in seconds."""

    begin: float
    end: float
    to: float

    def scale(self, at: float) -> float:
        """Return the multiplier of the weight decay at `at`, a number of steps or a fraction of the budget done."""
        share = (at - self.begin) / (self.end - self.begin)
        return 1.0 - (1.0 - self.to) * min(1.0, max(0.0, share))

    @property
    def first_step(self) -> int:
        """The first step (from 0) that trains with a scale below 1; needs a budget in steps or tokens."""
        step = int(self.begin)
        while self.scale(step) >= 1.0 and step < self.end:
            step += 1
        return step

    def canonical(self) -> dict[str, Json]:
        """Return what bears identity where the taper acts."""
        return {"from_step": self.begin, "until_step": self.end, "to": self.to}


def resolve_taper(config: TrainConfig) -> Taper | None:
    """Return the taper in steps (in fractions where the budget is in seconds), or None where there is none.

    ValueError when no step would be trained with it: a lever that never runs is not an experiment.
    """
    optimizer, total = config.optimizer, config.num_steps
    given = optimizer.muon_weight_decay_taper if isinstance(optimizer, MuonAdam) else None
    if not isinstance(given, LinearTaper):
        return None
    if total is None:
        return Taper(given.from_fraction, 1.0, given.to)
    taper = Taper(given.from_fraction * total, float(total), given.to)
    if taper.first_step >= total:
        raise ValueError(
            f"train.optimizer.muon_weight_decay_taper begins after {given.from_fraction} of the budget, and the last of its "
            f"{total} steps begins at {(total - 1) / total:.6g}: none is trained with it. Give a smaller from_fraction."
        )
    return taper
