"""`dvcl calibrate`, and predictions that carry its limits."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dvcl.commands.train import train_run
from dvcl.datasets import load_folders
from dvcl.splits import Division, make_split
from dvcl.studies.project import Project
from dvcl.volume import Volume, write_volume

Command = Callable[..., tuple[int, str, str]]
AFFINE = np.diag([4.0, -4.0, 4.0, 1.0])
CASES = 10
LEARNS = ("training.iterations=40", "training.rate=0.3", "training.warmup=5",
          "training.validate_every=20", "network.base_channels=4")  # fmt: skip


def scan(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A bright cube in the body, of a size of its own, and the cube."""
    random = np.random.default_rng(seed)
    array = np.full((16, 16, 16), -1000, np.int16)
    array[1:15, 1:15, 1:15] = random.integers(-60, 0, (14, 14, 14))
    label = np.zeros(array.shape, np.uint8)
    label[4:12, 4:12, 4 : 7 + seed % 5] = 1
    array[label > 0] += 200
    return array, label


def study(folder: Path, prepare_tiny, prefix: str, first: int) -> Project:
    """Of ten scans, whose cases are called <prefix>0 and so on."""
    for number in range(CASES):
        image, label = (Volume(array, AFFINE) for array in scan(first + number))
        write_volume(folder / "train" / "images" / f"{prefix}{number}.nii.gz", image)
        write_volume(folder / "train" / "labels" / f"{prefix}{number}.nii.gz", label)
    dataset = load_folders(folder / "train")
    # As in a data set that leaves open which case is for what.
    dataset = replace(dataset, cases=tuple(replace(case, role=None) for case in dataset.cases))
    return prepare_tiny(folder / "work", dataset)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, prepare_tiny) -> dict[str, Path]:
    """Two seeds with five test cases, two folds of a cross-validation, one run without test.

    And two of other studies: the scans under other ids, and other scans under the same ids.
    """
    project, renamed, strange = (
        study(tmp_path_factory.mktemp("calibrate"), prepare_tiny, *own)
        for own in (("p", 0), ("q", 0), ("p", 100))
    )
    usual = Division(validation_share=0.2, test_share=0.5)

    def train(name: str, seed: int, division: Division = usual, of: Project = project) -> Path:
        split = make_split(project.dataset, division)
        prefix = of.dataset.cases[0].id[0]
        ids = {role: tuple(prefix + id[1:] for id in part) for role, part in split.parts().items()}
        recipe = of.load_recipe(None, LEARNS)
        return train_run(
            of, recipe, "supervised", replace(split, **ids), seed=seed, name=name, device="cpu"
        ).folder

    return {
        "one": train("usual", 0),
        "two": train("usual", 1),
        "fold 0": train("fold-0", 0, Division(validation_share=0.2, folds=2, fold=0)),
        "fold 1": train("fold-1", 0, Division(validation_share=0.2, folds=2, fold=1)),
        "untested": train("untested", 0, Division(validation_share=0.2)),
        "same scans": train("renamed", 2, of=renamed),
        "same ids": train("strange", 0, of=strange),
    }


def organ_of(out: Path) -> Mapping[str, float]:
    record = json.loads((out / "new.doubts.json").read_text())
    return record["organs"]["label 1"]


def predict(run: Command, folder: Path, *words: object) -> tuple[Mapping[str, float], str]:
    image = folder / "new.nii.gz"
    if not image.exists():
        write_volume(image, Volume(scan(23)[0], AFFINE))
    code, out, err = run(
        "predict", *words, image, "--out", folder / "masks", "--device=cpu",
        "--trust", "--no-pictures",
    )  # fmt: skip
    assert code == 0, err
    return organ_of(folder / "masks"), out


def test_predictions_carry_the_limits_of_held_out_cases(runs, run: Command, tmp_path: Path) -> None:
    code, out, err = run("calibrate", runs["one"], "--level=0.8", "--device=cpu")
    assert code == 0, err
    assert "with 80%" in " ".join(out.split())
    record = json.loads((runs["one"] / "calibration.json").read_text())
    assert (record["level"], record["held_out"], record["is_cross"]) == (0.8, "test", False)
    cases = record["organs"]["label 1"]["cases"]
    tested = json.loads((runs["one"] / "run.json").read_text())["settings"]["split"]["test"]
    assert sorted(case["case"] for case in cases) == sorted(tested)
    numbers = record["organs"]["label 1"]["numbers"]
    errors = [abs(c["reference_ml"] - c["predicted_ml"]) / c["predicted_ml"] for c in cases]
    # Of five cases the fifth: 0.8 of six is 4.8.
    assert numbers["volume_error"] == pytest.approx(max(errors))
    assert numbers["dice_at_least"] == min(case["dice"] for case in cases)
    organ, _ = predict(run, tmp_path, runs["one"])
    assert organ["volume_high_ml"] == pytest.approx(organ["volume_ml"] * (1 + max(errors)))
    assert organ["volume_low_ml"] == pytest.approx(organ["volume_ml"] * max(0, 1 - max(errors)))
    assert organ["dice_at_least"] == numbers["dice_at_least"]
    assert organ["limits_hold"] == 0.8
    assert 0 <= organ["expected_dice"] <= 1
    assert organ["expected_dice_error"] == numbers["expected_dice_error"]
    (row,) = csv.DictReader((tmp_path / "masks" / "volumes.csv").read_text().splitlines())
    for name in ("volume_ml", "volume_low_ml", "volume_high_ml", "expected_dice", "agreement"):
        assert float(row[name]) == pytest.approx(organ[name], abs=1e-4)
    organ, told = predict(run, tmp_path, runs["one"], "--fast")
    assert "calibration.json: is of other weights, windows, mirroring or clean-up" in told
    assert "volume_low_ml" not in organ
    assert "agreement" in organ


def test_a_calibrated_run_is_scored_as_any_other(runs, run: Command) -> None:
    """Its scores have references and no clean-up, so nobody is to calibrate it otherwise."""
    assert run("calibrate", runs["one"], "--level=0.8", "--device=cpu")[0] == 0
    code, said, err = run("evaluate", runs["one"], "--device=cpu")
    assert code == 0, err
    assert "calibration.json" not in said


def test_masks_of_before_a_calibration_get_its_limits(runs, run: Command, tmp_path: Path) -> None:
    words = (runs["two"], "--skip-existing")
    assert "limits_hold" not in predict(run, tmp_path, *words)[0]
    assert run("calibrate", runs["two"], "--level=0.8", "--device=cpu")[0] == 0
    assert predict(run, tmp_path, *words)[0]["limits_hold"] == 0.8
    assert "Label maps written: 0" in predict(run, tmp_path, *words)[1]


def test_seeds_are_calibrated_together_in_any_order(runs, run: Command, tmp_path: Path) -> None:
    code, _, err = run("calibrate", runs["one"], runs["two"], "--level=0.8", "--device=cpu")
    assert code == 0, err
    (path,) = runs["one"].glob("calibration-*.json")
    assert json.loads(path.read_text())["is_cross"] is False
    organ, told = predict(run, tmp_path, runs["two"], runs["one"])
    assert organ["limits_hold"] == 0.8
    assert "calibration" not in told


def test_folds_are_calibrated_on_all_cases(runs, run: Command, tmp_path: Path) -> None:
    folds = runs["fold 0"], runs["fold 1"]
    code, _, err = run("calibrate", *folds, "--level=0.9", "--device=cpu")
    assert code == 0, err
    (path,) = runs["fold 0"].glob("calibration-*.json")
    record = json.loads(path.read_text())
    cases = record["organs"]["label 1"]["cases"]
    assert record["is_cross"] is True
    assert len(cases) == len({case["case"] for case in cases}) == CASES
    assert [case["member"] for case in cases] == [0] * 5 + [1] * 5
    alone = []
    for fold in folds:
        (fold / "calibration.json").unlink(missing_ok=True)
        alone.append(predict(run, tmp_path, fold)[0]["volume_ml"])
    organ, _ = predict(run, tmp_path, *folds)
    assert not list((tmp_path / "masks").glob("*member*"))
    bounds = [
        (alone[c["member"]], abs(c["reference_ml"] - c["predicted_ml"]) / c["predicted_ml"])
        for c in cases
    ]
    # Of ten cases the tenth: 0.9 of eleven is 9.9.
    low, high = (
        pick(v * (1 + sign * e) for v, e in bounds) for pick, sign in ((min, -1), (max, 1))
    )
    assert organ["volume_low_ml"] == pytest.approx(max(0, low))
    assert organ["volume_high_ml"] == pytest.approx(high)


@pytest.mark.parametrize(("other", "is_cross"), [("same scans", False), ("same ids", True)])
def test_cases_of_two_studies_are_told_apart_by_their_scans(
    other: str, is_cross: bool, runs, run: Command
) -> None:
    before = {*runs["one"].glob("calibration-*.json")}
    code, _, err = run("calibrate", runs["one"], runs[other], "--level=0.8", "--device=cpu")
    assert code == 0, err
    (path,) = {*runs["one"].glob("calibration-*.json")} - before
    record = json.loads(path.read_text())
    assert record["is_cross"] is is_cross
    assert len(record["organs"]["label 1"]["cases"]) == (CASES if is_cross else CASES // 2)


def test_evaluation_counts_how_often_probabilities_are_right(runs, run: Command) -> None:
    code, out, err = run("evaluate", runs["one"], "--device=cpu")
    assert code == 0, err
    record = json.loads((runs["one"] / "reliability.json").read_text())
    organ = record["organs"]["label 1"]
    gaps = [abs(a - b) for a, b in zip(organ["confidence"], organ["hits"], strict=True)]
    assert organ["error"] == pytest.approx(sum(gaps) / sum(organ["voxels"]))
    tested = json.loads((runs["one"] / "run.json").read_text())["settings"]["split"]["test"]
    labels = [scan(int(case.removeprefix("p")))[1] for case in tested]
    assert sum(organ["hits"]) + organ["overlooked"] == sum(map(np.sum, labels))
    assert f"Calibration error: {100 * organ['error']:.2f} %" in out
    assert run("report", runs["one"].parents[3])[0] == 0
    page = (runs["one"].parents[3] / "report" / "index.html").read_text()
    assert "Are probabilities right?" in page


@pytest.mark.parametrize(
    ("names", "options", "expected"),
    [
        (["one"], ["--level=0.95"], "5 test cases; limits that hold with 95% take 19."),
        (["untested"], [], "has no test case with a label, on which limits could be learned"),
        (["one", "fold 0"], ["--level=0.5"], "are test cases of some of the runs and not of all"),
        (["one"], ["--level=1.5"], "--level: 1.5 found"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(
    names: list[str], options: list[str], expected: str, runs, run: Command
) -> None:
    code, _, err = run("calibrate", *(runs[name] for name in names), *options, "--device=cpu")
    assert code == 2
    assert expected in " ".join(err.split())


def test_a_damaged_calibration_is_named(runs, run: Command, tmp_path: Path) -> None:
    (runs["untested"] / "calibration.json").write_text('{"level": 2}')
    write_volume(tmp_path / "new.nii.gz", Volume(scan(23)[0], AFFINE))
    words = ("predict", runs["untested"], tmp_path / "new.nii.gz", "--out", tmp_path / "masks")
    code, _, err = run(*words, "--device=cpu")
    assert code == 2
    assert "calibration.json: is not as this program writes it" in err
