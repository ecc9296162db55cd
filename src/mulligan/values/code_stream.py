"""Codes of many matrices as one stream of the range coder, and back; nothing is read beyond the sizes that are asked for.

The scales of all matrices are known on both sides: they help to foretell the sizes of columns. Torch-free.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mulligan.values.code_model import CodeModel, log2_of_scales
from mulligan.values.code_plan import plan_matrix
from mulligan.values.range_coder import CodeLength, Decoder, Encoder, Ints

NARROW = 64
"""A matrix with fewer columns is walked by its columns, if those are longer: a short row cannot pay for a size of its own."""
MAX_WALKED_COLUMNS = 1 << 16
LEAST_MEAN_CODES = 1024
"""Matrices of a stream hold as many codes on average, so that no small file can ask for endless small steps."""
MAX_CODES, MAX_CODES_PER_BYTE = 1 << 22, 16
"""A stream of n bytes holds at most 2^22 + 16 n codes."""
MAX_MATRICES = 2048


@dataclass(frozen=True)
class CodeMatrix:
    """Rows and columns, bits of a code, and the float16 scales (rows,) where every row has one."""

    shape: tuple[int, int]
    bits: int
    scale: NDArray[np.float16] | None = None

    @property
    def num_codes(self) -> int:
        """Rows times columns."""
        return self.shape[0] * self.shape[1]

    @property
    def walked_by_columns(self) -> bool:
        """Whether the coder takes columns for rows."""
        return self.shape[1] < NARROW and self.shape[1] < self.shape[0]


def encode_codes(matrices: Sequence[CodeMatrix], codes: Sequence[NDArray[np.int8]]) -> bytes:
    """Return the stream of all codes, in order; ValueError where `check_stream` refuses it."""
    encoder = Encoder()
    _walk(encoder, matrices, codes)
    data = encoder.finish()
    check_stream(matrices, len(data))
    return data


def code_lengths(matrices: Sequence[CodeMatrix], codes: Sequence[NDArray[np.int8]]) -> list[float]:
    """Return the bits that each matrix takes in the stream of all."""
    return _walk(CodeLength(), matrices, codes)[1]


def decode_codes(data: bytes, matrices: Sequence[CodeMatrix]) -> tuple[list[NDArray[np.int8]], list[float]]:
    """Return the codes (rows, cols) of each matrix, and its bits; ValueError where the stream is damaged."""
    check_stream(matrices, len(data))
    if not matrices:
        if data:
            raise ValueError(f"{len(data):,} range-coder bytes hold no matrix.")
        return [], []
    try:
        decoder = Decoder(data)
        result = _walk(decoder, matrices, None)
        decoder.finish()
    except ValueError as error:
        raise ValueError(f"The range-coder data is damaged: {error}.") from None
    return result


def check_stream(matrices: Sequence[CodeMatrix], num_bytes: int) -> None:
    """Raise ValueError where so many bytes may not hold these matrices."""
    num_codes = sum(matrix.num_codes for matrix in matrices)
    limit = MAX_CODES + MAX_CODES_PER_BYTE * num_bytes
    widest = max((_walked(matrix)[1] for matrix in matrices), default=0)
    too_small = num_codes < LEAST_MEAN_CODES * len(matrices) or len(matrices) > MAX_MATRICES
    if num_codes > limit or too_small or widest > MAX_WALKED_COLUMNS:
        raise ValueError(
            f"{num_bytes:,} bytes of the range coder may hold {limit:,} codes, in {MAX_MATRICES:,} matrices of "
            f"{LEAST_MEAN_CODES:,} codes on average, of {MAX_WALKED_COLUMNS:,} columns at most; {len(matrices):,} matrices of "
            f"{num_codes:,} codes and up to {widest:,} columns are stated."
        )


def _walked(matrix: CodeMatrix) -> tuple[int, int]:
    rows, cols = matrix.shape
    return (cols, rows) if matrix.walked_by_columns else (rows, cols)


def _walk(
    coder: Encoder | Decoder | CodeLength, matrices: Sequence[CodeMatrix], codes: Sequence[NDArray[np.int8]] | None
) -> tuple[list[NDArray[np.int8]], list[float]]:
    """Walk all matrices with `coder`; return their codes and bits."""
    model = CodeModel()
    scales = [log2_of_scales(matrix.scale) for matrix in matrices if matrix.scale is not None]
    profiles: list[Ints] = []
    found, lengths = [], []
    for number, matrix in enumerate(matrices):
        shape = _walked(matrix)
        fitting = [profile for profile in (*profiles, *scales) if len(profile) == shape[1]]
        before = 0.0 if isinstance(coder, Encoder) else coder.bits
        if not matrix.num_codes:
            walked, profile = np.zeros(shape, dtype=np.int8), np.zeros(shape[1], dtype=np.int64)
        elif codes is None:
            walked, profile = model.walk(coder, shape, matrix.bits, fitting)
        else:
            given = codes[number].T if matrix.walked_by_columns else codes[number]
            plan = plan_matrix(model, given, matrix.bits, fitting)
            walked, profile = model.walk(coder, shape, matrix.bits, fitting, given, plan)
        profiles.append(profile)
        lengths.append(0.0 if isinstance(coder, Encoder) else coder.bits - before)
        found.append(np.ascontiguousarray(walked.T if matrix.walked_by_columns else walked))
    return found, lengths
