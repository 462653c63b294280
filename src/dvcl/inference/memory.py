"""How much memory the prediction of a scan takes, known from its header."""

from __future__ import annotations

import math

from dvcl.inference.sliding_window import Window
from dvcl.preprocessing.geometry import Grid

# Of every voxel of the file: its float32 value while the file's own and the result come and go.
SOURCE_VOXEL_BYTES = 8
# Of every prepared voxel: the image twice, how often it was seen; and each class' probability.
PREPARED_VOXEL_BYTES, VALUE_BYTES = 12, 4


def peak_bytes(grid: Grid, window: Window, values: int, result_bytes: int = 0) -> int:
    """Memory at the peak, beyond the program and one window's maps, which small scans need too.

    Args:
        grid: Of the scan, from `Preprocessing.grid`.
        window: Of the prediction; a scan that is smaller is padded to it.
        values: Kept of every prepared voxel: K, or `Ensemble.maps_held`.
        result_bytes: Of every voxel of the file, for what is made beside the label map.
    """
    fitted = window.fitted(grid.prepared.shape)
    sides = zip(grid.prepared.shape, fitted.size, strict=True)
    padded = math.prod(max(side, least) for side, least in sides)
    source = math.prod(grid.source.shape)
    prepared_bytes = PREPARED_VOXEL_BYTES + VALUE_BYTES * values
    return (SOURCE_VOXEL_BYTES + result_bytes) * source + prepared_bytes * padded
