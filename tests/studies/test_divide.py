"""Splits of prepared studies, from the recipe and the command line to the file in a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from dvcl.cli import app
from dvcl.datasets import load_folders
from dvcl.errors import InputError
from dvcl.recipe import load_recipe
from dvcl.splits import Division, read_split
from dvcl.studies.divide import divide, run_name, shown_organs, tell_absent, with_division
from dvcl.studies.project import Project, open_project
from dvcl.volume import Volume, write_volume

AFFINE = np.diag([-4.0, -4.0, 4.0, 1.0])
WITH_CYST = ("c2", "c7")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, prepare_tiny) -> Path:
    """Ten labelled cases, two of them with a cyst, one without labels."""
    folder = tmp_path_factory.mktemp("divide")
    random = np.random.default_rng(0)
    for id in (*(f"c{n}" for n in range(10)), "u"):
        image = random.integers(-200, 200, (16, 16, 16)).astype(np.int16)
        part = "many" if id == "u" else "few/images"
        write_volume(folder / part / f"{id}.nii.gz", Volume(image, AFFINE))
        if id != "u":
            label = np.zeros(image.shape, np.uint8)
            label[2:6], label[10:12] = 1, 4 if id in WITH_CYST else 0
            write_volume(folder / "few" / "labels" / f"{id}.nii.gz", Volume(label, AFFINE))
    (folder / "labels.json").write_text('{"liver": 1, "cyst": 4, "aorta": 9}')
    dataset = load_folders(folder / "few", [folder / "many"], labels=folder / "labels.json")
    return prepare_tiny(folder / "work", dataset).folder


@pytest.fixture
def project(work: Path) -> Project:
    return open_project(work)


def organs_in(ids: tuple[str, ...]) -> bool:
    return bool(set(ids) & set(WITH_CYST))


def test_organs_come_from_the_prepared_label_maps(project: Project) -> None:
    store = project.store(project.load_recipe())
    shown = shown_organs(store, store.ids)
    assert shown["c2"] == {"liver", "cyst"}
    assert shown["c0"] == {"liver"}
    assert "u" not in shown


def test_every_seed_has_the_rare_organ_where_it_is_learned_and_validated(project: Project) -> None:
    plain = []
    for seed in range(8):
        recipe = with_division(project.load_recipe(), {"seed": seed, "labelled_cases": 2})
        split = divide(project, recipe)
        assert organs_in(split.labelled)
        assert organs_in(split.validation)
        plain.append(divide(project, with_division(recipe, {"stratify": False})))
    assert not all(organs_in(split.labelled) and organs_in(split.validation) for split in plain)


def test_what_a_part_lacks_is_told(project: Project) -> None:
    store = project.store(project.load_recipe())
    split = divide(project, project.load_recipe())
    lacking = replace(split, labelled=("c0", "c1"), unlabelled=("c2", "u"), validation=("c7",))
    assert tell_absent(lacking, store) == [
        "No labelled case (2 in all) shows cyst, aorta: it cannot be learned.",
        "No validation case (1 in all) shows aorta: it does not count when the best weights are "
        "chosen.",
    ]


def test_the_command_line_goes_before_the_recipe() -> None:
    recipe = load_recipe("amos22-10")
    assert with_division(recipe, {"seed": None, "folds": None}) == recipe
    assert with_division(recipe, {"seed": 4}).split == replace(recipe.split, seed=4)
    few = with_division(recipe, {"labelled_cases": 5}).split
    assert few == Division(test_share=0.2, validation_share=0.2, labelled_cases=5)
    with pytest.raises(InputError, match="fold: 1 found, 0 to 0 expected"):
        with_division(recipe, {"fold": 1})


def test_every_fold_has_runs_of_its_own() -> None:
    recipe = load_recipe("demo")
    assert run_name(recipe) == "demo"
    assert run_name(with_division(recipe, {"folds": 5, "fold": 3})) == "demo-fold-3"


def test_a_fold_is_trained_and_its_split_saved_and_used_again(work: Path) -> None:
    command = ["train", str(work), "--method", "supervised", "--device", "cpu"]
    result = CliRunner().invoke(app, [*command, "--folds", "5", "--fold", "1"])
    assert result.exit_code == 0, result.output
    assert "Fold 1 of 5" in result.output
    assert "No labelled case (6 in all) shows aorta: it cannot be learned." in result.output
    run = work / "runs" / "small-ct-fold-1" / "supervised" / "seed-0"
    split = read_split(run / "split.json")
    assert len(split.test) == 2
    again = CliRunner().invoke(
        app, [*command, "--split", str(run / "split.json"), "--name", "again"]
    )
    assert again.exit_code == 0, again.output
    saved = work / "runs" / "again" / "supervised" / "seed-0" / "split.json"
    assert read_split(saved) == split


@pytest.mark.parametrize(
    "options",
    [["--labelled-cases", "2"], ["--folds", "5"], ["--no-stratify"], ["--split-seed", "1"]],
)
def test_a_given_split_is_not_divided(options: list[str], work: Path) -> None:
    result = CliRunner().invoke(app, ["train", str(work), "--split", "split.json", *options])
    assert isinstance(result.exception, InputError)
    assert "--split says what each case is for" in str(result.exception)
