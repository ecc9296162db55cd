"""Branches: taken back, joined, and left."""

from mulligan.review.flow.heap import Cell, Heap
from mulligan.review.flow.value import Data, Val

ONE, OTHER = frozenset({Data("val")}), frozenset({Data("train")})


def test_both_branches_begin_at_the_same_state_and_are_joined():
    heap, cell, seen = Heap(), Cell("tensor"), []
    heap.set_tags(cell, ONE)

    def first():
        heap.set_tags(cell, OTHER)
        return "on"

    def second():
        seen.append(cell.tags)
        return "on"

    assert heap.branch(first, second, Cell("frame")) == ("on", "on")
    assert seen == [ONE]
    assert cell.tags == ONE | OTHER


def test_variables_of_a_branch_that_returns_are_forgotten_and_what_it_changed_elsewhere_is_not():
    heap, frame, cell = Heap(), Cell("frame"), Cell("tensor")
    heap.set_name(frame, "x", Val(const=1))

    def gone():
        heap.set_name(frame, "x", Val(const=2))
        heap.set_tags(cell, ONE)
        return "return"

    for one, other in ((gone, lambda: "on"), (lambda: "on", gone)):
        heap.set_tags(cell, frozenset())
        heap.branch(one, other, frame)
        assert frame.names["x"].const == 1
        assert cell.tags == ONE
