"""How sure networks are: of every voxel, and of every organ that they have found."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from dvcl.datasets.dataset import LabelTable
from dvcl.inference.restore import restore_map
from dvcl.preprocessing.geometry import Grid

RIM = 3  # voxels along a side: those that share a corner with an organ are its rim


@dataclass(frozen=True)
class Sureness:
    """How sure an ensemble is of one organ.

    Attributes:
        uncertainty: Mean entropy, as a share of ln K, of the voxels given to the organ and of those
            that touch them.
        agreement: Soft Dice of the mask and the probabilities p that made it, 2 Σ p in the mask /
            (voxels of the mask + Σ p everywhere); of several members, the mean of their p counts.
    """

    uncertainty: float
    agreement: float


Sure = Mapping[str, Sureness]


def share_of_entropy(probabilities: Tensor, axis: int = 0) -> Tensor:
    """Entropy of the classes along ``axis`` as a share of ln K, the largest possible: 0..1."""
    entropy = torch.special.entr(probabilities).sum(axis)
    return entropy.div_(math.log(probabilities.shape[axis]))


def restore_uncertainty(probabilities: Tensor, grid: Grid) -> np.ndarray:
    """Entropy of the probabilities, interpolated to the scan's own voxels, as a share of ln K.

    Args:
        probabilities: (K, d, h, w) on ``grid.prepared``.
        grid: As it came from the preparation.

    Returns:
        float32 (D, H, W) on ``grid.source``, in 0..1, in steps of a thousandth.
    """
    return restore_map(
        probabilities, grid, lambda planes: share_of_entropy(torch.from_numpy(planes)).numpy()
    )


def sureness(probabilities: Tensor, labels: LabelTable) -> dict[str, Sureness]:
    """Measure every organ that is the most probable class of some voxel.

    It is done on the prepared grid, whose spacing is the same for all scans, slice by slice.

    Args:
        probabilities: (K, d, h, w) on the prepared grid.
        labels: Names of the classes.
    """
    classes = np.empty(probabilities.shape[1:], np.uint8)
    everywhere = torch.zeros(len(probabilities), dtype=torch.float64)
    for place in range(len(classes)):
        plane = probabilities[:, place].float().cpu()
        classes[place] = plane.argmax(0).numpy()
        everywhere += plane.sum((1, 2), dtype=torch.float64)
    found = enumerate(zip(labels.organs, ndimage.find_objects(classes), strict=False), start=1)
    return {
        name: _sureness(probabilities, classes, index, box, float(everywhere[index]))
        for index, (name, box) in found
        if box is not None
    }


def _sureness(
    probabilities: Tensor,
    classes: np.ndarray,
    index: int,
    box: tuple[slice, ...],
    everywhere: float,
) -> Sureness:
    around = tuple(slice(max(0, side.start - 1), side.stop + 1) for side in box)
    organ = classes[around] == index
    near = probabilities[:, *around].float()
    with_rim = torch.from_numpy(ndimage.maximum_filter(organ, RIM)).to(near.device)
    inside = near[index][torch.from_numpy(organ).to(near.device)].sum(dtype=torch.float64)
    return Sureness(
        float(share_of_entropy(near[:, with_rim]).mean(dtype=torch.float64)),
        float(2 * inside) / (int(organ.sum()) + everywhere),
    )
