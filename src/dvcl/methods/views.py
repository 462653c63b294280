"""Other views of the same images: what is changed is never the geometry."""

from __future__ import annotations

import torch
from torch import Tensor


def noisy(
    images: Tensor, random: torch.Generator, deviation: float = 0.1, limit: float = 0.2
) -> Tensor:
    """Images with clamped Gaussian noise, the perturbation of UA-MT and its family.

    Args:
        images: (B, 1, D, H, W), normalised intensities.
        random: On the images' device.
        deviation: Of the noise.
        limit: Largest absolute value of the noise.
    """
    noise = torch.randn(images.shape, generator=random, device=images.device, dtype=images.dtype)
    return images + (deviation * noise).clamp_(-limit, limit)
