"""What may be asked for: an error rate, a margin."""


def check_alpha(alpha: float) -> None:
    """ValueError unless 0 < alpha < 0.5."""
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha = {alpha}: give a share of errors above 0 and below 0.5, such as 0.05.")


def check_margin(margin: float) -> None:
    """ValueError unless the margin is a positive number."""
    if not 0 < margin < float("inf"):
        raise ValueError(f"margin = {margin}: give the smallest difference that would matter, above 0, in the values' unit.")
