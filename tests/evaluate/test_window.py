"""Windows count every position exactly once, and give the promised context."""

from collections.abc import Iterator

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mulligan.evaluate.config import DocumentIsolated, Flat, Sliding
from mulligan.evaluate.document_isolated import document_isolated_windows
from mulligan.evaluate.flat import flat_windows
from mulligan.evaluate.sliding import sliding_windows
from mulligan.evaluate.window import Windows, cover


def plain_windows(num_positions: int, context_len: int, stride: int) -> Iterator[tuple[int, int, int]]:
    begin = 0
    while True:
        end = min(begin + context_len, num_positions)
        first = 0 if begin == 0 else begin + context_len - stride
        if first >= num_positions:
            return
        yield begin, first, end
        if end >= num_positions:
            return
        begin += stride


def rows(windows: Windows) -> list[tuple[int, int, int]]:
    return list(zip(windows.start.tolist(), windows.first.tolist(), windows.stop.tolist(), strict=True))


def counted(windows: Windows) -> list[int]:
    return [position for _, first, stop in rows(windows) for position in range(first, stop)]


def every_shape() -> Iterator[tuple[int, int, int]]:
    for num_positions in range(1, 120):
        for context_len in range(1, 18):
            for stride in range(1, context_len + 1):
                yield num_positions, context_len, stride


def test_sliding_windows_are_those_of_the_plain_generator_and_count_every_position_once():
    for num_positions, context_len, stride in every_shape():
        windows = sliding_windows(Sliding(kind="sliding", context_len=context_len, stride=stride), num_positions)
        found = rows(windows)
        assert found == list(plain_windows(num_positions, context_len, stride)), (num_positions, context_len, stride)
        assert counted(windows) == list(range(num_positions)), (num_positions, context_len, stride)
        assert all(start <= first < stop <= start + context_len for start, first, stop in found)


def test_every_counted_position_sees_at_least_context_len_less_stride_tokens():
    for num_positions, context_len, stride in every_shape():
        for start, first, stop in rows(cover(np.array([0]), np.array([num_positions]), context_len, stride)):
            if start > 0:
                assert first - start >= context_len - stride
            else:
                assert first == 0
                assert stop == min(context_len, num_positions)


def test_flat_windows_lie_side_by_side_and_count_all_they_run():
    for num_positions in range(1, 120):
        for context_len in range(1, 18):
            windows = flat_windows(Flat(kind="flat", context_len=context_len), num_positions)
            assert counted(windows) == list(range(num_positions))
            assert (windows.start == windows.first).all()
            assert (windows.start == np.arange(len(windows.start)) * context_len).all()


def test_no_position_makes_no_window():
    assert rows(cover(np.array([0]), np.array([0]), 8, 2)) == []


def test_the_validation_stream_of_the_challenge_takes_969073_windows():
    windows = sliding_windows(Sliding(kind="sliding", context_len=1024, stride=64), 62_021_632)
    assert len(windows.start) == 969_073
    assert (windows.stop - windows.first).sum() == 62_021_632
    assert (windows.first[1:] == windows.stop[:-1]).all()
    assert (windows.first[0], windows.stop[-1]) == (0, 62_021_632)
    assert (windows.stop - windows.start).max() == 1024


SPANS = st.lists(st.integers(0, 40), min_size=1, max_size=12)


@settings(max_examples=150, deadline=None)
@given(lengths=SPANS, offset=st.integers(0, 5), context_len=st.integers(1, 17), data=st.data())
def test_spans_are_each_covered_on_their_own(lengths, offset, context_len, data):
    stride = data.draw(st.integers(1, context_len))
    offsets = offset + np.cumsum(lengths) - lengths
    found = rows(cover(offsets, np.array(lengths), context_len, stride))
    expected = []
    for begin, length in zip(offsets.tolist(), lengths, strict=True):
        expected += [tuple(begin + p for p in window) for window in plain_windows(length, context_len, stride)]
    assert found == expected
    assert [p for _, first, stop in found for p in range(first, stop)] == list(range(offset, offset + sum(lengths)))


@settings(max_examples=150, deadline=None)
@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=12), context_len=st.integers(1, 17), data=st.data())
def test_document_isolated_windows_never_leave_their_document(lengths, context_len, data):
    """The last document has no BOS after it when the stream ends there, and one target less."""
    stride = data.draw(st.integers(1, context_len))
    followed = data.draw(st.booleans())
    starts = np.cumsum(lengths) - lengths
    num_positions = sum(lengths) - (not followed)
    config = DocumentIsolated(kind="document-isolated", context_len=context_len, stride=stride)
    windows = document_isolated_windows(config, starts, num_positions)
    assert counted(windows) == list(range(num_positions))
    ends = [*starts[1:].tolist(), num_positions]
    for start, first, stop in rows(windows):
        document = int(np.searchsorted(starts, start, side="right")) - 1
        assert starts[document] <= start <= first < stop <= ends[document]
        if start > starts[document]:
            assert first - start == context_len - stride


def test_one_document_slides_as_the_whole_stream_does():
    sliding = sliding_windows(Sliding(kind="sliding", context_len=7, stride=3), 50)
    config = DocumentIsolated(kind="document-isolated", context_len=7, stride=3)
    assert rows(document_isolated_windows(config, np.array([0]), 50)) == rows(sliding)
