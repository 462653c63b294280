"""Label maps carry names and colours, and lie where they lay, whatever the order of their axes."""

from __future__ import annotations

import itertools
from pathlib import Path

import nibabel
import numpy as np
import pytest

from dvcl.volume import Segment, Volume, read_label, read_segments, write_volume
from dvcl.volume.label_tables import slicer_table, snap_table
from dvcl.volume.segment import Code

SEGMENTS = (
    Segment("left kidney", 2, colour="#ee9900", kind=Code("64033007", "Kidney"),
            side=Code("7771000", "Left")),
    Segment("Größe <1> & \"2\"", 205, colour="#0044ff"),
    Segment("not there", 300, colour="#bb2222"),
)  # fmt: skip

# All ways to order and turn three axes: 6 orders, and 8 choices of direction.
WAYS = [
    (order, signs)
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]
SPACING_MM, ORIGIN_MM = (1.5, 2.0, 3.5), (-40.0, 25.0, 110.0)


def phantom(order: tuple[int, ...] = (0, 1, 2), signs: tuple[int, ...] = (1, 1, 1)) -> Volume:
    """Two organs that no turn maps to themselves; axes x, y, z go along ``order``."""
    array = np.zeros((9, 8, 7), np.int16)
    array[1:4, 2:4, 1:6], array[6, 5, 2:4] = 2, 205
    affine = np.eye(4)
    for axis, (along, sign) in enumerate(zip(order, signs, strict=True)):
        affine[:3, axis] = 0
        affine[along, axis] = sign * SPACING_MM[axis]
    affine[:3, 3] = ORIGIN_MM
    return Volume(array, affine)


def centroids(volume: Volume) -> dict[int, np.ndarray]:
    """Of each organ, in mm in the patient (RAS+)."""
    places = {value: np.argwhere(volume.array == value).mean(axis=0) for value in (2, 205)}
    return {value: (volume.affine @ [*zyx[::-1], 1])[:3] for value, zyx in places.items()}


def centroids_by_itk(path: Path) -> dict[int, np.ndarray]:
    """The same, as SimpleITK reads the file."""
    sitk = pytest.importorskip("SimpleITK")
    image = sitk.ReadImage(str(path))
    statistics = sitk.LabelShapeStatisticsImageFilter()
    statistics.Execute(sitk.Cast(image, sitk.sitkUInt16))
    lps = {value: np.array(statistics.GetCentroid(value)) for value in statistics.GetLabels()}
    return {value: place * (-1, -1, 1) for value, place in lps.items()}


@pytest.mark.parametrize("suffix", [".nii.gz", ".seg.nrrd"])
@pytest.mark.parametrize(("order", "signs"), WAYS)
def test_organs_stay_in_their_place(tmp_path: Path, suffix: str, order, signs) -> None:
    mask = phantom(order, signs)
    path = tmp_path / f"mask{suffix}"
    write_volume(path, mask, SEGMENTS)
    expected = centroids(mask)
    for found in (centroids(read_label(path)), centroids_by_itk(path)):
        assert found.keys() == expected.keys()
        for value, place in expected.items():
            np.testing.assert_allclose(found[value], place, atol=1e-4)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".seg.nrrd", ".nrrd"])
def test_names_travel(tmp_path: Path, suffix: str) -> None:
    if "nrrd" in suffix:
        pytest.importorskip("SimpleITK")
    path = tmp_path / f"mask{suffix}"
    write_volume(path, phantom(), SEGMENTS)
    assert [(s.name, s.value) for s in read_segments(path)] == [
        (segment.name, segment.value) for segment in SEGMENTS
    ]
    np.testing.assert_array_equal(read_label(path).array, phantom().array)


def test_a_nifti_file_holds_carets_table(tmp_path: Path) -> None:
    write_volume(tmp_path / "mask.nii.gz", phantom(), SEGMENTS)
    (extension,) = nibabel.load(tmp_path / "mask.nii.gz").header.extensions
    assert extension.get_code() == 0
    text = extension.content.decode()
    assert (
        '<Label Key="2" Red="0.933333" Green="0.6" Blue="0" Alpha="1">left kidney</Label>' in text
    )
    write_volume(tmp_path / "bare.nii.gz", phantom())
    assert not nibabel.load(tmp_path / "bare.nii.gz").header.extensions


def test_slicer_reads_names_colours_and_codes(tmp_path: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    write_volume(tmp_path / "mask.seg.nrrd", phantom(), SEGMENTS)
    image = sitk.ReadImage(str(tmp_path / "mask.seg.nrrd"))
    fields = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()}
    assert fields["Segment0_Color"] == "0.933333 0.6 0"
    assert fields["Segment0_Extent"] == "1 5 2 3 1 3"
    assert fields["Segment2_Extent"] == "0 -1 0 -1 0 -1"
    assert (
        "SCT^123037004^Anatomical Structure~SCT^64033007^Kidney~SCT^7771000^Left"
        in (fields["Segment0_Tags"])
    )
    assert "~SCT^85756007^Tissue~SCT^85756007^Tissue~^^~" in fields["Segment1_Tags"]


def test_tables_beside_the_masks() -> None:
    assert slicer_table(SEGMENTS[:1]).splitlines()[2:] == [
        "0 Background 0 0 0 0", "2 left_kidney 238 153 0 255",
    ]  # fmt: skip
    kidney = snap_table(SEGMENTS).splitlines()[2]
    assert kidney.split(maxsplit=7) == ["2", "238", "153", "0", "1", "1", "1", '"left kidney"']
    assert "Größe <1> & '2'" in snap_table(SEGMENTS)
