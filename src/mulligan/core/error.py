"""The errors that a command turns into an exit code; everything a user can mend is a ValueError.

ValueError, OSError 2  usage, configuration, data handed in
OverBudgetError     3  the artifact does not fit
StoreCorruptError   4  stored bytes are not those that were written
DivergedError       5  the loss became NaN or infinite
KeyboardInterrupt 130  interrupted; what was published is kept
"""


class OverBudgetError(Exception):
    """The artifact and its code need more bytes than the budget allows."""


class StoreCorruptError(Exception):
    """An object in the store does not have the digest that its manifest states."""


class DivergedError(Exception):
    """Training met a loss that is NaN or infinite; the last published state is intact."""


EXIT_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (OverBudgetError, 3),
    (StoreCorruptError, 4),
    (DivergedError, 5),
    (KeyboardInterrupt, 130),
    (ValueError, 2),
    (OSError, 2),
)
