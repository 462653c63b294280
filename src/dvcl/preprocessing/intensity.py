"""Intensity: the clipping window and the percentile scale of the paper's appendix D."""

from __future__ import annotations

import numpy as np

from dvcl.errors import InputError

# Interpolating equal voxels leaves float32 round-off, which must not be scaled up to contrast.
ROUND_OFF = 1e-5


def clip_window(array: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """Clip to (low, high), for CT in HU; float32, a new array."""
    return np.clip(array, *window, dtype=np.float32)


def intensity_range(array: np.ndarray, percentiles: tuple[float, float]) -> tuple[float, float]:
    """Find the intensities that the scale maps to 0 and 1.

    Args:
        array: Any shape.
        percentiles: Low and high, in [0, 100], over all voxels, air included.

    Returns:
        The two percentiles; where they are equal up to round-off (nearly all voxels the same) the
        minimum and the maximum instead.

    Raises:
        InputError: When the image is constant, or has values that are not finite.
    """
    minimum, maximum = float(array.min()), float(array.max())
    if not np.isfinite([minimum, maximum]).all():
        raise InputError(
            "the image has voxels that are not finite (NaN or infinity); numbers were expected. "
            "Export it again or replace those voxels."
        )
    negligible = ROUND_OFF * max(abs(minimum), abs(maximum))
    if maximum - minimum <= negligible:
        raise InputError(
            f"every voxel of the image has the value {minimum:g}, after clipping where a window is "
            "set; an image with contrast was expected. Export it again, check that the window "
            "fits its units, or leave the case out."
        )
    low, high = (float(value) for value in np.percentile(array, percentiles))
    return (low, high) if high - low > negligible else (minimum, maximum)


def percentile_scale(
    array: np.ndarray,
    percentiles: tuple[float, float] = (0.5, 99.5),
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Scale the volume's percentiles to 0 and 1, without clamping what lies beyond.

    (x - x_low) / (x_high - x_low), DVCL appendix D with 0.5 and 99.5; equal percentiles and
    errors as in `intensity_range`.

    Returns:
        float32, ``out`` where it is given (it may be ``array``); values leave [0, 1] slightly.
    """
    low, high = intensity_range(array, percentiles)
    scaled = np.subtract(array, low, out=out, dtype=np.float32)
    scaled /= high - low
    return scaled
