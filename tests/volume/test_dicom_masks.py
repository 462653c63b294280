"""Masks for the PACS: segmentations and structure sets lie where the series lies."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dvcl.datasets import load_folders
from dvcl.datasets.dataset import Case, LabelTable
from dvcl.datasets.masks import read_case_label
from dvcl.datasets.organs import segments_of
from dvcl.errors import InputError
from dvcl.volume import (
    Volume,
    read_geometry,
    read_label,
    read_segments,
    read_volume,
    source_files,
)
from dvcl.volume.names import MASK_SUFFIXES
from dvcl.volume.rtstruct import read_structures
from dvcl.volume.writing import write_mask

pydicom = pytest.importorskip("pydicom")
highdicom = pytest.importorskip("highdicom")
sitk = pytest.importorskip("SimpleITK")

LABELS = LabelTable.from_mapping({3: "left kidney", 205: "Größe", 7: "prostate or uterus"})

# The axes (x, y, z) of voxels as columns, in DICOM's LPS world.
AXES = {
    "axial": np.eye(3),
    "head first, seen from above": np.diag([-1.0, 1.0, -1.0]),
    "coronal": np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
    "sagittal": np.array([[0.0, 0, -1], [1, 0, 0], [0, -1, 0]]),
    "oblique": Rotation.from_euler("xyz", [20, -35, 50], degrees=True).as_matrix(),
}


def phantom(series: Path) -> Volume:
    """Two organs, one of which ends at the border, and one that is not there."""
    grid = read_geometry(series)
    array = np.zeros(grid.shape, np.int32)
    array[1:4, 2:6, 1:4], array[5:, 7, 4:8] = 3, 205
    return Volume(array, grid.affine)


def centroids(mask: Volume) -> dict[str, np.ndarray]:
    """Of each organ, in mm in the patient, LPS."""
    names = dict(zip(LABELS.values, LABELS.names, strict=True))
    found = {}
    for value in (3, 205):
        x, y, z = np.argwhere(mask.array == value).mean(axis=0)[::-1]
        found[names[value]] = (mask.affine @ [x, y, z, 1])[:3] * (-1, -1, 1)
    return found


def same_places(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for name, place in expected.items():
        np.testing.assert_allclose(found[name], place, atol=2e-3)


@pytest.fixture(params=[(axes, reverse) for axes in AXES for reverse in (False, True)], ids=str)
def series(request: pytest.FixtureRequest, tmp_path: Path, write_series) -> Path:
    axes, reverse = request.param
    return write_series(tmp_path / "series", AXES[axes], reverse=reverse)


@pytest.fixture
def axial(tmp_path: Path, write_series) -> Path:
    return write_series(tmp_path / "series", AXES["axial"])


def written(series: Path, form: str) -> tuple[Path, Volume]:
    mask, path = phantom(series), series.parent / f"p1{MASK_SUFFIXES[form]}"
    write_mask(path, mask, segments_of(LABELS), series, "0123456789abcdef0123")
    return path, mask


def test_segments_lie_in_the_patient_where_the_organs_do(series: Path) -> None:
    path, mask = written(series, "dicom-seg")
    again = read_case_label(Case("p1", series, path), LABELS)
    assert np.array_equal(again.array, mask.array)
    same_places(centroids(again), centroids(mask))
    file = highdicom.seg.segread(path)
    found = {}
    for number in file.segment_numbers:
        volume = file.get_volume(segment_numbers=[number], combine_segments=False)
        places = np.argwhere(volume.array[..., 0])
        if len(places):
            name = file.get_segment_description(number).SegmentLabel
            found[name] = (volume.affine @ [*places.mean(axis=0), 1])[:3]
    same_places(found, centroids(mask))


def test_dcmqi_finds_the_segments_there_too(series: Path, tmp_path: Path) -> None:
    if not (program := shutil.which("segimage2itkimage", path=Path(sys.executable).parent)):
        pytest.skip("dcmqi is not installed")
    path, mask = written(series, "dicom-seg")
    words = [program, "--inputDICOM", path, "--outputDirectory", tmp_path, "--outputType", "nrrd"]
    said = subprocess.run([*map(str, words), "--prefix", "q"], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    found = {}
    for number, name in enumerate(LABELS.organs, start=1):
        image = sitk.ReadImage(str(tmp_path / f"q-{number}.nrrd"))
        statistics = sitk.LabelShapeStatisticsImageFilter()
        statistics.Execute(sitk.Cast(image, sitk.sitkUInt16))
        if number in statistics.GetLabels():
            found[name] = np.array(statistics.GetCentroid(number))
    same_places(found, centroids(mask))


def test_contours_lie_in_the_patient_where_the_organs_do(series: Path) -> None:
    path, mask = written(series, "rtstruct")
    again = read_structures(path, segments_of(LABELS), read_geometry(series))
    assert np.array_equal(again.array, mask.array)
    file = pydicom.dcmread(path)
    slices = {pydicom.dcmread(p).SOPInstanceUID: pydicom.dcmread(p) for p in source_files(series)}
    names = {roi.ROINumber: roi.ROIName for roi in file.StructureSetROISequence}
    found = {}
    for roi in file.ROIContourSequence:
        middles = []
        for contour in roi.get("ContourSequence", ()):
            points = np.array(contour.ContourData, float).reshape(-1, 3)
            middles.append((points.min(axis=0) + points.max(axis=0)) / 2)
            # It lies in the plane of the slice that it names.
            slice_ = slices[contour.ContourImageSequence[0].ReferencedSOPInstanceUID]
            across, down = np.array(slice_.ImageOrientationPatient).reshape(2, 3)
            off = (points - slice_.ImagePositionPatient) @ np.cross(across, down)
            assert np.abs(off).max() < 2e-3
        if middles:
            found[names[roi.ReferencedROINumber]] = np.mean(middles, axis=0)
    same_places(found, centroids(mask))


def test_a_segmentation_says_what_it_is(axial: Path) -> None:
    path, _ = written(axial, "dicom-seg")
    file = pydicom.dcmread(path)
    source = pydicom.dcmread(axial / "IM1")
    for tag in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "PatientName"):
        assert file[tag].value == source[tag].value
    (referenced,) = file.ReferencedSeriesSequence
    assert referenced.SeriesInstanceUID == source.SeriesInstanceUID
    assert file.SegmentationType == "BINARY"
    assert (file.SeriesNumber, file.DeviceSerialNumber) == (301, "weights 0123456789abcdef")
    kidney, prostate, size = file.SegmentSequence
    kind = kidney.SegmentedPropertyTypeCodeSequence[0]
    assert (kind.CodeValue, kind.CodingSchemeDesignator) == ("64033007", "SCT")
    assert kind.SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == "Left"
    assert size.SegmentLabel == "Größe"
    assert prostate.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Tissue"
    (algorithm,) = kidney.SegmentationAlgorithmIdentificationSequence
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("dvcl", file.SoftwareVersions)
    colour = highdicom.color.CIELabColor(0, 0, 0)
    assert len(kidney.RecommendedDisplayCIELabValue) == len(colour.value)
    assert [s.name for s in read_segments(path)] == list(LABELS.organs)


@pytest.mark.parametrize("form", ["dicom-seg", "rtstruct"])
@pytest.mark.parametrize("empty", [False, True])
def test_dciodvfy_finds_no_error(axial: Path, form: str, empty: bool) -> None:
    if not (program := shutil.which("dciodvfy")):
        pytest.skip("Debian's dicom3tools is not installed")
    path, mask = written(axial, form)
    if empty:
        mask.array[:] = 0
        write_mask(path, mask, segments_of(LABELS), axial, "")
    said = subprocess.run([program, str(path)], capture_output=True, text=True)
    lines = (said.stdout + said.stderr).splitlines()
    assert [line for line in lines if line.startswith(("Error", "Abort"))] == []
    assert any(line in ("Segmentation", "RTStructureSet") for line in lines), lines


@pytest.mark.parametrize("form", ["dicom-seg", "rtstruct"])
def test_a_series_without_what_masks_refer_to_is_refused(
    tmp_path: Path, write_series, form: str
) -> None:
    lacking = {"FrameOfReferenceUID": None, "StudyInstanceUID": ""}
    series = write_series(tmp_path / "series", AXES["axial"], **lacking)
    with pytest.raises(InputError, match="has no StudyInstanceUID, FrameOfReferenceUID, by which"):
        written(series, form)
    assert not [*tmp_path.glob("*.dcm")]


@pytest.mark.parametrize("form", ["dicom-seg", "rtstruct"])
def test_anonymised_series_have_masks_too(tmp_path: Path, write_series, form: str) -> None:
    lacking = dict.fromkeys(("PatientName", "PatientID", "PatientBirthDate", "PatientSex",
                             "StudyDate", "StudyTime", "StudyID", "AccessionNumber"))  # fmt: skip
    series = write_series(tmp_path / "series", AXES["axial"], **lacking)
    path, _ = written(series, form)
    assert not pydicom.dcmread(path).PatientName


def test_a_segmentation_is_a_label_and_no_scan(axial: Path, tmp_path: Path) -> None:
    path, mask = written(axial, "dicom-seg")
    for read in (read_geometry, read_volume, read_label):
        with pytest.raises(InputError, match=r"p1\.seg\.dcm: is a DICOM segmentation; a scan"):
            read(path)
    (tmp_path / "few" / "images").mkdir(parents=True)
    (tmp_path / "few" / "labels").mkdir()
    axial.rename(tmp_path / "few" / "images" / "p1")
    path.rename(tmp_path / "few" / "labels" / path.name)
    dataset = load_folders(tmp_path / "few")
    (case,) = dataset.cases
    assert case.id == "p1"
    assert {*dataset.labels.organs} == {"left kidney", "Größe"}, "the organs that it shows"
    again = read_case_label(case, LABELS, read_geometry(case.image))
    assert np.array_equal(again.array, mask.array)


@pytest.mark.parametrize("form", ["dicom-seg", "rtstruct"])
@pytest.mark.parametrize("tags", [{"PatientSex": "X"}, {"PatientBirthDate": "unknown"}], ids=str)
def test_odd_headers_are_refused_in_words_or_taken_over(
    tmp_path: Path, write_series, form: str, tags: dict[str, str]
) -> None:
    dicom = pydicom.config.settings
    before, dicom.writing_validation_mode = dicom.writing_validation_mode, pydicom.config.IGNORE
    series = write_series(tmp_path / "series", **tags)
    dicom.writing_validation_mode = before
    if form == "dicom-seg":
        with pytest.raises(InputError, match="series: its headers hold what no DICOM mask"):
            written(series, form)
    else:
        (tag, value), (path, _) = *tags.items(), written(series, form)
        assert str(pydicom.dcmread(path)[tag].value) == value
