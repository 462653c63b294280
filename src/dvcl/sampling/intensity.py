"""Random changes of a patch's intensities."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter


class Intensity(NamedTuple):
    """How the intensities of one patch are changed.

    Attributes:
        gain: Contrast about the patch's mean.
        shift: Added to all.
        gamma: Exponent of intensities of at least 0.
        noise: Standard deviation of white noise.
        blur: Standard deviation in voxels.
        seed: Of the noise.
    """

    gain: float
    shift: float
    gamma: float
    noise: float
    blur: float
    seed: int

    def apply(self, pixels: np.ndarray) -> None:
        """Change a patch (d, h, w) float32 in place."""
        if self.blur > 0:
            pixels[...] = gaussian_filter(pixels, self.blur)
        if self.gamma != 1:
            np.power(np.maximum(pixels, 0), self.gamma, out=pixels)
        mean = pixels.mean()
        pixels -= mean
        pixels *= np.float32(self.gain)
        pixels += mean + np.float32(self.shift)
        if self.noise > 0:
            random = np.random.default_rng(self.seed)
            pixels += np.float32(self.noise) * random.standard_normal(pixels.shape, np.float32)


def draw_intensity(
    contrast: float,
    shift: float,
    gamma: float,
    noise: float,
    blur: float,
    random: np.random.Generator,
) -> Intensity:
    """Each amount evenly up to its largest; contrast and gamma by their logarithm, both ways."""
    return Intensity(
        gain=float(np.exp(random.uniform(-1, 1) * np.log1p(contrast))),
        shift=float(random.uniform(-shift, shift)),
        gamma=float(np.exp(random.uniform(-1, 1) * np.log1p(gamma))),
        noise=float(random.uniform(0, noise)),
        blur=float(random.uniform(0, blur)),
        seed=int(random.integers(2**32)),
    )
