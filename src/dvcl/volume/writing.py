"""Volumes out: images and label maps by the name of the file, label maps with what they mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dvcl.files import write_atomically
from dvcl.volume.dicom_seg_writing import write_segmentation
from dvcl.volume.dicom_source import read_source
from dvcl.volume.grid import Volume
from dvcl.volume.itk import write_itk
from dvcl.volume.label_tables import caret_table, slicer_fields
from dvcl.volume.names import (
    ITK_SUFFIXES,
    NRRD_SUFFIXES,
    SEGMENTATION_SUFFIX,
    STRUCTURES_SUFFIX,
    import_extra,
)
from dvcl.volume.nifti import write_nifti
from dvcl.volume.rtstruct import write_structures
from dvcl.volume.segment import Segment

DICOM_WRITERS = {
    SEGMENTATION_SUFFIX: write_segmentation,
    STRUCTURES_SUFFIX: write_structures,
}


def write_volume(path: Path | str, volume: Volume, segments: Sequence[Segment] = ()) -> None:
    """Write atomically in the array's own dtype: NIfTI, or .nrrd and .mha where the name says so.

    Args:
        path: The file.
        volume: What it holds.
        segments: Names, colours and codes of its integers; .mha has no place for them.

    Raises:
        InputError: When SimpleITK is needed and not installed, the disk is full or the system
            refuses.
    """
    name = Path(path).name.lower()
    with write_atomically(path) as temporary:
        if name.endswith(NRRD_SUFFIXES):
            fields = slicer_fields(volume.array, segments) if segments else {}
            write_itk(temporary, volume, fields)
        elif name.endswith(ITK_SUFFIXES):
            write_itk(temporary, volume)
        else:
            write_nifti(temporary, volume, caret_table(segments) if segments else b"")


def require_source(path: Path, scan: Path) -> None:
    """Refuse a scan to which the DICOM mask to be written could not refer.

    Raises:
        InputError: As `read_source`, or when highdicom is needed and not installed.
    """
    if path.name.endswith(tuple(DICOM_WRITERS)):
        read_source(scan)
    if path.name.endswith(SEGMENTATION_SUFFIX):
        import_extra("highdicom", "highdicom", path)


def write_mask(
    path: Path, mask: Volume, segments: Sequence[Segment], scan: Path, weights: str
) -> None:
    """Write a label map with its names, in the form that the name of the file says.

    Args:
        path: The file; DICOM where its suffix is one of `DICOM_WRITERS`.
        mask: On the voxels of ``scan``.
        segments: The meaning of its integers.
        scan: To which DICOM masks refer.
        weights: Hash of those that have made it, for DICOM.

    Raises:
        InputError: As `write_volume`, and when the scan lacks what DICOM masks refer to.
    """
    for suffix, write in DICOM_WRITERS.items():
        if path.name.endswith(suffix):
            with write_atomically(path) as temporary:
                write(temporary, mask, segments, scan, weights)
            return
    write_volume(path, mask, segments)
