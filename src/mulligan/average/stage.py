"""The average stage: a state, or what an observer recorded -> Weights.

A lever of this stage may touch which snapshots enter and with which coefficients; not names, shapes or training.
"""

from mulligan.average.config import Ema, Lawa, LegacyBf16Swa, Observed, UserAverage
from mulligan.average.ema import EmaObserver
from mulligan.average.lawa import LawaObserver, mean_of_snapshots
from mulligan.average.legacy_bf16_swa import LegacyBf16SwaObserver, wrong_mean
from mulligan.average.swa import SwaObserver
from mulligan.core.canonical import Json
from mulligan.values.observer import Observation, Observer
from mulligan.values.weights import Weights


def make_observer(config: Observed) -> Observer:
    """Return the observer that records what `config` averages."""
    if isinstance(config, UserAverage):
        return config.observer()
    if isinstance(config, Ema):
        return EmaObserver(config)
    if isinstance(config, LegacyBf16Swa):
        return LegacyBf16SwaObserver(config)
    return LawaObserver(config) if isinstance(config, Lawa) else SwaObserver(config)


def average(config: Observed, observation: Observation, model: dict[str, Json]) -> Weights:
    """Return the average that was recorded; ValueError when no snapshot entered it (a lever that never ran)."""
    record = {"kind": config.kind, **{name: value for name, value in observation.record.items() if name != "started"}}
    if "num_snapshots" not in record:
        raise ValueError(
            f"The observer of the average {config.kind!r} does not say how many snapshots it has seen. Its observation's "
            "record needs num_snapshots, an integer."
        )
    if not record["num_snapshots"]:
        raise ValueError(
            f"The average {config.canonical()} holds no snapshot. Give a trigger that fires earlier or a smaller every_steps."
        )
    if isinstance(config, LegacyBf16Swa):
        tensors, wrong = wrong_mean(observation)
        return Weights(tensors, model, {**record, **wrong})
    tensors = mean_of_snapshots(observation) if isinstance(config, Lawa) else observation.tensors
    return Weights(tensors, model, record)
