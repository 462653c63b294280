"""Where the patient is in a scan: a coarse mask, good enough for statistics and pictures."""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage

from dvcl.datasets.dataset import Modality
from dvcl.volume import Volume

# Between air with its noise and fat; lungs and bowel gas are filled afterwards.
BODY_HU = -400.0
# A CT whose values are not HU, and MR, have no fixed level: a share of the bright end.
DARK_SHARE, BRIGHT_PERCENTILE = 0.1, 99.0

# Finer voxels of a large scan tell no more about the body, and take longer.
COARSE_MM, LARGE_VOXELS = 3.0, 1_000_000


def coarse_steps(volume: Volume) -> tuple[slice, ...]:
    """Every n-th voxel of each axis of a large scan, about `COARSE_MM` apart; else every one."""
    is_large = math.prod(volume.shape) > LARGE_VOXELS
    steps = (round(COARSE_MM / mm) if is_large else 1 for mm in volume.spacing_mm)
    return tuple(slice(None, None, max(1, step)) for step in steps)


def body_mask(array: np.ndarray, modality: Modality) -> np.ndarray:
    """The largest connected part that is not air, with what it encloses in any axial slice.

    Args:
        array: (D, H, W), CT in HU or MR in any unit; finite.
        modality: "CT" or "MR".

    Returns:
        Boolean (D, H, W); everything where nothing stands out from the rest.
    """
    mask = array > _level(array, modality)
    parts, count = ndimage.label(mask)
    if count == 0:
        return np.ones(array.shape, dtype=bool)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    mask = parts == sizes.argmax()
    for axial in mask:
        ndimage.binary_fill_holes(axial, output=axial)
    return mask


def looks_like_hu(array: np.ndarray) -> bool:
    """Whether a CT has air below -500, as HU have it."""
    return float(array.min()) < -500


def _level(array: np.ndarray, modality: Modality) -> float:
    if modality == "CT" and looks_like_hu(array):
        return BODY_HU
    low, high = float(array.min()), float(np.percentile(array, BRIGHT_PERCENTILE))
    return low + DARK_SHARE * (high - low)
