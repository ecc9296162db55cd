"""Every way to score a passage, as blocks of positions in stream order."""

from collections.abc import Callable, Iterator

import numpy as np

from mulligan.core.execution import Execution
from mulligan.evaluate.adaptation_config import Lora, Slot
from mulligan.evaluate.block import Block, Watch
from mulligan.evaluate.chunked_adaptation import Learner, adapt_in_chunks
from mulligan.evaluate.config import (
    DocumentIsolated,
    DocumentOverrun,
    EvaluateConfig,
    FittedTemperature,
    FixedTemperature,
    Flat,
    Sliding,
    Streaming,
    UserWindows,
)
from mulligan.evaluate.config import Windows as WindowsConfig
from mulligan.evaluate.document_isolated import document_isolated_windows
from mulligan.evaluate.document_overrun import document_overrun
from mulligan.evaluate.flat import flat_windows
from mulligan.evaluate.lora import adapt_per_document
from mulligan.evaluate.mixture import mixed
from mulligan.evaluate.passage import Passage
from mulligan.evaluate.scorer import Scorer
from mulligan.evaluate.sliding import sliding_windows
from mulligan.evaluate.slot import SlotScorer
from mulligan.evaluate.streaming import stream
from mulligan.evaluate.train_then_score import train_then_score
from mulligan.evaluate.two_pass import two_pass
from mulligan.evaluate.window import Windows
from mulligan.model.gpt import GPT
from mulligan.model.kind import Off
from mulligan.numerics.config import GridConfig
from mulligan.numerics.grid import integer_formats
from mulligan.values.byte_table import IntArray


def evaluate(
    config: EvaluateConfig,
    windows: WindowsConfig,
    model: GPT,
    passage: Passage,
    execution: Execution,
    what: str = "evaluate",
    watch: Watch | None = None,
    grid: GridConfig | None = None,
) -> Iterator[Block]:
    """Yield the scores of all positions of `passage`, in order. `model` is left as it was.

    `grid`: by which adaptation rounds, where it does.
    """
    blocks = _of_network(config, windows, model, passage, execution, what, watch, grid)
    return mixed(config.mixture, blocks, passage, model.config.vocab_size, watch)


def _of_network(
    config: EvaluateConfig,
    windows: WindowsConfig,
    model: GPT,
    passage: Passage,
    execution: Execution,
    what: str,
    watch: Watch | None,
    grid: GridConfig | None,
) -> Iterator[Block]:
    """Return the scores by the network alone."""
    temperature = config.temperature
    assert not isinstance(temperature, FittedTemperature), "a fitted temperature is put in before scoring"
    divisor = temperature.value if isinstance(temperature, FixedTemperature) else 1.0
    scorer = Scorer(model, passage, windows.context_len, config.precision, execution, divisor, watch)
    if isinstance(windows, Streaming):
        return stream(windows, scorer, what)
    if isinstance(windows, DocumentOverrun):
        return document_overrun(windows, scorer, what)
    laid = lay_windows(windows, passage.starts, passage.num_positions)
    if isinstance(config.adaptation, Off):
        return scorer.blocks(laid, what)
    if isinstance(config.adaptation, Lora):
        return adapt_per_document(config.adaptation, scorer, what)
    if isinstance(config.adaptation, Slot):
        return SlotScorer(**vars(scorer), slot=config.adaptation).blocks(laid, what)
    shapes = {name: tuple(weight.shape) for name, weight in model.named_parameters()}
    learner = Learner.of(config.adaptation, scorer, {} if grid is None else integer_formats(grid, shapes))
    return ADAPTING[config.adaptation.kind](learner, laid, what)


ADAPTING: dict[str, Callable[[Learner, Windows, str], Iterator[Block]]] = {
    "sgd": adapt_in_chunks,
    "muon": adapt_in_chunks,
    "train-then-score": train_then_score,
    "two-pass": two_pass,
}


def lay_windows(config: Flat | Sliding | DocumentIsolated, starts: IntArray, num_positions: int) -> Windows:
    """Return the windows of any kind over `num_positions` targets."""
    if isinstance(config, UserWindows):
        return checked(config, config.lay(starts, num_positions), num_positions)
    if isinstance(config, Flat):
        return flat_windows(config, num_positions)
    if isinstance(config, DocumentIsolated):
        return document_isolated_windows(config, starts, num_positions)
    return sliding_windows(config, num_positions)


def checked(config: UserWindows, laid: Windows, num_positions: int) -> Windows:
    """Return windows of the user's own; ValueError unless they count every position once, in stream order, in context."""
    counted = np.concatenate(([0], laid.stop))
    if not (np.array_equal(laid.first, counted[:-1]) and counted[-1] == num_positions and (laid.stop > laid.first).all()):
        raise ValueError(
            f"The windows {config.kind!r} do not count each of {num_positions} positions exactly once and in order: every "
            "`first` must be the `stop` before it, from 0 to the last."
        )
    longest = int((laid.stop - laid.start).max())
    if (laid.start > laid.first).any() or (laid.start < 0).any() or longest > config.context_len:
        raise ValueError(
            f"The windows {config.kind!r} run up to {longest} positions with context_len = {config.context_len}; give windows "
            "of at most that, which begin at 0 or later and not after what they count."
        )
    return laid
