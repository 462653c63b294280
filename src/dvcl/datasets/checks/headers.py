"""The header of a NIfTI file, for what reading the volume does not tell."""

from __future__ import annotations

from pathlib import Path

import nibabel
from nibabel.nifti1 import Nifti1Pair

from dvcl.volume.names import NIFTI_SUFFIXES


def nifti_image(path: Path) -> Nifti1Pair | None:
    """Open a readable file without its voxels; None for the other formats."""
    if path.is_dir() or not path.name.lower().endswith(NIFTI_SUFFIXES):
        return None
    image = nibabel.load(path)
    return image if isinstance(image, Nifti1Pair) else None
