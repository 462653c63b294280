"""How a term's weight grows during training."""

from __future__ import annotations

import math


def sigmoid_ramp(progress: float) -> float:
    """exp(-5 (1 - progress)^2): from 0.0067 at the start to 1 at the end (Laine and Aila, 2017)."""
    return math.exp(-5.0 * (1.0 - min(max(progress, 0.0), 1.0)) ** 2)


def delayed(progress: float, start: float) -> float:
    """Progress of something that begins at ``start``: 0 until then, 1 at the end."""
    return max(0.0, (progress - start) / (1.0 - start)) if start < 1.0 else 0.0
