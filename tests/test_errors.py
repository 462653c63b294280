import pickle

import pytest

from dvcl.errors import InputError, counted, counted_are


def test_one_problem_is_its_own_message() -> None:
    assert str(InputError("a.nii: empty")) == "a.nii: empty"
    assert InputError("a.nii: empty").problems == ["a.nii: empty"]


def test_several_problems_are_listed_under_a_heading() -> None:
    assert str(InputError(["a", "b"])) == "2 problems:\n  - a\n  - b"
    assert str(InputError(["a", "b"], heading="data:")) == "data:\n  - a\n  - b"
    assert str(InputError(["a"], heading="data:")) == "data:\n  - a"


@pytest.mark.parametrize("problems", ["a", ["a"], ["a", "b"]])
def test_an_error_survives_the_way_out_of_a_worker_process(problems: str | list[str]) -> None:
    error = InputError(problems, heading="data:")
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.problems, copy.heading, str(copy)) == (error.problems, "data:", str(error))


@pytest.mark.parametrize(
    ("count", "told"),
    [(0, "0 scans"), (1, "1 scan"), ("1", "1 scan"), (2, "2 scans")],
    ids=repr,
)
def test_what_is_counted_is_in_its_number(count: int | str, told: str) -> None:
    assert counted(count, "scan") == told


def test_what_is_counted_has_its_plural_and_its_verb() -> None:
    assert [counted(n, "body", "bodies") for n in (1, 2)] == ["1 body", "2 bodies"]
    assert [counted_are(n, "scan") for n in (1, 2)] == ["1 scan is", "2 scans are"]
