"""`import dvcl`: light, and its functions give what the commands write."""

from __future__ import annotations

import math
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import dvcl
from dvcl.commands.predict import predict_files
from dvcl.commands.report import runs_table
from dvcl.datasets import load_folders
from dvcl.splits import make_split
from dvcl.studies.finding import find_run
from dvcl.studies.members import Members
from dvcl.volume import Volume, read_label, write_volume

ROOT = Path(__file__).parents[1]
AFFINE = np.diag([-4.0, -4.0, 4.0, 1.0])
SPACING_MM = (4.0, 4.0, 4.0)


def scan(seed: int) -> np.ndarray:
    array = np.full((16, 16, 16), -1000, np.int16)
    array[2:14, 2:14, 2:14] = np.random.default_rng(seed).integers(0, 40, (12, 12, 12))
    return array


def cube() -> np.ndarray:
    label = np.zeros((16, 16, 16), np.uint8)
    label[4:10, 4:10, 4:10] = 1
    return label


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, prepare_tiny) -> Path:
    """A study with one run of two steps."""
    from dvcl.commands.train import train_run

    folder = tmp_path_factory.mktemp("api")
    for seed in range(4):
        write_volume(folder / f"few/images/p{seed}.nii.gz", Volume(scan(seed), AFFINE))
        write_volume(folder / f"few/labels/p{seed}.nii.gz", Volume(cube(), AFFINE))
    project = prepare_tiny(folder / "work", load_folders(folder / "few"))
    recipe = project.load_recipe()
    split = make_split(project.dataset, recipe.split)
    train_run(project, recipe, "supervised", split, device="cpu")
    return folder / "work"


def test_importing_it_loads_nothing_heavy() -> None:
    code = "import sys, dvcl; print(*{'torch', 'numpy', 'typer'} & set(sys.modules), dir(dvcl))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.startswith("['InputError'"), result.stdout + result.stderr


@pytest.mark.parametrize("name", dvcl.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(dvcl, name).__doc__


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'predict'"):
        _ = dvcl.predict


def test_a_prediction_is_that_of_the_command(work: Path, tmp_path: Path) -> None:
    path, mask = tmp_path / "a.nii.gz", tmp_path / "masks" / "a.nii.gz"
    write_volume(path, Volume(scan(9), AFFINE))
    model = dvcl.load(work, device="cpu")
    predict_files(
        Members.of(find_run(work)), {path: mask}, device=torch.device("cpu"), keep_largest=None
    )
    expected = read_label(mask)
    for found in (
        model.predict(path),
        model.predict(scan(9), affine=AFFINE),
        model.predict(scan(9), spacing_mm=SPACING_MM),
    ):
        np.testing.assert_array_equal(found.array, expected.array)
        np.testing.assert_allclose(found.affine, expected.affine)
        assert found.organs == {1: "label 1"}
    found.save(tmp_path / "saved.nii.gz")
    np.testing.assert_array_equal(read_label(tmp_path / "saved.nii.gz").array, expected.array)
    np.testing.assert_array_equal(found.mask("label 1"), expected.array == 1)
    with pytest.raises(dvcl.InputError, match="'liver' found, one of these expected: label 1"):
        found.mask("liver")


def test_a_setting_is_named_as_people_write_it(work: Path) -> None:
    run = find_run(work)
    odd = replace(run, method="bcp", recipe=replace(run.recipe, methods={"bcp": {"box": 2.0}}))
    with pytest.raises(dvcl.InputError, match=r"^methods\.bcp\.box: 2.0 found"):
        odd.build_method()


def test_a_report_counts_the_cases_that_a_run_learns_from(work: Path) -> None:
    run = find_run(work)
    split = replace(run.split, unlabelled=("x", "y"))
    for method, count in (("supervised", "0"), ("cps", "2")):
        table = runs_table({"a": replace(run, method=method, split=split)}, {"a": []})
        assert dict(zip(table.columns, table.rows[0], strict=True))["Unlabelled"] == count


def test_scans_unlike_those_of_the_training_are_doubted(work: Path) -> None:
    model = dvcl.load(work, device="cpu")
    assert model.predict(scan(9), spacing_mm=(40.0, 4.0, 4.0)).doubts


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "needs either affine or spacing_mm"),
        ({"affine": AFFINE, "spacing_mm": SPACING_MM}, "needs either affine or spacing_mm"),
        ({"spacing_mm": (1.0, 1.0)}, "3 numbers"),
    ],
)
def test_an_array_has_one_place(work: Path, given: dict, message: str) -> None:
    with pytest.raises(dvcl.InputError, match=message):
        dvcl.load(work, device="cpu").predict(scan(9), **given)


def test_scores_are_those_of_the_organs(tmp_path: Path) -> None:
    half = cube()
    half[4:7] = 0
    write_volume(tmp_path / "r.nii.gz", Volume(cube(), AFFINE))
    told = dvcl.LabelMap(half, AFFINE, {1: "liver", 2: "spleen"})
    for prediction, reference, how in (
        (told, tmp_path / "r.nii.gz", {}),
        (half, cube(), {"organs": {1: "liver", 2: "spleen"}, "spacing_mm": SPACING_MM}),
    ):
        scores = dvcl.evaluate(prediction, reference, **how)
        assert list(scores) == ["liver", "spleen"]
        assert scores["liver"]["dice"] == pytest.approx(2 / 3)
        assert scores["liver"]["reference_ml"] == pytest.approx(216 * 0.064)
        assert math.isnan(scores["spleen"]["dice"])


def test_organs_that_differ_are_refused() -> None:
    first = dvcl.LabelMap(cube(), AFFINE, {1: "liver"})
    with pytest.raises(dvcl.InputError, match="the same integers and names were expected"):
        dvcl.evaluate(first, dvcl.LabelMap(cube(), AFFINE, {1: "spleen"}))


def test_the_example_with_monai_runs_and_is_the_documented_one() -> None:
    path = ROOT / "examples" / "monai_training.py"
    losses = runpy.run_path(str(path))["train"](steps=2)
    assert len(losses) == 2
    assert all(map(math.isfinite, losses))
    source, page = path.read_text("utf-8"), (ROOT / "docs" / "api.md").read_text("utf-8")
    term = source.partition("def distance_term")[2].partition("\n\n\n")[0]
    assert f"def distance_term{term}" in page
