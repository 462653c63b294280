"""Scans of other formats than NIfTI go through training and prediction."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

from dvcl.commands.predict import predict_files
from dvcl.commands.targets import choose_targets, find_images
from dvcl.commands.train import train_run
from dvcl.datasets import load_folders
from dvcl.errors import InputError
from dvcl.splits import make_split
from dvcl.studies.members import Members
from dvcl.studies.run import Run
from dvcl.volume import (
    Segment,
    Volume,
    read_geometry,
    read_label,
    read_segments,
    write_volume,
)
from dvcl.volume.names import MASK_SUFFIXES

pytest.importorskip("SimpleITK")

AFFINE = np.diag([4.0, -4.0, 4.0, 1.0])
SUFFIXES = {"a": ".nrrd", "b": ".mha", "c": ".nii.gz"}


def dicom_folder(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_bytes(bytes(128) + b"DICM")
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, prepare_tiny) -> Run:
    """Trained for two steps on scans of three formats, whose organ has the value 300."""
    folder = tmp_path_factory.mktemp("formats")
    for seed, (id, suffix) in enumerate(SUFFIXES.items()):
        image = np.random.default_rng(seed).integers(-200, 200, (16, 17, 18)).astype(np.int16)
        label = np.zeros(image.shape, np.int16)
        label[4:9] = 300
        write_volume(folder / "train" / "images" / f"{id}{suffix}", Volume(image, AFFINE))
        write_volume(folder / "train" / "labels" / f"{id}.seg.nrrd", Volume(label, AFFINE))
    scanner = nibabel.load(folder / "train" / "images" / "c.nii.gz")
    scanner.set_sform(AFFINE, 1)
    scanner.set_qform(AFFINE, 1)
    nibabel.save(scanner, folder / "train" / "images" / "c.nii.gz")
    dataset = load_folders(folder / "train")
    assert dataset.labels.values == (0, 300)
    project = prepare_tiny(folder / "work", dataset)
    split = make_split(dataset)
    return train_run(project, project.load_recipe(), "supervised", split, device="cpu")


@pytest.mark.parametrize("form", ["nifti", "own", "seg.nrrd"])
def test_label_maps_lie_on_the_scans_grid_with_the_files_integers(
    run: Run, tmp_path: Path, form: str
) -> None:
    images = run.folder.parents[4] / "train" / "images"
    targets = choose_targets([images], tmp_path, form)
    written = [
        made.mask for made in predict_files(Members.of(run), targets, device=torch.device("cpu"))
    ]
    suffixes = SUFFIXES.values() if form == "own" else [MASK_SUFFIXES[form]] * 3
    assert [path.name for path in written] == [
        f"{id}{suffix}" for id, suffix in zip(SUFFIXES, suffixes, strict=True)
    ]
    for (id, suffix), path in zip(SUFFIXES.items(), written, strict=True):
        source = read_geometry(images / f"{id}{suffix}")
        assert source.corner_distance_mm(read_geometry(path)) < 1e-4
        assert set(np.unique(read_label(path).array)) <= {0, 300}
        if path.suffix != ".mha":
            assert read_segments(path) == (Segment("label 300", 300),)
    if form != "seg.nrrd":
        header = nibabel.load(tmp_path / "c.nii.gz").header
        assert (header["qform_code"], header["sform_code"]) == (1, 1)


def test_forms_of_dicom_are_for_dicom(run: Run, tmp_path: Path) -> None:
    images = run.folder.parents[4] / "train" / "images"
    with pytest.raises(InputError, match=r"a\.nrrd: is no folder of DICOM slices") as error:
        choose_targets([images], tmp_path, "dicom-seg")
    assert len(error.value.problems) == len(SUFFIXES)
    with pytest.raises(InputError, match="--format 'nii': expected one of nifti, own, seg.nrrd"):
        choose_targets([images], tmp_path, "nii")


def test_scans_are_never_replaced_in_any_format(run: Run) -> None:
    images = run.folder.parents[4] / "train" / "images"
    with pytest.raises(InputError, match=r"a\.nrrd: is an image to segment") as error:
        predict_files(
            Members.of(run), choose_targets([images], images, "own"), device=torch.device("cpu")
        )
    assert len(error.value.problems) == len(SUFFIXES)


def test_folders_of_slices_are_scans(tmp_path: Path) -> None:
    one = dicom_folder(tmp_path / "scans" / "p1", "IM1", "IM2")
    deep = dicom_folder(tmp_path / "scans" / "p2" / "study", "IM1").parent
    write_volume(tmp_path / "scans" / "p3.mha", Volume(np.zeros((3, 3, 3), np.int16), np.eye(4)))
    assert find_images([tmp_path / "scans"]) == [one, deep, tmp_path / "scans" / "p3.mha"]
    assert find_images([one]) == [one]
    assert find_images([deep]) == [deep / "study"]
    (tmp_path / "scans" / "p4").mkdir()
    (tmp_path / "scans" / "p4" / "IM1").write_bytes(b"no slice")
    with pytest.raises(InputError, match="p4: is a folder without DICOM slices, found 1 file"):
        find_images([tmp_path / "scans"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty: holds no scan; volumes or DICOM slices"):
        find_images([tmp_path / "empty"])
