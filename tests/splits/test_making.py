from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dvcl.datasets.dataset import ROLES, Case, Dataset, LabelTable, Role
from dvcl.errors import InputError
from dvcl.splits import Division, Split, make_split

FILE = Path("scan.nii.gz")
LABELS = LabelTable((0, 1), ("background", "liver"))


def cases(prefix: str, number: int, role: Role | None = None, label: bool = True) -> list[Case]:
    return [Case(f"{prefix}{n:03d}", FILE, FILE if label else None, role) for n in range(number)]


def dataset(*groups: list[Case]) -> Dataset:
    return Dataset("mine", "CT", tuple(case for group in groups for case in group), LABELS)


def sizes(split: Split) -> tuple[int, int, int, int]:
    return len(split.labelled), len(split.unlabelled), len(split.validation), len(split.test)


@pytest.mark.parametrize(
    ("number", "expected"),
    [(70, (42, 0, 14, 14)), (300, (180, 0, 60, 60)), (30, (18, 0, 6, 6)), (20, (12, 0, 4, 4))],
)
def test_published_divisions_six_two_two(number: int, expected: tuple[int, int, int, int]) -> None:
    assert sizes(make_split(dataset(cases("c", number)), Division(test_share=0.2))) == expected


def test_every_case_has_one_part_and_the_seed_decides() -> None:
    data = dataset(cases("l", 20), cases("u", 7, label=False))
    split = make_split(data, Division(seed=3, test_share=0.2))
    everything = [case_id for part in split.parts().values() for case_id in part]
    assert sorted(everything) == sorted(case.id for case in data.cases)
    assert set(split.unlabelled) == {f"u{n:03d}" for n in range(7)}
    turned = replace(data, cases=data.cases[::-1])
    assert make_split(turned, Division(seed=3, test_share=0.2)) == split
    assert make_split(data, Division(seed=4, test_share=0.2)).test != split.test


def test_given_roles_are_kept() -> None:
    data = dataset(
        cases("l", 10, "labelled"),
        cases("u", 5, "unlabelled", label=False),
        cases("v", 2, "validation"),
        cases("t", 4, "test"),
    )
    split = make_split(data)
    assert sizes(split) == (10, 5, 2, 4)
    assert all(case.id in getattr(split, str(case.role)) for case in data.cases)
    assert split.note == ""


def test_a_test_share_is_drawn_from_cases_that_a_folder_calls_labelled() -> None:
    """`dvcl prepare --labelled few` gives all of them that role; the share was ignored."""
    data = dataset(cases("l", 10, "labelled"), cases("u", 5, "unlabelled", label=False))
    split = make_split(data, Division(test_share=0.2))
    assert sizes(split) == (6, 5, 2, 2)
    assert not {*split.test} & {*split.labelled, *split.validation}


def test_splits_of_folders_are_those_of_earlier_versions() -> None:
    """Runs resume only with their own split."""
    data = dataset(cases("l", 10, "labelled"), cases("u", 5, "unlabelled", label=False))
    assert make_split(data).validation == ("l004", "l006")


def test_pseudo_labels_are_for_training_alone() -> None:
    predicted = [replace(case, pseudo_label=True) for case in cases("p", 30, "labelled")]
    data = dataset(cases("l", 10, "labelled"), predicted)
    split = make_split(data, Division(test_share=0.2, labelled_cases=4))
    assert sizes(split) == (34, 2, 2, 2)
    assert {case.id for case in predicted} <= {*split.labelled}


def test_a_test_share_beside_test_cases_of_its_own_is_drawn_from_others_or_refused() -> None:
    own = [*cases("l", 10, "labelled"), *cases("t", 4, "test")]
    free = dataset(own, cases("c", 10))
    assert sizes(make_split(free, Division(test_share=0.2))) == (14, 0, 4, 6)
    with pytest.raises(InputError, match="has 4 test cases of its own, and test_share 0.2 asks"):
        make_split(dataset(own), Division(test_share=0.2))


def test_unlabelled_cases_stay_so_even_with_label_files() -> None:
    data = dataset(cases("l", 4, "labelled"), cases("u", 6, "unlabelled"))
    assert set(make_split(data).unlabelled) == {f"u{n:03d}" for n in range(6)}


def test_validation_comes_from_the_labelled_where_none_is_given_and_is_noted() -> None:
    split = make_split(dataset(cases("l", 10, "labelled"), cases("u", 9, label=False)))
    assert sizes(split) == (8, 9, 2, 0)
    assert split.note.endswith("validation takes 2 of its 10 labelled ones.")


@pytest.mark.parametrize(("number", "validation"), [(1, 0), (2, 0), (3, 1), (4, 1), (7, 1), (8, 2)])
def test_three_labelled_cases_are_the_fewest_to_validate(number: int, validation: int) -> None:
    split = make_split(dataset(cases("l", number)))
    assert sizes(split) == (number - validation, 0, validation, 0)
    assert ("No validation" in split.note) == (validation == 0)


def test_validation_can_be_left_out() -> None:
    split = make_split(dataset(cases("l", 10)), Division(validation_share=0))
    assert sizes(split) == (10, 0, 0, 0)
    assert "validation_share is 0" in split.note


def test_fewer_labelled_cases_are_nested_and_the_rest_becomes_unlabelled() -> None:
    data = dataset(cases("l", 20), cases("u", 5, label=False))
    full = make_split(data, Division(seed=1))
    few, more = (make_split(data, Division(seed=1, labelled_cases=n)) for n in (2, 8))
    assert sizes(few) == (2, 5 + 14, 4, 0)
    assert set(few.labelled) < set(more.labelled) < set(full.labelled)
    assert few.validation == full.validation
    assert set(full.labelled) == set(few.labelled) | set(few.unlabelled) - set(full.unlabelled)


@pytest.mark.parametrize("number", [0, 9])
def test_more_labelled_cases_than_there_are_is_an_error(number: int) -> None:
    with pytest.raises(InputError, match="between 1 and 8"):
        make_split(dataset(cases("l", 10)), Division(labelled_cases=number))


@pytest.mark.parametrize(
    "data", [dataset(cases("u", 5, label=False)), dataset(cases("t", 3, "test"))]
)
def test_without_labelled_cases_there_is_nothing_to_learn_from(data: Dataset) -> None:
    with pytest.raises(InputError, match="no labelled case"):
        make_split(data)


def test_roles_that_need_a_label_file_are_checked_together() -> None:
    data = dataset(cases("l", 2, "labelled", label=False), cases("v", 1, "validation", label=False))
    with pytest.raises(InputError) as caught:
        make_split(data)
    assert len(caught.value.problems) == 3


def test_a_cross_validation_tests_every_labelled_case_once() -> None:
    data = dataset(
        cases("f", 13),
        cases("l", 4, "labelled"),
        cases("u", 3, label=False),
        cases("x", 2, "unlabelled"),
    )
    splits = [make_split(data, Division(folds=5, fold=fold, seed=2)) for fold in range(5)]
    tested = sorted(case for split in splits for case in split.test)
    assert tested == sorted(case.id for case in data.cases if case.id[0] in "fl")
    assert sorted(len(split.test) for split in splits) == [3, 3, 3, 4, 4]
    for fold, split in enumerate(splits):
        assert sizes(split)[1:3] == (5, 3)
        assert split.note.startswith(f"Fold {fold} of 5 (0 to 4).")
        everything = [case for part in split.parts().values() for case in part]
        assert sorted(everything) == sorted(case.id for case in data.cases)


def test_given_validation_cases_stay_so_in_every_fold() -> None:
    data = dataset(cases("l", 10, "labelled"), cases("v", 2, "validation"))
    for fold in range(3):
        assert make_split(data, Division(folds=3, fold=fold)).validation == ("v000", "v001")


def test_a_cross_validation_needs_enough_cases_and_no_tests_of_its_own() -> None:
    with pytest.raises(InputError, match="4 labelled cases cannot be divided into 5 folds"):
        make_split(dataset(cases("l", 4)), Division(folds=5))
    with pytest.raises(InputError, match=r"has 2 test cases of its own.*Leave out --folds"):
        make_split(dataset(cases("l", 9), cases("t", 2, "test")), Division(folds=5))


def test_folds_are_stratified() -> None:
    data = dataset(cases("l", 20))
    organs = {f"l{n:03d}": frozenset({"liver"} | ({"cyst"} if n < 5 else set())) for n in range(20)}
    for fold in range(5):
        tests = make_split(data, Division(folds=5, fold=fold), organs).test
        assert sum("cyst" in organs[case] for case in tests) == 1
    plain = [make_split(data, Division(folds=5, fold=f, stratify=False), organs) for f in range(5)]
    assert plain == [make_split(data, Division(folds=5, fold=f)) for f in range(5)]


def test_unlabelled_cases_are_first_those_that_gave_up_their_labels() -> None:
    data = dataset(cases("l", 20), cases("u", 30, label=False))
    some = make_split(data, Division(labelled_share=0.25, unlabelled_per_labelled=3))
    assert sizes(some) == (4, 12, 4, 0)
    assert all(case.startswith("l") for case in some.unlabelled)
    more = make_split(data, Division(labelled_share=0.25, unlabelled_cases=20))
    every = make_split(data, Division(labelled_share=0.25))
    assert set(some.unlabelled) < set(more.unlabelled) < set(every.unlabelled)
    assert len(more.unlabelled) == 20
    assert some.labelled == more.labelled == every.labelled


def test_more_unlabelled_cases_than_there_are() -> None:
    data = dataset(cases("l", 10), cases("u", 5, label=False))
    with pytest.raises(
        InputError, match="72 unlabelled cases were asked for with 8 labelled ones, 5 "
    ):
        make_split(data, Division(unlabelled_per_labelled=9))


@st.composite
def cohorts(draw: st.DrawFn) -> tuple[Dataset, dict[str, frozenset[str]]]:
    roles = draw(st.lists(st.sampled_from((*ROLES, None, "image only")), min_size=4, max_size=24))
    made = [
        Case(
            f"c{n}",
            FILE,
            None if role in ("image only", "unlabelled") else FILE,
            role if role in ROLES else None,
        )
        for n, role in enumerate(roles)
    ]
    organs = {
        case.id: frozenset(draw(st.sets(st.sampled_from("abc")))) for case in made if case.label
    }
    return dataset(made), organs


@settings(deadline=None, max_examples=60)
@given(cohorts(), st.integers(0, 5), st.sampled_from((0.0, 0.2, 0.4)), st.sampled_from((0.0, 0.3)))
def test_laws_of_every_split(cohort, seed: int, validation: float, test: float) -> None:
    data, organs = cohort
    division = Division(seed=seed, validation_share=validation, test_share=test)
    if not any(case.label and case.role in (None, "labelled") for case in data.cases):
        return
    free = sum(bool(case.label) and case.role is None for case in data.cases)
    given = sum(case.role == "labelled" for case in data.cases)
    # Enough is left to train on, and no share is refused beside the data set's own test cases.
    assume(test == 0 or given + free >= 6)
    assume(test == 0 or free or not any(case.role == "test" for case in data.cases))
    split = make_split(data, division, organs)
    everything = [case for part in split.parts().values() for case in part]
    assert sorted(everything) == sorted(case.id for case in data.cases), "disjoint and complete"
    assert split == make_split(replace(data, cases=data.cases[::-1]), division, organs)
    by_id = {case.id: case for case in data.cases}
    for role, ids in split.parts().items():
        for case in map(by_id.get, ids):
            assert case.label or role == "unlabelled"
            assert case.role in (None, role) or (
                case.role == "labelled" and role in ("validation", "test")
            )
    plain = make_split(data, replace(division, stratify=False), organs)
    assert [len(ids) for ids in plain.parts().values()] == [len(i) for i in split.parts().values()]
    subsets = [
        set(make_split(data, replace(division, labelled_cases=n), organs).labelled)
        for n in range(1, len(split.labelled) + 1)
    ]
    assert all(few < more for few, more in pairwise(subsets))
