"""Differences of nested data: lists of tables by what the tables say, everything else leaf by leaf."""

import copy

from hypothesis import given
from hypothesis import strategies as st

from mulligan.core.difference import difference
from mulligan.core.toml import inline_toml
from mulligan.recipe import load_recipe

TOKENS = {"match": ["tok_emb.weight"], "format": {"kind": "int", "bits": 8}}
BLOCKS = {"match": ["blocks.*"], "format": {"kind": "int", "bits": 6}}
REST = {"match": ["*"], "format": {"kind": "fp16"}}
KEYS = {"match": ["*.c_k.weight"], "format": {"kind": "fp16"}}


def families(one, other):
    return difference({"families": one}, {"families": other})


def test_an_inserted_table_is_the_only_difference():
    assert families([TOKENS, BLOCKS, REST], [TOKENS, KEYS, BLOCKS, REST]) == {"families.+1": (None, KEYS)}
    assert families([KEYS, TOKENS, REST], [TOKENS, REST]) == {"families.0": (KEYS, None)}


def test_a_change_is_told_of_the_table_that_has_the_same_name_wherever_it_stands():
    smaller = {**BLOCKS, "format": {"kind": "int", "bits": 5}}
    assert families([TOKENS, BLOCKS, REST], [KEYS, TOKENS, smaller, REST]) == {
        "families.+0": (None, KEYS),
        "families.1.format.bits": (6, 5),
    }
    renamed = {**TOKENS, "match": ["tok_emb.weight", "bigram.*"]}
    assert families([TOKENS, REST], [KEYS, renamed, REST]) == {
        "families.0.match.1": (None, "bigram.*"),
        "families.+0": (None, KEYS),
    }


def test_a_moved_table_is_told_by_its_places():
    """Order matters: the first family that takes a tensor gives its format."""
    assert families([TOKENS, BLOCKS, REST], [BLOCKS, REST, TOKENS]) == {"families.0.place": (0, 2)}


def test_windows_go_by_their_kind():
    flat, sliding = {"kind": "flat", "context_len": 256}, {"kind": "sliding", "context_len": 256, "stride": 64}
    assert families([sliding], [flat, {**sliding, "stride": 8}]) == {"families.+0": (None, flat), "families.0.stride": (64, 8)}
    assert families([flat], [sliding]) == {"families.0": (flat, None), "families.+0": (None, sliding)}
    isolated = {**sliding, "kind": "document-isolated"}
    assert families([flat, sliding], [isolated]) == {
        "families.0": (flat, None),
        "families.1.kind": ("sliding", "document-isolated"),
    }


def test_recipes_whose_families_are_shifted_differ_in_what_was_inserted():
    one = load_recipe("tiny")
    families = inline_toml([KEYS, *(family.model_dump(mode="json") for family in one.grid.families)])
    other = load_recipe("tiny", [f"grid.families={families}", "grid.families.2.format.bits=5"])
    assert list(one.diff(other)) == ["grid.families.1.format.bits", "grid.families.+0"]
    assert list(other.diff(one)) == ["grid.families.0", "grid.families.2.format.bits"]


TABLES = st.lists(
    st.fixed_dictionaries(
        {"match": st.sampled_from("abc"), "bits": st.integers(0, 2)}, optional={"kind": st.sampled_from("xy")}
    ),
    max_size=5,
)


@given(TABLES, TABLES)
def test_the_difference_is_all_there_is(here, there):
    """Made from the difference alone, the other list is found again: nothing is told twice, and nothing is left out."""
    found = families(here, there)
    assert (found == {}) == (here == there)
    kept = {i: copy.deepcopy(table) for i, table in enumerate(here)}
    added, moved = {}, {}
    for path, (_, new) in found.items():
        _, number, *rest = path.split(".")
        if number.startswith("+"):
            added[int(number[1:])] = new
        elif not rest:
            del kept[int(number)]
        elif rest == ["place"]:
            moved[int(number)] = new
        elif new is None:
            del kept[int(number)][rest[0]]
        else:
            kept[int(number)][rest[0]] = new
    made = {**added, **{place: kept.pop(i) for i, place in moved.items()}}
    staying = iter(kept.values())
    assert [made[i] if i in made else next(staying) for i in range(len(there))] == there
    assert next(staying, None) is None
