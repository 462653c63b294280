"""Changed intensities against their formulas."""

import numpy as np
import pytest

from dvcl.sampling.intensity import Intensity, draw_intensity


def test_intensities_by_hand():
    pixels = np.array([[[0.0, 0.5, 1.0]]], np.float32)
    change = Intensity(gain=2, shift=0.1, gamma=2, noise=0, blur=0, seed=0)
    change.apply(pixels)
    powered = np.array([0, 0.25, 1])
    expected = 2 * (powered - powered.mean()) + powered.mean() + 0.1
    np.testing.assert_allclose(pixels[0, 0], expected, rtol=1e-6)


def test_noise_and_blur_have_their_strength_and_are_repeatable():
    still = np.zeros((20, 20, 20), np.float32)
    change = Intensity(gain=1, shift=0, gamma=1, noise=0.2, blur=0, seed=3)
    once, again = still.copy(), still.copy()
    change.apply(once)
    change.apply(again)
    assert np.array_equal(once, again)
    assert once.std() == pytest.approx(0.2, rel=0.05)
    point = still.copy()
    point[10, 10, 10] = 1
    change._replace(noise=0.0, blur=1.0).apply(point)
    assert point.sum() == pytest.approx(1, rel=1e-3)
    assert point[10, 10, 10] == pytest.approx((2 * np.pi) ** -1.5, rel=0.02)


def test_amounts_stay_within_their_limits():
    random = np.random.default_rng(0)
    found = [draw_intensity(0.2, 0.1, 0.5, 0.05, 1.5, random) for _ in range(300)]
    limits = {"gain": (1 / 1.2, 1.2), "shift": (-0.1, 0.1), "gamma": (1 / 1.5, 1.5),
              "noise": (0, 0.05), "blur": (0, 1.5)}  # fmt: skip
    for name, (least, most) in limits.items():
        values = [getattr(change, name) for change in found]
        assert least <= min(values) < least + 0.1 * (most - least)
        assert most - 0.1 * (most - least) < max(values) <= most
