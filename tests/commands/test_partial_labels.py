"""Partly labelled cases from their masks to their scores."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from dvcl.commands.evaluate import evaluate_run
from dvcl.commands.train import train_run
from dvcl.datasets import load_folders
from dvcl.errors import InputError
from dvcl.splits import make_split
from dvcl.studies.project import Project
from dvcl.volume import Volume, write_volume

AFFINE = np.diag([-4.0, -4.0, 4.0, 1.0])
BOXES = {"aorta": slice(2, 6), "liver": slice(8, 14)}


def write_case(folder: Path, id: str, *organs: str) -> None:
    image = np.random.default_rng([*id.encode()]).integers(-200, 200, (16, 16, 16))
    write_volume(folder / "images" / f"{id}.nii.gz", Volume(image.astype(np.int16), AFFINE))
    for organ in organs:
        mask = np.zeros(image.shape, np.uint8)
        mask[BOXES[organ]] = 1
        write_volume(folder / "labels" / id / f"{organ}.nii.gz", Volume(mask, AFFINE))


@pytest.fixture
def make_project(tmp_path: Path, prepare_tiny):
    """make_project(case=(its organs, ...), ...) -> a study with these labelled cases."""

    def make(**labelled: tuple[str, ...]) -> Project:
        for id, organs in labelled.items():
            write_case(tmp_path / "train", id, *organs)
        write_case(tmp_path / "val", "v", "aorta")
        write_case(tmp_path / "test", "t", "liver")
        write_case(tmp_path / "many", "u")
        (tmp_path / "labels.json").write_text('{"aorta": 3, "liver": 7}')
        dataset = load_folders(
            tmp_path / "train", [tmp_path / "many"], tmp_path / "val", tmp_path / "test",
            tmp_path / "labels.json", partial=True,
        )  # fmt: skip
        return prepare_tiny(tmp_path / "work", dataset)

    return make


def train(project: Project, method: str):
    split = make_split(project.dataset)
    return train_run(project, project.load_recipe(), method, split, device="cpu")


def test_what_is_not_annotated_is_learned_and_scored_nowhere(make_project) -> None:
    project = make_project(a=("aorta", "liver"), b=("liver",))
    rows: list[dict] = []
    split = make_split(project.dataset)
    run = train_run(project, project.load_recipe(), "cps", split, device="cpu", observe=rows.append)
    scores = [row["dice"] for row in rows if row["kind"] == "validation"]
    assert scores
    assert all(math.isnan(dice["liver"]) and not math.isnan(dice["aorta"]) for dice in scores)
    aorta, liver = evaluate_run(run, device=torch.device("cpu"))
    assert (aorta.organ, math.isnan(aorta.dice)) == ("aorta", True)
    assert (liver.organ, math.isnan(liver.dice)) == ("liver", False)


@pytest.mark.parametrize("method", ["dvcl", "dtc", "cld"])
def test_methods_that_would_learn_wrong_are_refused(make_project, method: str) -> None:
    project = make_project(a=("aorta", "liver"), b=("liver",))
    with pytest.raises(InputError) as error:
        train(project, method)
    assert f"method {method}: 1 of 2 labelled cases lack organs, the first b;" in str(error.value)
    assert "train one of supervised, supervised_pair, dan, mean_teacher, ua_mt, cps." in str(
        error.value
    )


def test_an_organ_that_no_labelled_case_has_is_refused(make_project) -> None:
    project = make_project(a=("liver",), b=("liver",))
    with pytest.raises(InputError, match="no labelled case has a mask of aorta, so it cannot be"):
        train(project, "supervised")
