"""From class probabilities on the prepared grid to a map on the file's own grid."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from dvcl.preprocessing.geometry import Grid
from dvcl.preprocessing.interpolation import Taps, blend


def restore_classes(probabilities: torch.Tensor, grid: Grid) -> np.ndarray:
    """Interpolate the probabilities back linearly and take the most probable class.

    Works slice by slice of the file: the memory taken is the result and, per thread, a few slices
    of the prepared grid. Within a slice only what lies between voxels of different classes is
    interpolated, a few percent of a usual segmentation; elsewhere the class of the voxels around
    wins in any case. Pure noise takes six times as long. Equal probabilities go to the lower class.

    Args:
        probabilities: (K, d, h, w) on ``grid.prepared``, any floating dtype and device, best
            float32 on the CPU, which is not copied; logits or unscaled sums serve as well, since
            only their order matters after interpolation.
        grid: As it came from the preparation.

    Returns:
        uint8 (D, H, W) class indices on ``grid.source``.
    """
    return _restore(probabilities, grid, _restore_plane, np.uint8)


def restore_map(
    probabilities: torch.Tensor, grid: Grid, measure: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Interpolate back linearly, and measure every voxel there; slice by slice of the file.

    Args:
        probabilities: (C, d, h, w) on ``grid.prepared``, of classes or of anything else.
        grid: As it came from the preparation.
        measure: float32 (C, H, W) to (H, W) in 0..1.

    Returns:
        float32 (D, H, W) on ``grid.source``, in steps of a thousandth, which take less room packed.
    """

    def restore_plane(planes: np.ndarray, along_y: Taps, along_x: Taps) -> np.ndarray:
        down, across = along_y.weight[:, None], along_x.weight
        rows = blend(planes[:, along_y.lower], planes[:, along_y.upper], down)
        return measure(blend(rows[..., along_x.lower], rows[..., along_x.upper], across)).round(3)

    return _restore(probabilities, grid, restore_plane, np.float32)


def _restore(
    probabilities: torch.Tensor,
    grid: Grid,
    restore_plane: Callable[[np.ndarray, Taps, Taps], np.ndarray],
    kind: type[np.generic],
) -> np.ndarray:
    if tuple(probabilities.shape[1:]) != grid.prepared.shape:
        raise ValueError(
            f"probabilities {tuple(probabilities.shape)} do not lie on the prepared grid "
            f"{grid.prepared.shape}"
        )
    scores = probabilities.detach().to("cpu", torch.float32).numpy()
    along_z, along_y, along_x = grid.inverse_taps()
    oriented = np.empty(grid.oriented_shape, dtype=kind)

    def restore(index: int) -> None:
        oriented[index] = restore_plane(_slice_at(scores, along_z, index), along_y, along_x)

    # One thread per slice instead of torch's threads within each small operation: those wait for
    # each other thousands of times, which costs twenty times the work on a busy machine.
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        list(pool.map(restore, range(len(oriented))))
    return np.ascontiguousarray(grid.moves.undo(oriented))


def _slice_at(scores: np.ndarray, along_z: Taps, index: int) -> np.ndarray:
    """Interpolate all classes to one slice of the file: float32 (K, h, w), contiguous."""
    lower, upper = scores[:, along_z.lower[index]], scores[:, along_z.upper[index]]
    return blend(lower, upper, along_z.weight[index])


def _restore_plane(planes: np.ndarray, along_y: Taps, along_x: Taps) -> np.ndarray:
    """The most probable class, uint8 (H, W), of one slice (K, h, w)."""
    winners = _highest(planes)
    # A cell lies between four voxels; it is named by the first of them.
    padded = np.pad(winners, ((0, 1), (0, 1)), mode="edge")
    disputed = winners != padded[1:, 1:]
    disputed |= winners != padded[1:, :-1]
    disputed |= winners != padded[:-1, 1:]
    cells = np.ix_(along_y.lower, along_x.lower)
    classes = winners[cells]
    rows, columns = disputed[cells].nonzero()
    above, below = (index[rows] * winners.shape[1] for index in (along_y.lower, along_y.upper))
    left, right = along_x.lower[columns], along_x.upper[columns]
    corners = above + left, above + right, below + left, below + right
    down, across = along_y.weight[rows], along_x.weight[columns]

    def interpolate(plane: np.ndarray) -> np.ndarray:
        first, second, third, fourth = (plane[corner] for corner in corners)
        return blend(blend(first, second, across), blend(third, fourth, across), down)

    classes[rows, columns] = _highest(map(interpolate, planes.reshape(len(planes), -1)))
    return classes


def _highest(scores: Iterable[np.ndarray]) -> np.ndarray:
    """The first of the largest of K arrays, one after another: uint8, of their shape."""
    scores = iter(scores)
    highest = next(scores).copy()
    classes = np.zeros(highest.shape, dtype=np.uint8)
    for k, values in enumerate(scores, start=1):
        higher = values > highest
        np.maximum(highest, values, out=highest)
        # The class number grows, so a maximum writes it where it wins; faster than masking.
        np.maximum(classes, higher.view(np.uint8) * np.uint8(k), out=classes)
    return classes
