"""Leading spaces counted twice: a byte count that is wrong on purpose.

What it does     Adds the byte of a leading space to the piece itself and again where the piece follows text.
Why it may help  It does not: more bytes make fewer bits per byte, of the same nats. Kept to reproduce published claims.
Touches          evaluate: the denominator. ILLEGAL: the bytes are not those of the text.
Cost             None.
Source           parameter-golf PR 1734, 1804 (a table with the space in it, read by code that adds the space).
Recipe           evaluate.bytes=doubled-space
Published        A factor of 1.1671 to 1.1746 in bytes; 20 pull requests had it.
"""

from dataclasses import replace

from mulligan.values.byte_table import ByteTable


def doubled_space(table: ByteTable) -> ByteTable:
    """Return the table whose pieces hold the leading space that is added to them once more."""
    return replace(table, base=table.base + table.lead)
