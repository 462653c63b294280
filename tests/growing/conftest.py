"""Studies of tiny scans that grow."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dvcl.volume import Volume, write_volume

AFFINE = np.diag([-4.0, -4.0, 4.0, 1.0])
ORGANS = {"aorta": 1, "liver": 2, "spleen": 3}
BOXES = {"aorta": slice(1, 5), "liver": slice(6, 11), "spleen": slice(12, 15)}
TINY = (
    "preprocessing.spacing_mm=[4,4,4]", "sampling.patch=[16,16,16]", "network.levels=2",
    "network.base_channels=2", "training.iterations=2", "training.validate_every=1",
    "window.size=[16,16,16]", "window.stride=[16,16,16]",
)  # fmt: skip

Dvcl = Callable[..., str]


def write_scan(folder: Path, id: str, organs: str | None = "aorta liver", seed: str = "") -> Path:
    """A scan that the seed (the id) decides, with the label map of these organs or without one."""
    random = np.random.default_rng([*(seed or id).encode()])
    voxels = random.integers(-200, 200, (16, 16, 16)).astype(np.int16)
    label = np.zeros(voxels.shape, np.uint8)
    for organ, box in BOXES.items():
        voxels[box, 2:14, 2:14] += 100 * ORGANS[organ]
        if organ in (organs or "").split():
            label[box, 2:14, 2:14] = ORGANS[organ]
    image = folder / id if organs is None else folder / "images" / id
    write_volume(image.with_name(f"{id}.nii.gz"), Volume(voxels, AFFINE))
    if organs is not None:
        write_volume(folder / "labels" / f"{id}.nii.gz", Volume(label, AFFINE))
    return image.with_name(f"{id}.nii.gz")


@pytest.fixture
def dvcl(run) -> Dvcl:
    """dvcl(*words, code=0) -> what the command says, on one line."""

    def call(*words: object, code: int = 0) -> str:
        found, out, err = run(*words)
        assert found == code, out + err
        return " ".join((out + err).split())

    return call


@pytest.fixture
def scan() -> Callable[..., Path]:
    """scan(folder, id, organs="aorta liver", seed=id) -> the image file, see `write_scan`."""
    return write_scan


@pytest.fixture
def prepare(dvcl: Dvcl) -> Callable[..., str]:
    """prepare(work, *words) -> what `dvcl prepare` says, for runs of two steps."""

    def call(work: Path, *words: object, code: int = 0) -> str:
        changes = (f"--set={change}" for change in TINY)
        return dvcl("prepare", work, "--workers=1", *words, *changes, code=code)

    return call


@pytest.fixture
def study(tmp_path: Path, prepare: Callable[..., str]) -> Path:
    """few/ with a and b, many/ with u and w, validation/ with v, test/ with t; work/ made of it."""
    for id in "ab":
        write_scan(tmp_path / "few", id)
    for id in "uw":
        write_scan(tmp_path / "many", id, None)
    write_scan(tmp_path / "validation", "v")
    write_scan(tmp_path / "test", "t")
    (tmp_path / "labels.json").write_text('{"1": "aorta", "2": "liver"}')
    prepare(
        tmp_path / "work", "--labelled", tmp_path / "few", "--unlabelled", tmp_path / "many",
        "--validation", tmp_path / "validation", "--test", tmp_path / "test",
    )  # fmt: skip
    return tmp_path


@pytest.fixture
def train(dvcl: Dvcl) -> Callable[..., str]:
    """train(work, *words) -> what `dvcl train` says."""

    def call(work: Path, *words: object, method: str = "supervised", code: int = 0) -> str:
        return dvcl("train", work, f"--method={method}", "--device=cpu", *words, code=code)

    return call
