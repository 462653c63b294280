"""Memory of a case: bounded, foretold, and what decides how many are prepared at once."""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import nibabel
import numpy as np
import pytest

from dvcl.datasets.dataset import Case, Dataset, LabelTable
from dvcl.errors import InputError
from dvcl.preprocessing.prepare import Preprocessing
from dvcl.store import build_store, building
from dvcl.store.building import peak_bytes
from dvcl.store.task import CaseTask
from dvcl.store.writing import write_case
from dvcl.volume import Geometry, Volume, write_volume

LABELS = LabelTable((0, 1), ("background", "liver"))
SHAPE = (80, 224, 224)
AFFINE = np.diag([1.0, 1.0, 3.0, 1.0])


def write_scan(folder: Path, kind: str) -> Case:
    values = np.random.default_rng(0).integers(-1000, 1000, SHAPE, dtype=np.int16)
    label = (values > 500).astype("float32" if kind == "label of floats" else "uint8")
    image = nibabel.Nifti1Image(values.T, AFFINE)
    if kind == "scaled image":
        image.header.set_slope_inter(0.5, 3)
    nibabel.save(image, folder / "image.nii")
    write_volume(folder / "label.nii", Volume(label, AFFINE))
    return Case("a", folder / "image.nii", folder / "label.nii")


def memory_kib(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def peak_of(task: CaseTask) -> tuple[int, int]:
    """Bytes of the process before, and at the peak of preparing a case."""
    before = memory_kib("VmRSS")
    write_case(task)
    return before * 1024, memory_kib("VmHWM") * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory as Linux tells it")
@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("usual", Preprocessing()),
        ("usual", Preprocessing(spacing_mm=(1.0, 1.0, 1.0), order=3)),
        ("scaled image", Preprocessing(label_interpolation="linear")),
        ("label of floats", Preprocessing()),
    ],
)
def test_a_case_takes_no_more_than_foretold(
    tmp_path: Path, kind: str, settings: Preprocessing
) -> None:
    case = write_scan(tmp_path, kind)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        task = CaseTask(case, LABELS, settings, tmp_path / "store", {})
        before, peak = pool.submit(peak_of, task).result()
    foretold = peak_bytes(settings.grid(Geometry(SHAPE, AFFINE)))
    assert before < building.PROCESS_BYTES
    assert peak < foretold
    assert peak > foretold / 4


@pytest.mark.parametrize(
    ("cases", "free_cases", "cores", "expected"),
    [(40, 100, 4, 4), (40, 2.5, 4, 2), (40, 0.5, 4, 1), (1, 100, 4, 2), (0, 100, 4, 1)],
)
def test_workers_are_as_many_as_work_cores_and_memory_allow(
    monkeypatch: pytest.MonkeyPatch, cases: int, free_cases: float, cores: int, expected: int
) -> None:
    grid = Preprocessing().grid(Geometry((400, 512, 512), AFFINE))
    free = int(free_cases * peak_bytes(grid))
    monkeypatch.setattr(building, "available_ram", lambda: free)
    monkeypatch.setattr(building, "usable_cores", lambda: cores)
    assert building._choose_workers([grid] * cases) == expected


def end_process(task: CaseTask) -> None:
    os._exit(9)


def test_a_worker_that_dies_is_told_with_memory_and_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = tuple(
        Case(name, write_scan(tmp_path, "usual").image, role="unlabelled") for name in "ab"
    )
    monkeypatch.setattr(building, "_attempt", end_process)
    monkeypatch.setattr(building, "available_ram", lambda: 3_000_000_000)
    dataset = Dataset("d", "CT", cases, LABELS)
    with pytest.raises(InputError, match=r"one of 2 worker .* \(3\.0 GB are free .*--workers 1"):
        build_store(dataset, Preprocessing(), tmp_path / "store", workers=2)
