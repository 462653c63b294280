"""Which scans to label next: those that are doubtful and unlike what is labelled already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata


@dataclass(frozen=True)
class Choice:
    """A scan in the order of the choice.

    Attributes:
        index: Of the scan.
        distance: From the nearest scan that is labelled or was chosen before it.
    """

    index: int
    distance: float


def doubtfulness(uncertainty: Sequence[float], disagreement: Sequence[float]) -> np.ndarray:
    """How doubtful each scan is among the others, (N,) in 0..1: the mean of its two ranks over N.

    Ranks, as the two measures have no common unit; equal values share their mean rank.

    Args:
        uncertainty: Of each scan.
        disagreement: Of each scan.
    """
    ranks = (rankdata(values) for values in (uncertainty, disagreement))
    return np.mean([rank / len(uncertainty) for rank in ranks], axis=0)


def farthest_first(
    features: np.ndarray, labelled: np.ndarray, weights: np.ndarray | None = None
) -> list[Choice]:
    """Order scans: each time the one with the greatest weight times distance to the nearest one.

    With equal weights it is the greedy k-centre: the farthest scan from its nearest labelled or
    chosen one is at most twice as far as under the best choice of so many. Source: Gonzalez,
    Theoretical Computer Science 38 (1985), https://doi.org/10.1016/0304-3975(85)90224-5; for
    choosing what to label: Sener and Savarese, ICLR 2018, https://arxiv.org/abs/1708.00489.

    Args:
        features: (N, d), of the scans to choose from.
        labelled: (M, d), of those that are labelled; M may be 0.
        weights: (N,) at least 0; all alike without.

    Returns:
        All N scans; of equal ones the earlier first.
    """
    weights = np.ones(len(features)) if weights is None else weights
    nearest = np.full(len(features), np.inf)
    for row in labelled:
        nearest = np.minimum(nearest, _distances(features, row))
    left, order = list(range(len(features))), []
    while left:
        # Before anything is labelled or chosen all are as far away.
        far = nearest[left] if np.isfinite(nearest[left]).all() else np.ones(len(left))
        best = left.pop(int(np.argmax(weights[left] * far)))
        order.append(Choice(best, float(nearest[best])))
        nearest = np.minimum(nearest, _distances(features, features[best]))
    return order


def _distances(features: np.ndarray, row: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.norm(features - row, axis=1))
