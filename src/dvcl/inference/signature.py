"""One row of numbers for a whole scan: how a network sees each class in it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dvcl.inference.representing import represent_volume
from dvcl.inference.sliding_window import AIR, Window
from dvcl.methods.method import Representation

EVERY = 4  # so many voxels along each axis lie between two that are looked at


def signature(
    represent: Callable[[Tensor], Representation],
    image: Tensor,
    window: Window,
    device: torch.device,
) -> np.ndarray:
    """The mean of the network's features over each class, voxels weighed by its probability.

    Every fourth voxel along each axis counts, air left out; features have unit length before they
    are averaged. A class that the scan does not show has the mean of what comes nearest to it.

    Args:
        represent: `Method.represent`.
        image: (D, H, W) float32, prepared.
        window: Its size counts, not its stride.
        device: Where windows are represented.

    Returns:
        (K * d,) float64.
    """
    coarse = image[::EVERY, ::EVERY, ::EVERY]
    shown = coarse > AIR
    voxels = (shown if shown.any() else torch.ones_like(shown)).nonzero() * EVERY
    log_probabilities, features = represent_volume(represent, image, window, voxels, device)
    d, h, w = voxels.unbind(1)
    believed = log_probabilities.cpu()[:, d, h, w].double()
    # The softmax over voxels of a class: its weights add up to 1 however small they are.
    return (believed.softmax(1) @ F.normalize(features.double(), dim=1)).flatten().numpy()
