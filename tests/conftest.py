"""Fixtures for every test: small volumes on disk, and the real ones where they are present."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dvcl import cli
from dvcl.datasets import Dataset
from dvcl.studies.project import Project, open_project, prepare
from dvcl.volume import Volume, write_volume

AFFINE = np.array([[-2.0, 0, 0, 10], [0, -3.0, 0, 20], [0, 0, 4.0, -30], [0, 0, 0, 1]])

WriteImage = Callable[..., Path]
WriteCase = Callable[..., tuple[Path, Path]]
PrepareTiny = Callable[[Path, Dataset], Project]

# Two steps of a network that fits scans of 16 x 16 x 16 voxels of 4 mm.
TINY = (
    "preprocessing.spacing_mm=[4.0, 4.0, 4.0]",
    "sampling.patch=[16, 16, 16]",
    "network.levels=2",
    "network.base_channels=2",
    "training.iterations=2",
    "training.validate_every=1",
    "window.size=[16, 16, 16]",
    "window.stride=[16, 16, 16]",
)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real volumes beside the project; the test is skipped without it."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real volumes here")
    return folder


@pytest.fixture(scope="session")
def prepare_tiny() -> PrepareTiny:
    """prepare_tiny(folder, dataset) -> the study in it, for runs of two steps."""

    def make(folder: Path, dataset: Dataset) -> Project:
        prepare(folder, dataset, "small-ct", changes=TINY, workers=1)
        return open_project(folder)

    return make


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """run(*words) -> exit code, standard output, standard error of `dvcl`, in this process."""

    def run(*words: object) -> tuple[int, str, str]:
        sys.argv = ["dvcl", *map(str, words)]
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 0
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def write_image() -> WriteImage:
    """write_image(path, array=..., affine=...) -> path of a small int16 volume."""

    def write(
        path: Path, array: np.ndarray | None = None, affine: np.ndarray = AFFINE, seed: int = 0
    ) -> Path:
        if array is None:
            noise = np.random.default_rng([seed, *path.name.encode()])
            array = noise.integers(-1000, 1000, (4, 5, 6)).astype(np.int16)
        write_volume(path, Volume(array, affine))
        return path

    return write


@pytest.fixture
def write_label(write_image: WriteImage) -> WriteImage:
    """write_label(path, array=..., affine=...) -> path of a map with 0, 1 and 2."""

    def write(path: Path, array: np.ndarray | None = None, affine: np.ndarray = AFFINE) -> Path:
        if array is None:
            array = (np.arange(120).reshape(4, 5, 6) % 3).astype(np.uint8)
        return write_image(path, array, affine)

    return write


@pytest.fixture
def write_case(write_image: WriteImage, write_label: WriteImage) -> WriteCase:
    """write_case(folder, "a") -> folder/images/a.nii.gz and folder/labels/a.nii.gz."""

    def write(folder: Path, id: str) -> tuple[Path, Path]:
        image = write_image(folder / "images" / f"{id}.nii.gz")
        return image, write_label(folder / "labels" / f"{id}.nii.gz")

    return write


@pytest.fixture(autouse=True, scope="session")
def usual_interrupts() -> None:
    """Ctrl-C interrupts, as on a terminal; a shell starts jobs in its background deaf to it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
