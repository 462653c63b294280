"""Scores of a run and of a folder of label maps, as the command line asks for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dvcl.commands.train import train_run
from dvcl.datasets import load_folders
from dvcl.splits import make_split

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def masks(tmp_path: Path, write_label: Callable[..., Path]) -> Path:
    """Label maps of two cases, which serve as their own references."""
    array = np.zeros((4, 5, 6), np.uint8)
    array[1:3, 1:3, 1:3] = 1
    for name in "ab":
        write_label(tmp_path / f"masks/{name}.nii.gz", array=array)
    return tmp_path / "masks"


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.nii.gz", None), ("notes.csv", "case,age\na,70\n"), ("notes.txt", "")],
    ids=["a reference", "a table of one's own", "an empty file"],
)
def test_scores_take_the_place_of_scores_alone(
    run: Run, masks: Path, name: str, content: str | None
) -> None:
    target = masks / name
    if content is not None:
        target.write_text(content)
    before = target.read_bytes()
    code, out, err = run("evaluate", masks, "--reference", masks, "--out", target)
    assert (code, out) == (2, "")
    assert f"{target}: holds no scores" in err
    assert "Choose another file with --out" in err
    assert target.read_bytes() == before


def test_scores_are_replaced_also_those_of_earlier_versions(run: Run, masks: Path) -> None:
    scores = masks / "cases.csv"
    scores.write_text("case,organ,dice,jaccard\n")
    for _ in range(2):
        assert run("evaluate", masks, "--reference", masks)[0] == 0
        assert len(scores.read_text().splitlines()) == 3


def test_blanks_around_names_of_cases_are_none_of_theirs(run: Run, masks: Path) -> None:
    words = ("evaluate", masks, "--reference", masks, "--out", masks / "scores.csv")
    assert run(*words, "--cases", "a, b")[0] == 0
    assert len((masks / "scores.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize("cases", ["", "a,,b", "a, "])
def test_names_of_cases_are_not_empty(run: Run, masks: Path, cases: str) -> None:
    code, _, err = run("evaluate", masks, "--reference", masks, "--cases", cases)
    assert code == 2
    assert f"--cases {cases!r}: an empty name found; names of references" in err
    assert "Leave out --cases to score all" in err


def test_validation_cases_are_not_called_test_cases(
    run: Run, tmp_path: Path, prepare_tiny, write_image, write_label
) -> None:
    label = np.zeros((16, 16, 16), np.uint8)
    label[4:10, 4:10, 4:10] = 1
    for name in "abcd":
        noise = np.random.default_rng([*name.encode()]).integers(-1000, 1000, label.shape)
        write_image(tmp_path / f"few/images/{name}.nii.gz", array=noise.astype(np.int16))
        write_label(tmp_path / f"few/labels/{name}.nii.gz", array=label)
    project = prepare_tiny(tmp_path / "work", load_folders(tmp_path / "few"))
    trained = train_run(
        project, project.load_recipe(), "supervised", make_split(project.dataset), device="cpu"
    )
    code, out, err = run("evaluate", trained.folder, "--device=cpu")
    assert code == 0, err
    assert "Mean and SD over 1 validation case;" in out
    code, _, err = run("report", project.folder)
    assert code == 0, err
    page = (project.folder / "report" / "index.html").read_text("utf-8")
    assert "over the validation cases that have the organ" in page
