"""Volumes out: images and label maps by the name of the file, label maps with what they mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dvcl.files import write_atomically
from dvcl.volume.grid import Volume
from dvcl.volume.itk import write_itk
from dvcl.volume.label_tables import caret_table, slicer_fields
from dvcl.volume.names import ITK_SUFFIXES, NRRD_SUFFIXES
from dvcl.volume.nifti import write_nifti
from dvcl.volume.segment import Segment


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
