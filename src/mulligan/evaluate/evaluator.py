"""Every way to score a passage, as blocks of positions in stream order."""

import itertools
from collections.abc import Iterator

import numpy as np

from mulligan.core.execution import Execution
from mulligan.evaluate.block import BLOCK_POSITIONS, Block, Watch
from mulligan.evaluate.config import DocumentIsolated, EvaluateConfig, Flat, Sliding, Streaming, UserWindows
from mulligan.evaluate.config import Windows as WindowsConfig
from mulligan.evaluate.document_isolated import document_isolated_windows
from mulligan.evaluate.flat import flat_windows
from mulligan.evaluate.passage import Passage
from mulligan.evaluate.scorer import Scorer
from mulligan.evaluate.sliding import sliding_windows
from mulligan.evaluate.streaming import stream
from mulligan.evaluate.window import Windows
from mulligan.model.gpt import GPT
from mulligan.values.byte_table import IntArray


def evaluate(
    config: EvaluateConfig,
    windows: WindowsConfig,
    model: GPT,
    passage: Passage,
    execution: Execution,
    what: str = "evaluate",
    watch: Watch | None = None,
) -> Iterator[Block]:
    """Yield the scores of all positions of `passage`, in order. `model` is left as it was."""
    scorer = Scorer(model, passage, windows.context_len, config.precision, execution, watch=watch)
    if isinstance(windows, Streaming):
        yield from stream(windows, scorer, what)
        return
    laid = lay_windows(windows, passage.starts, passage.num_positions)
    done = 0
    for part in cut(laid, BLOCK_POSITIONS):
        yield Block(int(part.first[0]), scorer.score(part, what, done, len(laid.start)), part.position_in_window())
        done += len(part.start)


def cut(windows: Windows, num_positions: int) -> Iterator[Windows]:
    """Yield windows that follow one another, as many at a time as count about `num_positions` positions."""
    ends = np.arange(num_positions, int(windows.stop[-1]), num_positions)
    edges = [0, *np.unique(np.searchsorted(windows.stop, ends)).tolist(), len(windows.start)]
    for begin, end in itertools.pairwise(edges):
        if end > begin:
            yield windows[begin:end]


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
