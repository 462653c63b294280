"""What `dvcl prepare` calls a data set."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def name_of(run: Run, write_case, tmp_path: Path) -> Callable[..., str]:
    """name_of(options) -> what the data set in work/ is called, once it is prepared."""
    for id in "abcd":
        write_case(tmp_path / "few", id)
    spacing = "--set=preprocessing.spacing_mm=[4.0, 4.0, 4.0]"

    def name_of(*options: str) -> str:
        words = ("prepare", tmp_path / "work", "--labelled", tmp_path / "few", spacing, *options)
        code, out, err = run(*words, "--workers=1")
        assert code == 0, out + err
        return json.loads((tmp_path / "work" / "project.json").read_text())["dataset"]["name"]

    return name_of


def test_a_data_set_has_the_name_of_its_study(name_of) -> None:
    assert name_of() == "work"


def test_a_name_once_given_stays_and_nothing_is_prepared_twice(name_of, tmp_path: Path) -> None:
    """As in studies of earlier versions, whose data sets are called "own"."""
    assert name_of("--name=own") == "own"
    stores = [*(tmp_path / "work" / "store").glob("*/store.json")]
    assert name_of() == "own"
    assert [*(tmp_path / "work" / "store").glob("*/store.json")] == stores
    assert name_of("--name=other") == "other"
