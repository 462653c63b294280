import pytest

from dvcl.errors import InputError
from dvcl.splits import Division


def problems_of(**values: object) -> list[str]:
    with pytest.raises(InputError) as caught:
        Division(**values)  # type: ignore[arg-type]
    return caught.value.problems


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"validation_share": -0.1}, "split.validation_share: -0.1 found, a share in [0, 1) exp"),
        ({"test_share": 1.0}, "split.test_share: 1.0 found, a share in [0, 1) expected."),
        (
            {"validation_share": 0.6, "test_share": 0.5},
            "split.validation_share + split.test_share: 1.1 found, less than 1 expected",
        ),
        ({"labelled_share": 0.0}, "split.labelled_share: 0.0 found, a share in (0, 1] expected."),
        ({"labelled_share": 1.5}, "split.labelled_share: 1.5 found, a share in (0, 1] expected."),
        ({"labelled_cases": -1}, "split.labelled_cases: -1 found, 0 or more expected."),
        ({"unlabelled_per_labelled": -2.0}, "split.unlabelled_per_labelled: -2.0 found, 0 or more"),
        (
            {"labelled_cases": 3, "labelled_share": 0.5},
            "split.labelled_cases and split.labelled_share: 3 and 0.5 found, one of the two",
        ),
        (
            {"unlabelled_cases": 3, "unlabelled_per_labelled": 2.0},
            "split.unlabelled_cases and split.unlabelled_per_labelled: 3 and 2.0 found, one of",
        ),
        ({"seed": -1}, "split.seed: -1 found, 0 or more expected."),
        ({"folds": 1}, "split.folds: 1 found, 2 or more expected."),
        ({"folds": 5, "fold": 5}, "split.fold: 5 found, 0 to 4 expected."),
        ({"fold": 2}, "split.fold: 2 found, 0 to 0 expected; with split.folds (--folds) there are"),
    ],
)
def test_settings_that_make_no_sense(values: dict[str, object], problem: str) -> None:
    (found,) = problems_of(**values)
    assert found.startswith(problem)


def test_all_problems_at_once() -> None:
    assert len(problems_of(test_share=2.0, labelled_cases=-1, folds=0, seed=-3)) == 4


def test_the_test_share_does_not_count_in_a_cross_validation() -> None:
    assert Division(test_share=0.9, validation_share=0.2, folds=5).folds == 5


@pytest.mark.parametrize(
    ("share", "available", "labelled"),
    [(0.1, 180, 18), (0.1, 18, 2), (0.1, 12, 2), (0.5, 18, 9), (0.3, 10, 3), (1.0, 7, 7)],
)
def test_shares_of_labelled_cases_are_rounded_up(
    share: float, available: int, labelled: int
) -> None:
    assert Division(labelled_share=share).labelled_of(available) == labelled


def test_unlabelled_cases_by_number_and_by_ratio() -> None:
    assert Division().unlabelled_for(42) is None
    assert Division(unlabelled_cases=7).unlabelled_for(42) == 7
    assert Division(unlabelled_per_labelled=9).unlabelled_for(42) == 378
    assert Division(unlabelled_per_labelled=0.5).unlabelled_for(3) == 2
