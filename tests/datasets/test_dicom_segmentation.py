"""DICOM segmentations as labels, built by pydicom as other programs write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dvcl.datasets import load_folders
from dvcl.datasets.checks import check_dataset
from dvcl.datasets.dataset import Case, LabelTable
from dvcl.datasets.masks import read_case_label
from dvcl.errors import InputError
from dvcl.volume import Segment, read_segments, source_files

pydicom = pytest.importorskip("pydicom")

# An image of 4 slices, 5 rows, 6 columns: RAS+ affine of the fixture write_image.
AFFINE = np.array([[-2.0, 0, 0, 10], [0, -3.0, 0, 20], [0, 0, 4.0, -30], [0, 0, 0, 1]])
SHAPE = (4, 5, 6)
TABLE = LabelTable((0, 1, 2), ("background", "left kidney", "spleen"))
SEG = "1.2.840.10008.5.1.4.1.1.66.4"


def part(**values) -> list:
    item = pydicom.Dataset()
    for name, value in values.items():
        setattr(item, name, value)
    return [item]


def plane(place: int, move_mm: float = 0) -> list:
    """The place of a slice, in DICOM's LPS world."""
    return part(ImagePositionPatient=[-10, -20, -30 + 4 * place + move_mm])


def write_seg(path: Path, masks: dict[str, np.ndarray], move_mm: float = 0, **tags) -> Path:
    """One frame per slice that shows a segment, as usual; the others are left out."""
    dataset = pydicom.Dataset()
    frames = [
        (number, place, plane_of)
        for number, mask in enumerate(masks.values(), start=1)
        for place, plane_of in enumerate(mask)
        if plane_of.any()
    ]
    shared = pydicom.Dataset()
    shared.PixelMeasuresSequence = part(
        PixelSpacing=[3, 2], SliceThickness=4, SpacingBetweenSlices=4
    )
    shared.PlaneOrientationSequence = part(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    per_frame = []
    for number, place, _ in frames:
        frame = pydicom.Dataset()
        frame.PlanePositionSequence = plane(place, move_mm)
        frame.SegmentIdentificationSequence = part(ReferencedSegmentNumber=number)
        per_frame.append(frame)
    bits = np.packbits(np.stack([mask for *_, mask in frames]).ravel(), bitorder="little")
    values = {
        "SOPClassUID": SEG,
        "SOPInstanceUID": "1.2.3.4",
        "SeriesInstanceUID": "1.2.3",
        "Modality": "SEG",
        "SegmentationType": "BINARY",
        "Rows": SHAPE[1],
        "Columns": SHAPE[2],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 1,
        "BitsStored": 1,
        "HighBit": 0,
        "PixelRepresentation": 0,
        "NumberOfFrames": len(frames),
        "SegmentSequence": [
            part(SegmentNumber=number, SegmentLabel=name)[0]
            for number, name in enumerate(masks, start=1)
        ],
        "SharedFunctionalGroupsSequence": [shared],
        "PerFrameFunctionalGroupsSequence": per_frame,
        "PixelData": bits.tobytes() + bytes(len(bits) % 2),
    } | tags
    for name, value in values.items():
        setattr(dataset, name, value)
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path.parent


def mask(*places: int, rows: slice = slice(1, 4)) -> np.ndarray:
    inside = np.zeros(SHAPE, np.uint8)
    inside[list(places), rows, 2:5] = 1
    return inside


@pytest.fixture
def case(tmp_path: Path, write_image) -> Case:
    image = write_image(tmp_path / "images" / "a.nii.gz")
    return Case("a", image, tmp_path / "labels" / "a", "labelled")


MASKS = {"Spleen": mask(1, 2), "Left_Kidney": mask(3, rows=slice(0, 2))}
EXPECTED = 2 * MASKS["Spleen"] + MASKS["Left_Kidney"]


def test_segments_lie_on_their_image_by_name(tmp_path: Path, case: Case) -> None:
    folder = write_seg(tmp_path / "labels" / "a" / "seg.dcm", MASKS)
    assert read_segments(folder) == (Segment("Spleen", 1, 0), Segment("Left_Kidney", 2, 1))
    assert source_files(folder) == [folder / "seg.dcm"]
    label = read_case_label(case, TABLE)
    assert np.array_equal(label.array, EXPECTED)
    assert np.allclose(label.affine, AFFINE)
    dataset = load_folders(tmp_path)
    assert dataset.labels.to_json() == {"0": "background", "1": "Spleen", "2": "Left_Kidney"}
    assert check_dataset(dataset).reports[0].organs["Spleen"].voxels == MASKS["Spleen"].sum()


def test_numbers_count_when_asked(tmp_path: Path, case: Case) -> None:
    write_seg(tmp_path / "labels" / "a" / "seg.dcm", MASKS)
    trusted = Case("a", case.image, case.label, "labelled", label_values=True)
    label = read_case_label(trusted, TABLE).array
    assert np.array_equal(label, MASKS["Spleen"] + 2 * MASKS["Left_Kidney"])


def test_segments_that_overlap_are_counted(tmp_path: Path, case: Case) -> None:
    write_seg(tmp_path / "labels" / "a" / "seg.dcm", {"spleen": mask(1), "left kidney": mask(1)})
    with pytest.raises(InputError, match="9 voxels are both spleen and left kidney"):
        read_case_label(case, TABLE)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"move_mm": 1.5}, "its voxels are not those of the image (corners 1.50 mm away"),
        ({"move_mm": 8}, "slices 3 to 5 of 4"),
        ({"SegmentationType": "FRACTIONAL"}, "is a segmentation of the type FRACTIONAL"),
        ({"PixelData": bytes(2)}, "the segmentation is damaged or incomplete"),
        ({"SharedFunctionalGroupsSequence": []}, "the segmentation is damaged or incomplete"),
    ],
)
def test_what_cannot_be_used_is_named(
    tmp_path: Path, case: Case, options: dict, expected: str
) -> None:
    write_seg(tmp_path / "labels" / "a" / "seg.dcm", MASKS, **options)
    with pytest.raises(InputError) as error:
        read_case_label(case, TABLE)
    assert expected in str(error.value)


def test_two_segmentations_are_refused(tmp_path: Path, case: Case) -> None:
    for name in ("one.dcm", "two.dcm"):
        write_seg(tmp_path / "labels" / "a" / name, MASKS)
    with pytest.raises(InputError, match=r"holds 2 DICOM segmentations \(one\.dcm, two\.dcm\)"):
        read_case_label(case, TABLE)
