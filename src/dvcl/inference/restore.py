"""From class probabilities on the prepared grid to a label map on the file's own grid."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from dvcl.preprocessing.geometry import Grid
from dvcl.preprocessing.interpolation import Taps


def restore_classes(probabilities: torch.Tensor, grid: Grid) -> np.ndarray:
    """Interpolate the probabilities back linearly and take the most probable class.

    Works through the file's slices and, within one, through the classes with a running maximum:
    the memory taken is the result and a few slices, whatever K is. Equal probabilities go to the
    lower class.

    Args:
        probabilities: (K, d, h, w) on ``grid.prepared``, any floating dtype and device, best
            float32 on the CPU, which is not copied; logits or unscaled sums serve as well, since
            only their order matters after interpolation.
        grid: As it came from the preparation.

    Returns:
        uint8 (D, H, W) class indices on ``grid.source``.
    """
    if tuple(probabilities.shape[1:]) != grid.prepared.shape:
        raise ValueError(
            f"probabilities {tuple(probabilities.shape)} do not lie on the prepared grid "
            f"{grid.prepared.shape}"
        )
    scores = probabilities.detach().to("cpu", torch.float32).numpy()
    taps = grid.inverse_taps()
    oriented = np.zeros(grid.oriented_shape, dtype=np.uint8)

    def restore(index: int) -> None:
        _restore_slice(oriented[index], scores, index, taps)

    # One thread per slice instead of torch's threads within each small operation: those wait for
    # each other thousands of times, which costs twenty times the work on a busy machine.
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        list(pool.map(restore, range(len(oriented))))
    return np.ascontiguousarray(grid.moves.undo(oriented))


def _restore_slice(
    classes: np.ndarray, scores: np.ndarray, index: int, taps: list[Taps | None]
) -> None:
    """Write the most probable class of one slice of the oriented file grid into zeros (H, W)."""
    highest = _restore_plane(scores[0], index, taps)
    for k in range(1, len(scores)):
        plane = _restore_plane(scores[k], index, taps)
        higher = plane > highest
        np.maximum(highest, plane, out=highest)
        # The class number grows, so a maximum writes it where it wins; faster than masking.
        np.maximum(classes, higher.view(np.uint8) * np.uint8(k), out=classes)


def _restore_plane(volume: np.ndarray, index: int, taps: list[Taps | None]) -> np.ndarray:
    """Interpolate one class to one slice: float32 (H, W), a new array."""
    along_z, along_y, along_x = taps
    if along_z is None:
        plane = volume[index].copy()
    else:
        lower, upper = volume[along_z.lower[index]], volume[along_z.upper[index]]
        plane = lower + along_z.weight[index] * (upper - lower)
    if along_x is not None:
        # Rows are gathered much faster than columns.
        plane = np.ascontiguousarray(_interpolate_rows(np.ascontiguousarray(plane.T), along_x).T)
    return plane if along_y is None else _interpolate_rows(plane, along_y)


def _interpolate_rows(plane: np.ndarray, taps: Taps) -> np.ndarray:
    lower, blended = plane[taps.lower], plane[taps.upper]
    blended -= lower
    blended *= taps.weight[:, None]
    blended += lower
    return blended
