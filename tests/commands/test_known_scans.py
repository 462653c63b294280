"""Which scans of a pile, and which validation cases, count for runs of other splits, studies."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dvcl.commands.train import train_run
from dvcl.datasets import load_folders
from dvcl.splits import Split
from dvcl.studies.run import Run
from dvcl.volume import Volume, write_volume
from dvcl.volume.turning import orient

Command = Callable[..., tuple[int, str, str]]
AFFINE = np.diag([4.0, -4.0, 4.0, 1.0])


def scan(seed: int) -> Volume:
    array = np.full((16, 16, 16), -1000, np.int16)
    array[1:15, 1:15, 1:15] = np.random.default_rng(seed).integers(0, 240, (14, 14, 14))
    return Volume(array, AFFINE)


def write_pairs(folder: Path, **seeds: int) -> None:
    label = np.zeros((16, 16, 16), np.uint8)
    label[4:11, 4:11, 4:11] = 1
    for name, seed in seeds.items():
        write_volume(folder / "images" / f"{name}.nii.gz", scan(seed))
        write_volume(folder / "labels" / f"{name}.nii.gz", Volume(label, AFFINE))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, prepare_tiny) -> dict[str, Run]:
    """One of a study, one of another split, and of another study that calls the scans otherwise."""
    folder = tmp_path_factory.mktemp("known")
    write_pairs(folder / "train", p0=0, p1=1)
    write_pairs(folder / "val", v2=2, v3=3, v4=4)
    write_pairs(folder / "test", t5=5)
    write_pairs(folder / "train2", p0=0)
    # The scan 4 is the other study's v2, and its v4 is a scan that the first one does not have.
    write_pairs(folder / "val2", v2=4, v4=9)

    def train(name: str, labelled: str, validation: str, second: str = "") -> Run:
        dataset = load_folders(
            folder / f"train{second}", validation=folder / f"val{second}",
            test=None if second else folder / "test",
        )  # fmt: skip
        project = prepare_tiny(folder / f"work{second}", dataset)
        tested = () if second else ("t5",)
        split = Split((*labelled.split(),), (), (*validation.split(),), tested, seed=0)
        recipe = project.load_recipe(None, ())
        return train_run(project, recipe, "supervised", split, name=name, device="cpu")

    return {
        "one": train("one", "p0 p1", "v2 v3 v4"),
        "fold": train("fold", "p0 p1 v2", "v3 v4"),
        "far": train("far", "p0", "v2 v4", second="2"),
    }


@pytest.mark.parametrize(
    ("named", "known", "kept"),
    [
        (("one",), {0: "labelled", 3: "validation", 5: "test"}, [6, 9]),
        (("one", "far"), {0: "labelled", 9: "of the second", 4: "validation"}, [6]),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else "",
)
@pytest.mark.parametrize("code", ["RAS", "PIL"])
def test_scans_with_a_label_are_left_out_under_whatever_name_and_in_any_orientation(
    runs, run: Command, tmp_path: Path, named, known, kept, code
) -> None:
    for seed in (*known, *kept):
        write_volume(tmp_path / "pile" / f"x{seed}.nii.gz", orient(scan(seed), code))
    found, out, err = run(
        "sheet", *(runs[name].folder for name in named), "--unlabelled", tmp_path / "pile",
        "--out", tmp_path / "out", "--device=cpu",
    )  # fmt: skip
    assert found == 0, err
    rows = csv.DictReader((tmp_path / "out" / "sheet.csv").read_text().splitlines())
    assert [row["scan"] for row in rows] == [f"x{seed}" for seed in kept]
    told = "".join((err + out).split())  # long lines are folded
    assert all(f"x{seed}.nii.gz" in told for seed in known)


@pytest.mark.parametrize(
    ("named", "validated"),
    [
        (("one",), ["v2", "v3", "v4"]),
        (("one", "fold"), ["v3", "v4"]),
        (("one", "far"), ["v4"]),
        (("fold", "far"), ["v4"]),
        (("far", "one"), ["v2"]),
    ],
    ids="+".join,
)
def test_validation_cases_count_that_all_runs_share_and_none_has_learned_from(
    runs, run: Command, tmp_path: Path, named, validated
) -> None:
    write_volume(tmp_path / "pile" / "x.nii.gz", scan(6))
    found, _, err = run(
        "sheet", *(runs[name].folder for name in named), "--unlabelled", tmp_path / "pile",
        "--out", tmp_path / "out", "--device=cpu",
    )  # fmt: skip
    assert found == 0, err
    masks = (tmp_path / "out" / "validation").glob("v?.nii.gz")
    assert sorted(path.name.partition(".")[0] for path in masks) == validated
