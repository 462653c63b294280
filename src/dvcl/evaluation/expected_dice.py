"""The Dice that a mask without a reference is likely to have, by how far it agrees with itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class DiceLine:
    """A line from the agreement of mask and probabilities to the Dice, never falling.

    Attributes:
        slope: At least 0; where agreement tells nothing the line is the mean Dice.
        intercept: At an agreement of 0.
        error: Mean absolute error of a case that the line was not fitted to (leave-one-out).
        error_of_mean: The same of the mean Dice of the other cases, which looks at no scan.
    """

    slope: float
    intercept: float
    error: float
    error_of_mean: float

    def __call__(self, agreement: float) -> float:
        """Expected Dice, in 0..1."""
        return min(1.0, max(0.0, self.intercept + self.slope * agreement))


def fit_dice(agreement: Sequence[float], dice: Sequence[float]) -> DiceLine:
    """Fit by least squares.

    A line, as twenty cases hardly tell more than two numbers.

    Args:
        agreement: (n,) in 0..1, of at least two cases.
        dice: (n,) in 0..1.
    """
    x, y = np.array(agreement, np.float64), np.array(dice, np.float64)
    others = ~np.eye(len(x), dtype=bool)
    errors = [
        abs(DiceLine(*_fit(x[rest], y[rest]), 0, 0)(at) - truth)
        for rest, at, truth in zip(others, x, y, strict=True)
    ]
    of_mean = [abs(y[rest].mean() - truth) for rest, truth in zip(others, y, strict=True)]
    return DiceLine(*_fit(x, y), float(np.mean(errors)), float(np.mean(of_mean)))


def _fit(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    x, first = x - x[0], x[0]  # equal values differ by nothing, whatever the rounding of a mean
    along = x - x.mean()
    spread = float(along @ along)
    slope = max(0.0, float(along @ y) / spread) if spread else 0.0
    return slope, float(y.mean() - slope * (x.mean() + first))
