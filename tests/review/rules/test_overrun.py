"""R10: windows laid out by document that end where the stream does."""

import ast
import textwrap

import pytest

from mulligan.review.rules.r10_overrun import overruns
from submission_folder import found, write_folder

SCORER = """
def score(stream, documents, size, step, rank):
    everything = stream.numel() - 1
    places = []
    for at, length in documents:
        for begin, skip in layout(length - 1, size, step):
            places.append({entry})
    mine = places[rank::2]
    for first in range(0, len(mine), 8):
        group = mine[first : first + 8]
        for row, {unpacked} in enumerate(group):
            stop = min(begin + size, {bound})
            total += stop - begin
"""


def lines(entry="(at + begin, skip)", unpacked="(begin, skip)", bound="everything"):
    text = SCORER.format(entry=entry, unpacked=unpacked, bound=bound)
    (function,) = ast.parse(textwrap.dedent(text)).body
    return [call.lineno for call in overruns(function)]


def test_a_window_that_ends_with_the_stream_is_found():
    assert lines() == [12]


@pytest.mark.parametrize(
    "changes",
    [
        {"entry": "(at + begin, skip, at + length)", "unpacked": "(begin, skip, last)", "bound": "last"},
        {"entry": "(begin, skip)"},
        {"bound": "size"},
        {"entry": "(at + begin, min(size, length))", "bound": "begin + skip"},
    ],
    ids=["its own end", "not of documents", "another bound", "its own length"],
)
def test_a_window_that_ends_with_its_document_is_not(changes):
    assert lines(**changes) == []


def test_it_is_told_with_file_and_line(tmp_path):
    script = SCORER.format(entry="(at + begin, skip)", unpacked="(begin, skip)", bound="everything")
    seen = found(write_folder(tmp_path, script=script), "R10")
    assert ("violation", "train_gpt.py", 12) in [one[:3] for one in seen]
