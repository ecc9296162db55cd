"""Conversions between the units of the field: nats, bits, bytes.

Nats per token and bits per byte are never mixed: the one function below is the only way across.
"""

import math


def bits_per_byte(total_nats: float, total_bytes: float) -> float:
    """Return total_nats / ln 2 / total_bytes; ValueError when no byte was counted."""
    if total_bytes <= 0:
        raise ValueError(f"total_bytes is {total_bytes}; bits per byte needs at least one byte of scored text.")
    return total_nats / math.log(2.0) / total_bytes


def format_bytes(num_bytes: int) -> str:
    """Return a decimal count with separators, `15,889,733 B`; never MiB (the budget is decimal)."""
    return f"{num_bytes:,} B"
