"""A study of tiny scans with a trained, scored run, and copies of it to spoil."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dvcl import cli
from dvcl.datasets import load_folders
from dvcl.volume import Volume, write_volume

AFFINE = np.diag([-4.0, -4.0, 4.0, 1.0])


@pytest.fixture(scope="session")
def whole_study(tmp_path_factory: pytest.TempPathFactory, prepare_tiny) -> Path:
    """scans/ and work/: two labelled cases, one without labels, one to validate, two to test."""
    folder = tmp_path_factory.mktemp("bad_days")
    random = np.random.default_rng(0)
    for id in ("few/a", "few/b", "many/u", "validation/v", "test/s", "test/t"):
        part, name = id.split("/")
        label = np.zeros((16, 16, 16), np.uint8)
        label[4:10, 4:10, 4:12] = 1
        image = (200 * label + random.integers(-200, 100, label.shape)).astype(np.int16)
        for kind, voxels in (("images", image), ("labels", label)):
            if part != "many":
                path = folder / "scans" / part / kind / f"{name}.nii.gz"
                write_volume(path, Volume(voxels, AFFINE))
            elif kind == "images":
                write_volume(folder / "scans" / part / f"{name}.nii.gz", Volume(voxels, AFFINE))
    scans = folder / "scans"
    dataset = load_folders(
        scans / "few", [scans / "many"], validation=scans / "validation", test=scans / "test"
    )
    prepare_tiny(folder / "work", dataset)
    call("train", folder / "work", "--method=supervised", "--name=done", "--device=cpu")
    call("evaluate", folder / "work/runs/done/supervised/seed-0", "--device=cpu")
    return folder


def call(*words: object) -> None:
    sys.argv = ["dvcl", *map(str, words)]
    with pytest.raises(SystemExit, match="0"):
        cli.main()


@pytest.fixture
def study(whole_study: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil; its records name the copy's own folders."""
    return copy_study(whole_study, tmp_path / "study")


def copy_study(source: Path, target: Path) -> Path:
    shutil.copytree(source, target)
    for path in target.rglob("*.json"):
        path.write_text(path.read_text().replace(str(source), str(target)))
    return target


Run = Callable[..., tuple[int, str, str]]
