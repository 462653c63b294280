"""Calibration error against a plain count, and where it is known."""

import numpy as np
import pytest
import torch

from dvcl.evaluation.calibration_error import BINS, CalibrationCounts


def test_errors_are_those_of_a_plain_count() -> None:
    random = torch.Generator().manual_seed(0)
    maps = [(4 * torch.randn(3, 4, 5, 6, generator=random)).softmax(0) for _ in range(2)]
    labels = [np.random.default_rng(seed).integers(0, 3, (4, 5, 6)) for seed in range(2)]
    counts = CalibrationCounts.none(3)
    for probabilities, label in zip(maps, labels, strict=True):
        counts.count(probabilities, label.astype(np.uint8))
    pairs = [
        [(float(p[k][at]), label[at] == k) for p, label in zip(maps, labels, strict=True)
         for at in np.ndindex(4, 5, 6)]
        for k in range(3)
    ]  # fmt: skip
    for k, voxels in enumerate(pairs):
        possible = [(p, right) for p, right in voxels if p >= 0.01]
        error = 0.0
        for number in range(BINS):
            inside = [(p, r) for p, r in possible if number <= min(p * BINS, BINS - 1) < number + 1]
            if inside:
                p, right = np.mean(inside, axis=0)
                error += len(inside) / len(possible) * abs(p - right)
        assert counts.error[k] == pytest.approx(error)
        missed = sum(right for p, right in voxels if p < 0.01)
        assert counts.overlooked_share[k] == pytest.approx(
            missed / sum(right for _, right in voxels)
        )


def test_probabilities_that_are_drawn_from_are_calibrated_and_sharpened_ones_are_not() -> None:
    p = torch.linspace(0.02, 0.98, 50).repeat(4, 60, 20)
    label = (torch.rand(p.shape, generator=torch.Generator().manual_seed(1)) < p).byte().numpy()
    honest, sure = CalibrationCounts.none(2), CalibrationCounts.none(2)
    honest.count(torch.stack([1 - p, p]), label)
    sharp = p**3 / (p**3 + (1 - p) ** 3)
    sure.count(torch.stack([1 - sharp, sharp]), label)
    assert honest.error.max() < 0.01
    assert sure.error.min() > 0.1


def test_what_is_not_annotated_and_what_no_voxel_shows_is_undefined() -> None:
    counts = CalibrationCounts.none(3)
    probabilities = torch.zeros(3, 1, 2, 2)
    probabilities[0] = 1
    counts.count(probabilities, np.zeros((1, 2, 2), np.uint8), np.array([True, False, True]))
    assert counts.error[0] == 0
    assert np.isnan(counts.error[1:]).all()
    assert np.isnan(counts.overlooked_share[1:]).all()
