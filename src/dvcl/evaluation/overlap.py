"""Overlap of two label maps: a confusion matrix, and Dice and Jaccard read off it."""

from __future__ import annotations

import numpy as np


def confusion_matrix(reference: np.ndarray, prediction: np.ndarray, classes: int) -> np.ndarray:
    """Count how often each reference class was given each predicted class.

    Every voxel falls into one bin, K * reference + prediction. Counting slice by slice keeps the
    intermediate integers in the processor's cache and the memory need at one slice.

    Args:
        reference: Class indices 0..K-1, (D, H, W).
        prediction: Class indices 0..K-1, (D, H, W).
        classes: K, the background included.

    Returns:
        (K, K) int64, [reference class, predicted class].

    Raises:
        ValueError: When the shapes differ or an index is outside 0..K-1.
    """
    if reference.shape != prediction.shape:
        raise ValueError(f"shapes differ: {reference.shape} and {prediction.shape}")
    for name, array in (("reference", reference), ("prediction", prediction)):
        if array.size and not 0 <= array.min() <= array.max() < classes:
            raise ValueError(f"{name}: class indices outside 0..{classes - 1}")
    bins = np.zeros(classes * classes, dtype=np.int64)
    for expected, found in zip(reference, prediction, strict=True):
        # Nearly everything is background on both sides: counted without being looked at.
        organs = np.flatnonzero(expected | found)
        pairs = expected.ravel()[organs].astype(np.int64) * classes + found.ravel()[organs]
        bins += np.bincount(pairs, minlength=bins.size)
        bins[0] += expected.size - organs.size
    return bins.reshape(classes, classes)


def dice(confusion: np.ndarray) -> np.ndarray:
    """Dice coefficient 2 |R and P| / (|R| + |P|) of every class, R reference, P prediction.

    Source: Dice, Ecology 26 (1945), https://doi.org/10.2307/1932409.

    Args:
        confusion: (K, K) from `confusion_matrix`; matrices of several cases may be added up.

    Returns:
        (K,) float64 in 0..1; NaN for a class that the reference lacks.
    """
    shared, expected, found = _counts(confusion)
    return np.where(expected > 0, 2 * shared / np.maximum(expected + found, 1), np.nan)


def agreement(confusion: np.ndarray) -> np.ndarray:
    """Dice coefficient of two label maps of which neither is the reference.

    Args:
        confusion: (K, K) from `confusion_matrix`.

    Returns:
        (K,) float64 in 0..1, 0 for a class that one map alone shows; NaN for one that neither does.
    """
    shared, one, other = _counts(confusion)
    return np.where(one + other > 0, 2 * shared / np.maximum(one + other, 1), np.nan)


def jaccard(confusion: np.ndarray) -> np.ndarray:
    """Jaccard index |R and P| / |R or P| of every class, R reference, P prediction.

    Source: Jaccard, New Phytologist 11 (1912), https://doi.org/10.1111/j.1469-8137.1912.tb05611.x.

    Args:
        confusion: (K, K) from `confusion_matrix`; matrices of several cases may be added up.

    Returns:
        (K,) float64 in 0..1; NaN for a class that the reference lacks.
    """
    shared, expected, found = _counts(confusion)
    return np.where(expected > 0, shared / np.maximum(expected + found - shared, 1), np.nan)


def _counts(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.diagonal(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
