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


def strong(
    images: Tensor,
    random: torch.Generator,
    jitter: float = 0.3,
    deviation: float = 0.1,
    limit: float = 0.2,
) -> Tensor:
    """A strong view for FixMatch and its family: intensity jitter, then clamped noise.

    Every patch's contrast about its mean is multiplied, and its brightness shifted, by one draw
    each: x -> mean + a (x - mean) + b, with a uniform in [1 - jitter, 1 + jitter] and b uniform in
    [-jitter / 2, jitter / 2], where intensities span about 1.

    Args:
        images: (B, 1, D, H, W), normalised intensities.
        random: On the images' device.
        jitter: Strength of both changes, in [0, 1).
        deviation: Of the noise.
        limit: Largest absolute value of the noise.
    """
    shape = (2, len(images), 1, 1, 1, 1)
    draws = torch.rand(shape, generator=random, device=images.device, dtype=images.dtype) - 0.5
    contrast, brightness = 1 + 2 * jitter * draws[0], jitter * draws[1]
    mean = images.mean((2, 3, 4), keepdim=True)
    return noisy(mean + contrast * (images - mean) + brightness, random, deviation, limit)
