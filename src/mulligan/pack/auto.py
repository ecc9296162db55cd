"""Auto: each group of tensors by the codec that makes it smallest, proved by decoding.

What it does     Codes the tensors of each role by a range coder under a model of their sizes (of every row and column, of
                 classes of rows that resemble one another), or by zlib-9, lzma-9e, zstd-22 or brotli-11, row by row or column
                 by column: whichever is smallest. Table, scales and floats likewise. All codes in one stream of one codec are
                 tried too, on up to 262,144 codes and where matrices come again. Decodes the result and compares.
Why it may help  Codes are noise of varying size: a codec of bytes spends 1 to 1.5 % over their entropy, and sees no columns.
Touches          pack: the coding of bytes and their order.
Cost             No training. About 10 s of packing and 0.2 s of unpacking for each million codes, on one core.
Source           Range coding: Martin 1979. Groups of a role: parameter-golf PR 1855.
"""

import lzma
import math
from collections.abc import Mapping, Sequence

from mulligan.values.code_stream import CodeMatrix, check_stream, code_lengths
from mulligan.values.codec import compress
from mulligan.values.container import Coding, Contents, contents_of, group_bytes, write_container
from mulligan.values.container_reader import read_container
from mulligan.values.quantized import Quantized
from mulligan.values.tensor_parts import Key
from mulligan.values.tensor_table import RANGE_CODER, GroupCoding, Table, table_bytes

LEVELS = {"zlib": 9, "lzma": 9 | lzma.PRESET_EXTREME, "zstd": 22, "brotli": 11}
BYTE_CODINGS = tuple(GroupCoding(codec, transposed) for codec in LEVELS for transposed in (False, True))
SAMPLE_BYTES = 1 << 18
"""Of a larger group, the codecs of bytes are tried on so many of its codes, which may tell up to 2 % too much."""
SAMPLE_RATIO = 0.98
WHOLE_RATIO = 0.995
"""One stream for all groups was at most 0.1 % smaller than one for each: it is tried where the range coder saves little, where
something comes again in another group, and on few codes."""
NEAR_MATCHES = {"window_log": 18}
FAR_MATCHES = {"window_log": 27, "enable_ldm": True, "ldm_min_match": 32, "ldm_hash_rate_log": 4, "ldm_hash_log": 22}
"""Zstandard's, as far as a sample reaches, and over everything."""


def pack_auto(quantized: Quantized) -> bytes:
    """Return the smallest container found; RuntimeError if it does not hold what was given, bit for bit."""
    contents = contents_of(quantized)
    sections = {name: _smallest_codec(data) for name, data in contents.sections.items()}
    found = [write_container(contents, _coding(contents, groups, sections)) for groups in _ways(contents)]
    packed = min(found, key=len)
    if not _same(contents, contents_of(read_container(packed).quantized)):
        raise RuntimeError("The packed bytes decode to other values: a bug of the codec. Pack with another codec.")
    return packed


def _ways(contents: Contents) -> list[dict[str, GroupCoding]]:
    """Return the codings of the groups that may be smallest: each group's best, and one codec of bytes for all of them."""
    return _chosen(contents, _range_coder_bytes(contents))


def _chosen(contents: Contents, lengths: Mapping[str, float]) -> list[dict[str, GroupCoding]]:
    trials = {group: _trials(contents, group) for group in contents.groups}
    best, alone_bytes, total_bytes = {}, 0.0, 0.0
    for group, sizes in trials.items():
        coding = min(sizes, key=lambda choice: sizes[choice])
        to_beat = lengths.get(group, math.inf)
        if sizes[coding] * SAMPLE_RATIO < to_beat:
            sizes[coding] = len(compress(coding.codec, group_bytes(contents, group, coding), LEVELS[coding.codec]))
        best[group] = GroupCoding(RANGE_CODER) if to_beat < sizes[coding] else coding
        alone_bytes += sizes[coding]
        total_bytes += min(sizes[coding], to_beat)
    ranged = {key: m for group in best if best[group].codec == RANGE_CODER for key, m in contents.groups[group].items()}
    if ranged and not _fits(ranged, int(sum(lengths[group] for group in best if best[group].codec == RANGE_CODER))):
        return _chosen(contents, {})  # few bytes for so many codes: the groups left to it alone would be refused
    if _may_repeat(contents):
        return [best, dict.fromkeys(contents.groups, _smallest_whole(contents, BYTE_CODINGS))]
    if total_bytes < WHOLE_RATIO * alone_bytes:
        return [best]
    totals = {coding: sum(sizes[coding] for sizes in trials.values()) for coding in BYTE_CODINGS}
    near = [coding for coding in BYTE_CODINGS if totals[coding] <= 1.01 * min(totals.values()) + 64]
    return [best, dict.fromkeys(contents.groups, _smallest_whole(contents, near))]


def _smallest_whole(contents: Contents, codings: Sequence[GroupCoding]) -> GroupCoding:
    """Return the coding by which all groups in one stream are smallest."""
    return min(codings, key=lambda coding: len(compress(coding.codec, _whole(contents, coding), LEVELS[coding.codec])))


def _whole(contents: Contents, coding: GroupCoding) -> bytes:
    return b"".join(group_bytes(contents, group, coding) for group in contents.groups)


def _may_repeat(contents: Contents) -> bool:
    """Say whether codes of one group may come again in another, or far off in their own, where trials did not look.

    Few codes are not searched: all codecs are tried on them. In many, a match of 32 bytes or more is looked for, quickly.
    """
    import zstandard

    if sum(codes.size for codes in contents.codes.values()) <= SAMPLE_BYTES:
        return len(contents.groups) > 1
    near, far = (
        zstandard.ZstdCompressor(compression_params=zstandard.ZstdCompressionParameters.from_level(1, **settings))
        for settings in (NEAR_MATCHES, FAR_MATCHES)
    )
    for transposed in (False, True):
        coding = GroupCoding("zstd", transposed)
        groups = [group_bytes(contents, group, coding) for group in contents.groups]
        pieces = [data[begin : begin + SAMPLE_BYTES] for data in groups for begin in range(0, len(data), SAMPLE_BYTES)]
        if len(far.compress(b"".join(groups))) < WHOLE_RATIO * sum(len(near.compress(piece)) for piece in pieces):
            return True
    return False


def _range_coder_bytes(contents: Contents) -> dict[str, float]:
    """Return the length of each group in the range coder's stream, for groups that it may hold."""
    groups = {group: matrices for group, matrices in contents.groups.items() if _fits(matrices, None)}
    together = {key: matrix for matrices in groups.values() for key, matrix in matrices.items()}
    bits = code_lengths(list(together.values()), [contents.codes[key] for key in together])
    if not _fits(together, int(sum(bits)) // 8):
        return {}
    length = dict(zip(together, bits, strict=True))
    return {group: sum(length[key] for key in matrices) / 8 for group, matrices in groups.items()}


def _fits(matrices: Mapping[Key, CodeMatrix], num_bytes: int | None) -> bool:
    """Say whether a stream of so many bytes (None: of as many as it may need) may hold the matrices."""
    needed = sum(matrix.num_codes for matrix in matrices.values())
    try:
        check_stream(list(matrices.values()), needed if num_bytes is None else num_bytes)
    except ValueError:
        return False
    return True


def _trials(contents: Contents, group: str) -> dict[GroupCoding, float]:
    """Return the size of a group by each codec of bytes and layout: of a large one, what a sample of it tells."""
    sizes = {}
    for coding in BYTE_CODINGS:
        data = group_bytes(contents, group, coding)
        sample = data[:SAMPLE_BYTES]
        sizes[coding] = len(compress(coding.codec, sample, LEVELS[coding.codec])) * len(data) / max(len(sample), 1)
    return sizes


def _coding(contents: Contents, groups: dict[str, GroupCoding], sections: dict[str, str]) -> Coding:
    table = Table(contents.model, contents.entries, tuple(groups.values()), ())
    return Coding(groups, {**sections, "table": _smallest_codec(table_bytes(table))}, LEVELS)


def _smallest_codec(data: bytes) -> str:
    return min(LEVELS, key=lambda codec: len(compress(codec, data, LEVELS[codec])))


def _same(a: Contents, b: Contents) -> bool:
    """Say whether two contents are the same to the bit."""
    alike = (a.model, a.entries, a.sections, a.codes.keys()) == (b.model, b.entries, b.sections, b.codes.keys())
    return alike and all(codes.tobytes() == b.codes[key].tobytes() for key, codes in a.codes.items())
