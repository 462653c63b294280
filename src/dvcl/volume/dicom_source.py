"""The DICOM series that a mask belongs to, and what DICOM files about it take over from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dvcl
from dvcl.errors import InputError
from dvcl.volume.dicom_series import Slice, find_series
from dvcl.volume.names import import_extra

NEEDED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID")
# Anonymised series lack some of these; DICOM allows them to be empty.
TAKEN_OVER = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber"),
    *("ReferringPhysicianName", "StudyID", "StudyDate", "StudyTime"),
)
MAKER = "dvcl"
LONGEST = 64  # letters of a name
SERIES_STEP = 100  # the mask of series 3 is number 301


@dataclass(frozen=True)
class Source:
    """A series.

    Attributes:
        slices: Along their normal, in the order of the mask's slices.
        headers: Of these, without the voxels.
    """

    slices: list[Slice]
    headers: list[Any]

    @property
    def series_number(self) -> int:
        """Of what is made of it."""
        return SERIES_STEP * max(int(self.headers[0].get("SeriesNumber") or 0), 0) + 1


def read_source(folder: Path) -> Source:
    """The headers of the one series in a folder.

    Raises:
        InputError: As `find_series`, and when a slice does not say to what it belongs.
    """
    dicom = import_extra("pydicom", "pydicom", folder)
    slices = find_series(folder).slices
    headers = [dicom.dcmread(s.path, stop_before_pixels=True, force=True) for s in slices]
    for slice_, header in zip(slices, headers, strict=True):
        if missing := [tag for tag in NEEDED if not header.get(tag)]:
            raise InputError(
                f"{slice_.path}: its header has no {', '.join(missing)}, by which a DICOM mask "
                "refers to its series. Write NIfTI or seg.nrrd with --format, or export the series "
                "again."
            )
        for tag in TAKEN_OVER:
            if tag not in header:
                setattr(header, tag, "")
    return Source(slices, headers)


def made_by(weights: str) -> dict[str, str]:
    """The tags that say which program and which weights have made a file."""
    return {
        "Manufacturer": MAKER,
        "ManufacturerModelName": MAKER,
        "SoftwareVersions": dvcl.__version__,
        "DeviceSerialNumber": f"weights {weights[:16]}".strip(),
    }
