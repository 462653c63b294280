"""Stratification: against every possible division of small sets, and laws of the exchange."""

from itertools import chain, combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvcl.splits import Split
from dvcl.splits.strata import absent_organs, covering_order, exchange

NAMES = "abcde"


def shown_in(ids, organs) -> set[str]:
    return {name for case in ids for name in organs[case]}


def shown(parts, organs) -> int:
    """(part, organ) pairs that are there."""
    return sum(len(shown_in(ids, organs)) for ids in parts.values())


@st.composite
def cohorts(draw):
    """Cases with organs, in three parts."""
    number = draw(st.integers(3, 12))
    organs = {f"c{n}": frozenset(draw(st.sets(st.sampled_from(NAMES)))) for n in range(number)}
    cut = sorted(draw(st.tuples(st.integers(0, number), st.integers(0, number))))
    ids = list(draw(st.permutations(list(organs))))
    return organs, {
        "test": ids[: cut[0]],
        "validation": ids[cut[0] : cut[1]],
        "training": ids[cut[1] :],
    }


@settings(deadline=None)
@given(cohorts())
def test_an_exchange_keeps_cases_and_sizes_and_never_loses_organs(cohort) -> None:
    organs, parts = cohort
    found = exchange(parts, organs)
    assert {name: len(ids) for name, ids in found.items()} == {n: len(i) for n, i in parts.items()}
    assert sorted(chain(*found.values())) == sorted(chain(*parts.values()))
    assert shown(found, organs) >= shown(parts, organs)
    assert exchange(found, organs) == found
    everything = shown_in(organs, organs)
    if all(shown_in(ids, organs) == everything for ids in parts.values() if ids):
        assert found == parts


@pytest.mark.parametrize("seed", range(12))
def test_no_division_into_two_parts_shows_more(seed: int) -> None:
    random = np.random.default_rng(seed)
    organs = {
        f"c{n}": frozenset(name for name in NAMES if random.random() < 0.35) for n in range(9)
    }
    ids, size = list(organs), int(random.integers(2, 6))
    found = exchange({"a": ids[:size], "b": ids[size:]}, organs)
    best = max(
        shown({"a": chosen, "b": [case for case in ids if case not in chosen]}, organs)
        for chosen in combinations(ids, size)
    )
    assert shown(found, organs) == best


def test_a_rare_organ_comes_into_every_part_where_it_may() -> None:
    organs = {f"c{n}": frozenset("a" if n < 9 else "ab") for n in range(12)}
    parts = {
        "test": ["c0", "c1"],
        "validation": ["c2", "c3"],
        "training": [f"c{n}" for n in range(4, 12)],
    }
    found = exchange(parts, organs)
    assert all(shown_in(ids, organs) == {"a", "b"} for ids in found.values())
    # One exchange for each part that lacked it.
    moved = [set(found[name]) ^ set(parts[name]) for name in parts]
    assert [len(cases) for cases in moved] == [2, 2, 4]
    kept = exchange(parts, organs, lambda case, part: part != "test")
    assert kept["test"] == parts["test"]
    assert shown_in(kept["validation"], organs) == {"a", "b"}


def test_cases_without_known_organs_are_no_obstacle() -> None:
    parts = {"a": ["x", "y"], "b": ["z"]}
    assert exchange(parts, {}) == parts
    assert covering_order(["x", "y", "z"], {"z": frozenset("a")}) == ["z", "x", "y"]


@settings(deadline=None)
@given(cohorts())
def test_the_first_cases_cover_as_a_plain_greedy_loop_would(cohort) -> None:
    organs, parts = cohort
    ids = [*chain(*parts.values())]
    order = covering_order(ids, organs)
    assert sorted(order) == sorted(ids)
    seen: set[str] = set()
    for place, case in enumerate(order):
        gains = {other: len(organs[other] - seen) for other in order[place:]}
        assert gains[case] == max(gains.values())
        if gains[case] == 0:
            assert order[place:] == [other for other in ids if other in order[place:]]
            break
        seen |= organs[case]


def test_where_every_case_shows_everything_nothing_is_reordered() -> None:
    ids = ["q", "b", "z", "a"]
    assert covering_order(ids, {case: frozenset("ab") for case in ids}) == ids


def test_absent_organs_are_named_with_their_part() -> None:
    split = Split(("a", "b"), ("u",), ("v",), ("t",), seed=0)
    organs = {
        "a": frozenset({"liver"}), "b": frozenset({"liver", "spleen"}),
        "v": frozenset({"spleen"}), "t": frozenset({"liver", "spleen", "aorta"}),
    }  # fmt: skip
    assert list(absent_organs(split, organs, ("liver", "spleen", "aorta"))) == [
        "No labelled case (2 in all) shows aorta: it cannot be learned.",
        "No validation case (1 in all) shows liver, aorta: it does not count when the best "
        "weights are chosen.",
    ]
    del organs["v"], organs["t"]
    assert len(list(absent_organs(split, organs, ("liver",)))) == 0
