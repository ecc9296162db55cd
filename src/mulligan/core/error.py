"""The errors that a command turns into an exit code; everything a user can mend is a ValueError.

ValueError, OSError 2  usage, configuration, data handed in
OverBudgetError     3  the artifact does not fit
StoreCorruptError   4  stored bytes are not those that were written
DivergedError       5  the loss became NaN or infinite
LostRankError       6  another process of a run of several ended; what was published is kept
KeyboardInterrupt 130  interrupted; what was published is kept
"""


class OverBudgetError(Exception):
    """The artifact and its code need more bytes than the budget allows."""


class StoreCorruptError(Exception):
    """An object in the store does not have the digest that its manifest states."""


class DivergedError(Exception):
    """Training met a loss that is NaN or infinite; the last published state is intact."""


class LostRankError(Exception):
    """Another process of the same run has ended, so that this one cannot go on."""


EXIT_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (OverBudgetError, 3),
    (StoreCorruptError, 4),
    (DivergedError, 5),
    (LostRankError, 6),
    (KeyboardInterrupt, 130),
    (ValueError, 2),
    (OSError, 2),
)


def exit_code(error: BaseException) -> int:
    """Return the exit code of one of these errors."""
    return next(code for kind, code in EXIT_CODES if isinstance(error, kind))
