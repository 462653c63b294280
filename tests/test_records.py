"""The typed reader of the program's own records."""

from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

import pytest

from dvcl.errors import InputError
from dvcl.files import write_json
from dvcl.records import Count, Misfit, Positive, check, read_record


class Inner(TypedDict):
    ids: list[str]
    scores: NotRequired[dict[str, float | None]]


class Outer(TypedDict):
    steps: Count
    rate: Positive
    role: Literal["test"] | None
    inner: Inner
    rest: NotRequired[Any]


RIGHT: dict[str, Any] = {"steps": 3, "rate": 0.5, "role": None, "inner": {"ids": ["a"]}}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"rate": 1, "role": "test", "rest": [{}], "unknown": 5},
        {"inner": {"ids": [], "scores": {"a": None, "b": 0.5}}},
    ],
)
def test_what_fits_passes(change: dict[str, Any]) -> None:
    check(RIGHT | change, Outer)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"steps": -1}, "steps: -1 found, a whole number of at least 0 expected"),
        ({"steps": True}, "steps: True found, a whole number expected"),
        ({"steps": 10**20}, "steps: 100000000000000000000 found, a whole number expected"),
        ({"rate": float("inf")}, "rate: inf found, a finite number expected"),
        ({"rate": 0}, "rate: 0 found, a number above 0 expected"),
        ({"role": "train"}, "role: 'train' found"),
        ({"inner": []}, r"inner: \[\] found, a table with ids, scores expected"),
        ({"inner": {}}, r"inner: \[\] found, a table with ids expected"),
        ({"inner": {"ids": ["a", 5]}}, r"inner\.ids\.1: 5 found, a text expected"),
        ({"inner": {"ids": [], "scores": {"x": "y"}}}, r"inner\.scores\.x: 'y' found, a finite"),
        ({"steps": "x" * 10**6}, r"steps: 'x+\.\.\.x+' found"),
    ],
)
def test_what_does_not_is_named_with_its_place_and_value(change: dict[str, Any], told: str) -> None:
    with pytest.raises(Misfit, match=told) as caught:
        check(RIGHT | change, Outer)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("text", ["[]", "{}", "3", '{"inner": 3}', "{"])
def test_a_record_that_lacks_something_is_named_with_the_remedy(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with (
        pytest.raises(InputError, match=r"a\.json: .*\. Prepare again\."),
        read_record(tmp_path / "a.json", Inner, "Prepare again."),
    ):
        pass


@pytest.mark.parametrize(
    "error", [KeyError("x"), OverflowError("x"), InputError("label table: 1.")]
)
def test_what_the_block_stumbles_over_is_told_of_the_record(
    tmp_path: Path, error: Exception
) -> None:
    write_json(tmp_path / "a.json", {"ids": []})
    with (
        pytest.raises(InputError, match=r"a\.json: .* Prepare again\."),
        read_record(tmp_path / "a.json", Inner, "Prepare again."),
    ):
        raise error
