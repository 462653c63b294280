"""Random flips, the paper's only augmentation besides the random crop."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

AXES = {"D": 0, "H": 1, "W": 2}


def draw_flips(axes: Sequence[str], random: np.random.Generator) -> tuple[int, ...]:
    """Axes to reverse, each of ``axes`` ("D", "H", "W") with probability one half."""
    return tuple(AXES[axis] for axis in axes if random.random() < 0.5)
