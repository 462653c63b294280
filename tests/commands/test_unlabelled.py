"""`dvcl next` and `dvcl sheet` on a tiny study."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dvcl.commands.train import train_run
from dvcl.datasets import load_folders
from dvcl.splits import make_split
from dvcl.studies.project import open_project
from dvcl.volume import Volume, read_label, write_volume

Command = Callable[..., tuple[int, str, str]]
AFFINE = np.diag([4.0, -4.0, 4.0, 1.0])
LEARNS = ("training.iterations=30", "training.rate=0.3", "training.warmup=5",
          "training.validate_every=30", "network.base_channels=4")  # fmt: skip


def scan(seed: int, noise: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """A bright cube in the body, and the cube."""
    array = np.full((16, 16, 16), -1000, np.int16)
    array[1:15, 1:15, 1:15] = np.random.default_rng(seed).integers(0, noise, (14, 14, 14))
    label = np.zeros(array.shape, np.uint8)
    label[4:11, 4:11, 4:11] = 7
    array[label > 0] += 200
    return array, label


def write_pair(folder: Path, name: str, seed: int) -> None:
    image, label = (Volume(array, AFFINE) for array in scan(seed))
    write_volume(folder / "images" / f"{name}.nii.gz", image)
    write_volume(folder / "labels" / f"{name}.nii.gz", label)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, prepare_tiny) -> Path:
    """work/ with the runs one, two and pair; pile/ of four scans, the last one of the labelled."""
    folder = tmp_path_factory.mktemp("unlabelled")
    for seed in range(3):
        write_pair(folder / "train", f"p{seed}", seed)
    for seed in range(3, 6):
        write_pair(folder / "val", f"v{seed}", seed)
    for seed in range(10, 13):
        noise = 300 if seed == 12 else 40
        image = Volume(scan(seed, noise)[0], AFFINE)
        write_volume(folder / "pile" / f"u{seed}.nii.gz", image)
    shutil.copy(folder / "train" / "images" / "p0.nii.gz", folder / "pile" / "z.nii.gz")
    (folder / "train" / "labels.json").write_text('{"7": "cube"}')
    project = prepare_tiny(
        folder / "work", load_folders(folder / "train", validation=folder / "val")
    )
    recipe, split = project.load_recipe(None, LEARNS), make_split(project.dataset)
    for name, method, seed in (("one", "supervised", 0), ("two", "supervised", 1),
                               ("pair", "supervised_pair", 0)):  # fmt: skip
        train_run(project, recipe, method, split, seed=seed, name=name, device="cpu")
    return folder


def runs_of(study: Path, *names: str) -> list[Path]:
    return [next((study / "work" / "runs" / name).glob("*/seed-*")) for name in names]


@pytest.fixture
def following(study: Path, run: Command, tmp_path: Path):
    """following(*names of runs, options) -> the record of `dvcl next`, what it says."""

    def following(*words: str, code: int = 0) -> tuple[dict, str]:
        names = [word for word in words if not word.startswith("-")]
        options = [word for word in words if word.startswith("-")]
        found, out, err = run(
            "next", *runs_of(study, *names), "--unlabelled", study / "pile", "--device=cpu",
            "--out", tmp_path / "out", *options,
        )  # fmt: skip
        assert found == code, err
        record = tmp_path / "out" / "next.json"
        told = " ".join((out + err).split())
        return (json.loads(record.read_text()) if record.exists() else {}), told

    return following


@pytest.mark.parametrize("names", [("one",), ("one", "two"), ("pair",)], ids="+".join)
def test_chosen_scans_lie_ready_to_be_corrected_and_prepared(
    names, following, run: Command, study: Path, tmp_path: Path
) -> None:
    record, told = following(*names, "-n2")
    assert "Left out, as the runs have them with a label" in told
    assert "z.nii.gz" in told
    ranked = record["scans"]
    assert [one["rank"] for one in ranked] == [1, 2, 3]
    assert [one["chosen"] for one in ranked] == [True, True, False]
    assert sorted(Path(one["scan"]).name for one in ranked) == [
        f"u{n}.nii.gz" for n in (10, 11, 12)
    ]
    for one in ranked:
        assert 0 <= one["uncertainty"] <= 1
        assert 0 <= one["disagreement"] <= 1
        assert one["reason"]
    ready = tmp_path / "out" / "to-correct"
    for one in ranked[:2]:
        assert one["reason"] in told
        name = Path(one["scan"]).name
        assert (ready / "images" / name).read_bytes() == Path(one["scan"]).read_bytes()
        assert np.array_equal(
            read_label(ready / "labels" / name).array, read_label(Path(one["mask"])).array
        )
    assert (tmp_path / "out" / "next.png").exists()
    work = shutil.copytree(study / "work", tmp_path / "work")
    code, _, err = run("prepare", work, "--add", ready)
    assert code == 0, err
    dataset = open_project(work).dataset
    added = {Path(one["scan"]).name.removesuffix(".nii.gz") for one in ranked[:2]}
    labelled = {case.id for case in dataset.with_role("labelled")}
    assert labelled == added | {"p0", "p1", "p2"}


def test_the_scan_unlike_the_others_comes_first(following) -> None:
    record, _ = following("pair", "-n1")
    assert Path(record["scans"][0]["scan"]).name == "u12.nii.gz"


def test_masks_are_made_once_and_corrections_never_replaced(following, tmp_path: Path) -> None:
    following("one", "-n1")
    made = [path.stat().st_mtime_ns for path in (tmp_path / "out" / "masks").glob("u*.nii.gz")]
    _, told = following("one", "-n1", code=2)
    assert "to-correct: is there already" in told
    shutil.rmtree(tmp_path / "out" / "to-correct")
    following("one", "-n3")
    assert made == [
        path.stat().st_mtime_ns for path in (tmp_path / "out" / "masks").glob("u*.nii.gz")
    ]


def test_more_than_there_are_and_nothing_but_labelled_scans_are_refused(
    following, run: Command, study: Path, tmp_path: Path
) -> None:
    _, told = following("one", "-n4", code=2)
    assert "-n 4: 1 to 3 expected" in told
    code, _, err = run("next", *runs_of(study, "one"), "--unlabelled", study / "train", "--out",
                       tmp_path / "none", "--device=cpu")  # fmt: skip
    assert code == 2
    assert "every scan there has a label already" in " ".join(err.split())
    assert not (tmp_path / "out" / "to-correct").exists()


def test_a_damaged_scan_is_named_before_any_work(run: Command, study: Path, tmp_path: Path) -> None:
    pile = tmp_path / "pile"
    shutil.copytree(study / "pile", pile)
    (pile / "broken.nii.gz").write_bytes(b"no volume")
    code, _, err = run("next", *runs_of(study, "one"), "--unlabelled", pile, "--out",
                       tmp_path / "out", "--device=cpu", "-n1")  # fmt: skip
    assert code == 2
    assert "broken.nii.gz" in err
    assert not (tmp_path / "out" / "masks").exists()
