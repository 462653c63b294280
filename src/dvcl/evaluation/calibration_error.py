"""Whether probabilities are as often right as they say: class-wise expected calibration error.

Of voxels that get an organ with a probability of 0.8, eight in ten should show it. Source: Naeini
et al., AAAI 2015, https://doi.org/10.1609/aaai.v29i1.9602; by class: Kull et al., NeurIPS 2019,
https://arxiv.org/abs/1910.12656.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from torch import Tensor

BINS = 10
# Below this an organ is ruled out. Such voxels, millions in a scan and nearly all rightly so, would
# make every error vanish; those of the organ among them are counted as overlooked.
FLOOR = 0.01


@dataclass(frozen=True)
class CalibrationCounts:
    """Voxels by class and by the probability of that class, in `BINS` equal steps from 0 to 1.

    Attributes:
        voxels: (K, BINS) float64, those with a probability of at least `FLOOR`.
        hits: (K, BINS) float64, those among them that are of the class.
        confidence: (K, BINS) float64, the sum of their probabilities.
        overlooked: (K,) float64, voxels of the class below `FLOOR`.
    """

    voxels: np.ndarray
    hits: np.ndarray
    confidence: np.ndarray
    overlooked: np.ndarray

    @classmethod
    def none(cls, classes: int) -> CalibrationCounts:
        """Of no case."""
        voxels, hits, confidence = np.zeros((3, classes, BINS))
        return cls(voxels, hits, confidence, np.zeros(classes))

    @property
    def error(self) -> np.ndarray:
        """(K,) mean distance of probability and frequency, weighted by voxels; NaN without any."""
        voxels = self.voxels.sum(1)
        gaps = np.abs(self.confidence - self.hits).sum(1)
        return np.where(voxels > 0, gaps / np.maximum(voxels, 1), np.nan)

    @property
    def mean_error(self) -> float:
        """Over the organs that have one, all classes but the first; NaN without any."""
        errors = self.error[1:]
        return float(np.nanmean(errors)) if not np.isnan(errors).all() else math.nan

    @property
    def overlooked_share(self) -> np.ndarray:
        """(K,) of the voxels of a class, those that it was ruled out for; NaN without any."""
        present = self.hits.sum(1) + self.overlooked
        return np.where(present > 0, self.overlooked / np.maximum(present, 1), np.nan)

    def count(
        self, probabilities: Tensor, label: np.ndarray, annotated: np.ndarray | None = None
    ) -> None:
        """Add the voxels of a case, slice by slice.

        Args:
            probabilities: (K, D, H, W).
            label: (D, H, W) uint8 class indices.
            annotated: (K,) bool, the classes that the label shows; None where it shows all.
        """
        for place, truth in enumerate(label):
            planes = probabilities[:, place].float().cpu().numpy()
            for index, plane in enumerate(planes):
                if annotated is None or annotated[index]:
                    self._count_class(index, plane, truth == index)

    def _count_class(self, index: int, plane: np.ndarray, is_class: np.ndarray) -> None:
        possible = plane >= FLOOR
        values, right = plane[possible].astype(np.float64), is_class[possible]
        bins = np.minimum((values * BINS).astype(np.int64), BINS - 1)
        self.voxels[index] += np.bincount(bins, minlength=BINS)
        self.hits[index] += np.bincount(bins, right, minlength=BINS)
        self.confidence[index] += np.bincount(bins, values, minlength=BINS)
        self.overlooked[index] += np.count_nonzero(is_class) - np.count_nonzero(right)
