"""What tells a scan from another, whatever its file is called."""

from __future__ import annotations

import hashlib

import numpy as np
from nibabel.orientations import apply_orientation, io_orientation

from dvcl.volume import Volume


def voxels_sha256(volume: Volume) -> str:
    """Hash the voxel values turned to RAS: the same scan in another orientation has the same."""
    canonical = canonical_array(volume)
    digest = hashlib.sha256(str(canonical.shape).encode())
    for part in canonical:
        # Adding zero turns -0.0, which some exporters write, into 0.0.
        digest.update(np.add(part, 0.0, dtype=np.float32, order="C").data)
    return digest.hexdigest()


def canonical_array(volume: Volume) -> np.ndarray:
    """The voxels as (D, H, W) with x to the right, y to the front, z to the head: a view."""
    return np.asarray(apply_orientation(volume.array.T, io_orientation(volume.affine))).T
