"""Last: the weights of the last step, unaveraged.

What it does     Takes the final state's weights as they are.
Why it may help  The baseline that every average is compared with; after a warmdown to zero it is already annealed.
Touches          average: which snapshots (one), which coefficients (1).
Cost             None.
Source           The challenge's starter script.
"""

from mulligan.core.canonical import Json
from mulligan.values.train_state import TrainState
from mulligan.values.weights import Weights


def last(state: TrainState) -> Weights:
    """Return the weights of the last step."""
    record: dict[str, Json] = {
        "kind": "last",
        "num_snapshots": 1,
        "first_step": state.step,
        "last_step": state.step,
        "every_steps": 1,
    }
    return Weights(state.weights, state.model, record)
