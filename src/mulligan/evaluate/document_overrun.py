"""Document windows that overrun: isolated by name, and wrong on purpose.

What it does     A document shorter than `context_len` is run and counted for `context_len` targets, on into the next ones.
Why it may help  It does not: those targets are counted again with little context. Kept to reproduce a published claim.
Touches          evaluate: the context each token sees, and how often it counts. ILLEGAL: a position counts many times.
Cost             As document-isolated, and a full window for every short document.
Source           parameter-golf PR 199, whose scorer takes a window's end from the stream's and not from the document's.
Published        +8.2 mBPB, read as "isolating documents hurts".
"""

from collections.abc import Iterator

import numpy as np

from mulligan.evaluate.block import Block
from mulligan.evaluate.config import DocumentIsolated, DocumentOverrun
from mulligan.evaluate.document_isolated import document_isolated_windows
from mulligan.evaluate.scorer import BLOCK_POSITIONS, Scorer
from mulligan.evaluate.window import Windows
from mulligan.values.byte_table import IntArray


def document_overrun(config: DocumentOverrun, scorer: Scorer, what: str) -> Iterator[Block]:
    """Yield the mean nats of all positions in blocks, and how often each was counted."""
    passage = scorer.passage
    isolated = DocumentIsolated(kind="document-isolated", context_len=config.context_len, stride=config.stride)
    windows = document_isolated_windows(isolated, passage.starts, passage.num_positions)
    done, total = 0, len(windows.start)
    nats, times = np.zeros(0), np.zeros(0, np.int32)
    for part in windows.cut(BLOCK_POSITIONS):
        begin, stop = int(part.first[0]), int(part.stop[-1])
        over = overrun(part, passage.starts, passage.num_positions, config.context_len)
        more = int(over.stop.max()) - begin - len(nats)
        nats, times = np.pad(nats, (0, max(more, 0))), np.pad(times, (0, max(more, 0)))
        scored = np.zeros(len(nats))
        for positions, found in scorer.each(over, what, done, total):
            np.add.at(scored, positions - begin, found)
            if scorer.watch is not None:
                scorer.watch.scored(positions)
        nats += scorer.execution.ranks.sum(scored)
        times += over.times_counted(begin, begin + len(times))
        here = slice(0, stop - begin)
        mean = (nats[here] / times[here]).astype(np.float32)
        yield Block(begin, mean, part.position_in_window(), times_counted=times[here])
        nats, times, done = nats[stop - begin :], times[stop - begin :], done + len(part.start)


def overrun(windows: Windows, starts: IntArray, num_positions: int, context_len: int) -> Windows:
    """Return document-isolated windows as PR 199 runs them: whole, where their document ends before they do."""
    ends = np.append(starts[1:], num_positions)
    short = np.isin(windows.start, starts[ends - starts < context_len])
    return Windows(
        windows.start, windows.first, np.where(short, np.minimum(windows.start + context_len, num_positions), windows.stop)
    )
