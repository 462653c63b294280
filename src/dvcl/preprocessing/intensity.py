"""Intensity: the clipping window and the percentile scale of the paper's appendix D."""

from __future__ import annotations

import numpy as np

from dvcl.errors import InputError

# A sample of this size tells within a few thousandths where a percentile lies.
SAMPLED = 100_000

# Interpolating equal voxels leaves float32 round-off, which must not be scaled up to contrast.
ROUND_OFF = 1e-5


def clip_window(array: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """Clip to (low, high), for CT in HU; float32, a new array."""
    return np.clip(array, *window, dtype=np.float32)


def require_finite(array: np.ndarray) -> tuple[float, float]:
    """Minimum and maximum, which tell of every NaN and infinity.

    Raises:
        InputError: When there is one.
    """
    minimum, maximum = float(array.min()), float(array.max())
    if not np.isfinite([minimum, maximum]).all():
        raise InputError(
            "the image has voxels that are not finite (NaN or infinity); numbers were expected. "
            "Export it again or replace those voxels."
        )
    return minimum, maximum


def percentile(array: np.ndarray, percent: float) -> float:
    """What `numpy.percentile` finds, in a fifth of its time on a large image.

    A sample brackets the percentile; it is selected from the values within the bracket alone, or
    from all, where the sample misled.

    Args:
        array: Any shape, finite.
        percent: In [0, 100].
    """
    values = array.ravel()
    place = percent / 100 * (len(values) - 1)
    low, high = _bracket(values, percent / 100)
    below, upto = (int(np.count_nonzero(part)) for part in (values < low, values <= high))
    if not below <= np.floor(place) <= np.ceil(place) < upto:
        low, high, below = values.min(), values.max(), 0
    if low == high:
        return float(low)
    ranks = [int(rank) - below for rank in (np.floor(place), np.ceil(place))]
    between = values[(values >= low) & (values <= high)]
    lower, upper = np.partition(between, ranks)[ranks].tolist()
    return float(lower + (upper - lower) * (place % 1))


def _bracket(values: np.ndarray, share: float) -> tuple[np.generic, np.generic]:
    """Two values that the quantile lies between, as far as a sample tells."""
    sample = np.sort(values[:: max(1, len(values) // SAMPLED)])
    # Five standard deviations of the rank, as if the sample were random.
    margin = 1 + 5 * np.sqrt(len(sample) * share * (1 - share))
    first, last = (int(share * (len(sample) - 1) + sign * margin) for sign in (-1, 1))
    low = sample[first] if first > 0 else values.min()
    high = sample[last] if last < len(sample) else values.max()
    return low, high


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
    minimum, maximum = require_finite(array)
    negligible = ROUND_OFF * max(abs(minimum), abs(maximum))
    if maximum - minimum <= negligible:
        raise InputError(
            f"every voxel of the image has the value {minimum:g}, after clipping where a window is "
            "set; an image with contrast was expected. Export it again, check that the window "
            "fits its units, or leave the case out."
        )
    low, high = (percentile(array, percent) for percent in percentiles)
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
