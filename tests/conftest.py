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
WriteSeries = Callable[..., Path]
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


@pytest.fixture
def write_series() -> WriteSeries:
    """write_series(folder, axes, array, reverse=True, Tag=value) -> the folder, a CT series.

    ``axes`` are those of voxels (x, y, z) as columns, in DICOM's LPS world; ``reverse`` counts and
    names the slices the other way round.
    """
    dicom = pytest.importorskip("pydicom")

    def write(
        folder: Path,
        axes: np.ndarray = np.eye(3),  # noqa: B008
        array: np.ndarray = np.zeros((7, 9, 8), np.int16),  # noqa: B008
        spacing_mm: tuple[float, ...] = (2.5, 0.7, 0.9),
        reverse: bool = False,
        **tags: object,
    ) -> Path:
        folder.mkdir(parents=True)
        for place, plane in enumerate(array):
            number = len(array) - place if reverse else 1 + place
            position = np.array([-40, 15, 99]) + place * spacing_mm[0] * axes[:, 2]
            dataset = dicom.Dataset()
            values = {
                "SpecificCharacterSet": "ISO_IR 100", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
                "SOPInstanceUID": f"1.2.826.0.1.3680043.8.498.7.{place + 1}",
                "StudyInstanceUID": "1.2.826.0.1.3680043.8.498.8",
                "SeriesInstanceUID": "1.2.826.0.1.3680043.8.498.9",
                "FrameOfReferenceUID": "1.2.826.0.1.3680043.8.498.10",
                "PatientName": "Müller^Jörg", "PatientID": "P1", "PatientBirthDate": "19600102",
                "PatientSex": "M", "StudyDate": "20250102", "StudyTime": "120000",
                "StudyID": "S1", "AccessionNumber": "", "ReferringPhysicianName": "",
                "SeriesNumber": 3, "InstanceNumber": number, "Modality": "CT",
                "ImageType": ["ORIGINAL", "PRIMARY"], "Rows": plane.shape[0],
                "Columns": plane.shape[1], "SamplesPerPixel": 1,
                "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16,
                "BitsStored": 16, "HighBit": 15, "PixelRepresentation": 1, "RescaleSlope": 1,
                "RescaleIntercept": 0, "PixelSpacing": list(spacing_mm[1:]),
                "SliceThickness": spacing_mm[0],
                "ImageOrientationPatient": np.round(axes[:, :2].T.ravel(), 9).tolist(),
                "ImagePositionPatient": np.round(position, 6).tolist(),
                "PixelData": plane.astype(np.int16).tobytes(),
            } | tags  # fmt: skip
            for tag, value in values.items():
                if value is not None:
                    setattr(dataset, tag, value)
            dataset.file_meta = dicom.dataset.FileMetaDataset()
            dataset.file_meta.TransferSyntaxUID = dicom.uid.ExplicitVRLittleEndian
            dataset.save_as(folder / f"IM{number}", enforce_file_format=True)
        return folder

    return write


@pytest.fixture(autouse=True, scope="session")
def usual_interrupts() -> None:
    """Ctrl-C interrupts, as on a terminal; a shell starts jobs in its background deaf to it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
