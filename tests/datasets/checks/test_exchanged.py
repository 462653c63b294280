from pathlib import Path

import numpy as np
import pytest

from dvcl.datasets import load_folders
from dvcl.datasets.checks import inspect_dataset
from dvcl.datasets.checks.exchanged import image_findings, label_map_findings
from dvcl.volume import Volume, write_volume

RANDOM = np.random.default_rng(0)
SCAN = RANDOM.integers(-1000, 1000, (8, 9, 10)).astype(np.float32)
FEW = RANDOM.integers(0, 5, SCAN.shape)


@pytest.mark.parametrize(
    ("name", "array", "is_told"),
    [
        ("a.nii.gz", SCAN, False),
        ("a.nii.gz", FEW, True),
        ("a.nii.gz", FEW / 3, False),
        ("a.nii.gz", FEW * 0, False),
        ("a_seg.nii.gz", SCAN, True),
        ("a_Label.nii.gz", SCAN, True),
        ("a.seg.nrrd", FEW, True),
        ("label.nii", SCAN, True),
        ("a_mask.nii", SCAN, True),
        ("unmasked.nii", SCAN, False),
        ("seg_07_t1.nii", SCAN, False),
    ],
)
def test_label_maps_among_unlabelled_scans(name: str, array: np.ndarray, is_told: bool) -> None:
    found = [*label_map_findings(Path(name), array)]
    assert [finding.code for finding in found] == ["looks-like-labels"] * is_told


@pytest.mark.parametrize(
    ("label", "is_told"),
    [
        (SCAN, True),
        ((SCAN + 1000) // 8, True),
        (1000 - SCAN, True),
        (FEW, False),
        ((SCAN > 500) * 1, False),
        (RANDOM.integers(0, 200, SCAN.shape), False),
        (SCAN[:4], False),
    ],
)
def test_images_given_as_label_maps(label: np.ndarray, is_told: bool) -> None:
    found = [*image_findings(Path("a.nii"), label, SCAN)]
    assert [finding.code for finding in found] == ["label-is-image"] * is_told


def test_a_label_map_in_the_place_of_its_scan() -> None:
    (found,) = image_findings(Path("a.nii"), FEW, FEW.astype(np.int16))
    assert found.code == "label-is-image"
    assert "a label map lies in the place of the scan too" in found.text
    assert [*image_findings(Path("a.nii"), FEW * 0, FEW * 0)] == []


def test_both_are_found_in_folders(tmp_path: Path) -> None:
    image = RANDOM.integers(0, 200, (8, 9, 10)).astype(np.uint8)
    for path in ("train/images/a.nii", "train/labels/a.nii", "clinic/b.nii"):
        write_volume(tmp_path / path, Volume(image, np.eye(4)))
    write_volume(tmp_path / "clinic" / "b_seg.nii", Volume(FEW.astype(np.uint8), np.eye(4)))
    dataset = load_folders(tmp_path / "train", [tmp_path / "clinic"], modality="MR")
    codes = {(Path(f.where).name, f.code) for f in inspect_dataset(dataset).findings}
    assert {("a.nii", "label-is-image"), ("b_seg.nii", "looks-like-labels")} <= codes
    assert ("b.nii", "looks-like-labels") not in codes


def test_one_case_as_nii_and_nii_gz_and_an_archive_beside_are_named(tmp_path: Path) -> None:
    for path in ("images/a.nii", "labels/a.nii"):
        write_volume(tmp_path / path, Volume(FEW.astype(np.int16), np.eye(4)))
    (tmp_path / "images" / "rest.tar.gz").write_bytes(b"")
    findings = inspect_dataset(load_folders(tmp_path)).findings
    (told,) = [finding for finding in findings if finding.code == "left-out"]
    assert told.where.endswith("rest.tar.gz")
    write_volume(tmp_path / "images" / "a.nii.gz", Volume(FEW.astype(np.int16), np.eye(4)))
    with pytest.raises(Exception, match=r"a\.nii is the same case"):
        load_folders(tmp_path)
