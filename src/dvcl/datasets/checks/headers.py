"""The header of a NIfTI file, for what reading the volume does not tell."""

from __future__ import annotations

from pathlib import Path

from nibabel.nifti1 import Nifti1Pair

from dvcl.volume.names import NIFTI_SUFFIXES
from dvcl.volume.nifti import open_nifti


def nifti_image(path: Path) -> Nifti1Pair | None:
    """Open a readable file without its voxels; None for the other formats."""
    if path.is_dir() or not path.name.lower().endswith(NIFTI_SUFFIXES):
        return None
    return open_nifti(path)
