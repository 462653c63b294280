"""Masks as DICOM structure sets (extra ``formats``), for treatment planning; written by pydicom."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from dvcl.errors import InputError
from dvcl.volume.contours import fill, outlines
from dvcl.volume.dicom_series import Slice
from dvcl.volume.dicom_source import LONGEST, MAKER, TAKEN_OVER, Source, made_by, read_source
from dvcl.volume.grid import Geometry, Volume
from dvcl.volume.itk import LPS_TO_RAS
from dvcl.volume.names import import_extra, on_one_line
from dvcl.volume.segment import Segment

STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
STUDY = "1.2.840.10008.3.1.2.3.1"  # retired, and what structure sets name here all the same
DIGITS = 4  # of coordinates in mm


def write_structures(
    path: Path, mask: Volume, segments: Sequence[Segment], scan: Path, weights: str
) -> None:
    """Write the outlines of every organ in every slice of the series.

    Args:
        path: The file.
        mask: On the voxels of ``scan``.
        segments: The meaning of its integers; their order gives the numbers of the organs.
        scan: Folder of the series.
        weights: Their hash.

    Raises:
        InputError: When pydicom is not installed, or as `read_source`.
    """
    dicom = import_extra("pydicom", "pydicom", path)
    source, now = read_source(scan), datetime.now()
    first = source.headers[0]
    file = dicom.Dataset()
    values = {
        "SpecificCharacterSet": "ISO_IR 192",
        "SOPClassUID": STRUCTURE_SET,
        "SOPInstanceUID": dicom.uid.generate_uid(),
        "StudyInstanceUID": first.StudyInstanceUID,
        "SeriesInstanceUID": dicom.uid.generate_uid(),
        "SeriesNumber": source.series_number,
        "SeriesDescription": f"Organs by {MAKER} (research)",
        "Modality": "RTSTRUCT",
        "OperatorsName": "",
        "FrameOfReferenceUID": first.FrameOfReferenceUID,
        "PositionReferenceIndicator": first.get("PositionReferenceIndicator", ""),
        "InstanceNumber": 1,
        "StructureSetLabel": MAKER,
        "StructureSetDate": now.strftime("%Y%m%d"),
        "StructureSetTime": now.strftime("%H%M%S"),
        "ApprovalStatus": "UNAPPROVED",
        "ReferencedFrameOfReferenceSequence": _referenced(dicom, source),
        **{tag: first[tag].value for tag in TAKEN_OVER},
        **made_by(weights),
        **_organs(dicom, mask, segments, source),
    }
    _set(file, values)
    file.file_meta = dicom.dataset.FileMetaDataset()
    file.file_meta.TransferSyntaxUID = dicom.uid.ExplicitVRLittleEndian
    file.save_as(path, enforce_file_format=True)


def read_structures(path: Path, segments: Sequence[Segment], grid: Geometry) -> Volume:
    """The label map that `write_structures` has written.

    Args:
        path: The file.
        segments: What the organs' names stand for.
        grid: Of the series.

    Raises:
        InputError: When the file is damaged, or has an organ of another name.
    """
    dicom = import_extra("pydicom", "pydicom", path)
    values = {segment.name[:LONGEST]: segment.value for segment in segments}
    array = np.zeros(grid.shape, np.int32)
    to_index = np.linalg.inv(grid.affine) @ LPS_TO_RAS
    try:
        file = dicom.dcmread(path, force=True)
        names = {int(s.ROINumber): str(s.ROIName) for s in file.StructureSetROISequence}
        for organ in file.ROIContourSequence:
            inside = np.zeros(grid.shape, bool)
            for contour in organ.get("ContourSequence") or ():
                points = np.array(contour.ContourData, np.float64).reshape(-1, 3)
                indices = points @ to_index[:3, :3].T + to_index[:3, 3]
                fill(inside[int(np.rint(indices[0, 2]))], indices[:, :2])
            array[inside] = values[names[int(organ.ReferencedROINumber)]]
    except (AttributeError, OSError, EOFError, ValueError, LookupError) as error:
        raise InputError(
            f"{path}: the structure set is damaged or of other organs ({on_one_line(error)}); one "
            "by this program was expected. Predict again."
        ) from error
    return Volume(array, grid.affine, grid.forms)


def _organs(
    dicom: Any, mask: Volume, segments: Sequence[Segment], source: Source
) -> dict[str, list[Any]]:
    """The three sequences that name the organs, outline them, and say what they are."""
    frame = source.headers[0].FrameOfReferenceUID
    names, drawn, observed = [], [], []
    for number, segment in enumerate(segments, start=1):
        names.append(
            _item(
                dicom, ROINumber=number, ReferencedFrameOfReferenceUID=frame,
                ROIName=segment.name[:LONGEST], ROIGenerationAlgorithm="AUTOMATIC",
            )
        )  # fmt: skip
        outline = _item(dicom, ROIDisplayColor=list(segment.rgb), ReferencedROINumber=number)
        if contours := _contours(dicom, mask.array == segment.value, source):
            outline.ContourSequence = contours
        drawn.append(outline)
        observed.append(
            _item(
                dicom, ObservationNumber=number, ReferencedROINumber=number,
                RTROIInterpretedType="ORGAN", ROIInterpreter="",
            )
        )  # fmt: skip
    return {
        "StructureSetROISequence": names,
        "ROIContourSequence": drawn,
        "RTROIObservationsSequence": observed,
    }


def _contours(dicom: Any, inside: np.ndarray, source: Source) -> list[Any]:
    found = []
    for plane, slice_, header in zip(inside, source.slices, source.headers, strict=True):
        if not plane.any():
            continue
        for polygon in outlines(plane):
            data = np.round(_in_space(polygon, slice_), DIGITS).ravel()
            found.append(
                _item(
                    dicom, ContourImageSequence=[_reference(dicom, header)],
                    ContourGeometricType="CLOSED_PLANAR", NumberOfContourPoints=len(polygon),
                    ContourData=[f"{mm:.{DIGITS}f}" for mm in data],
                )
            )  # fmt: skip
    return found


def _in_space(polygon: np.ndarray, slice_: Slice) -> np.ndarray:
    """Points (x, y) of a slice in DICOM's LPS world, in mm."""
    row_mm, column_mm = slice_.spacing_mm
    across, down = slice_.across * column_mm, slice_.down * row_mm
    return np.asarray(slice_.position + polygon[:, :1] * across + polygon[:, 1:] * down)


def _referenced(dicom: Any, source: Source) -> list[Any]:
    first = source.headers[0]
    series = _item(
        dicom, SeriesInstanceUID=first.SeriesInstanceUID,
        ContourImageSequence=[_reference(dicom, header) for header in source.headers],
    )  # fmt: skip
    study = _item(
        dicom, ReferencedSOPClassUID=STUDY, ReferencedSOPInstanceUID=first.StudyInstanceUID,
        RTReferencedSeriesSequence=[series],
    )  # fmt: skip
    frame = first.FrameOfReferenceUID
    return [_item(dicom, FrameOfReferenceUID=frame, RTReferencedStudySequence=[study])]


def _reference(dicom: Any, header: Any) -> Any:
    return _item(
        dicom, ReferencedSOPClassUID=header.SOPClassUID,
        ReferencedSOPInstanceUID=header.SOPInstanceUID,
    )  # fmt: skip


def _item(dicom: Any, **values: Any) -> Any:
    item = dicom.Dataset()
    _set(item, values)
    return item


def _set(item: Any, values: dict[str, Any]) -> None:
    for tag, value in values.items():
        setattr(item, tag, value)
