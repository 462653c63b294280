"""Warps against scipy, intensities against their formulas."""

import numpy as np
import pytest
from scipy.ndimage import affine_transform

from dvcl.sampling.augment import Intensity, copy_warped, draw_intensity, draw_warp
from dvcl.sampling.patches import copy_patch

SPACING = (4.0, 2.0, 1.0)


def volume(kind, shape=(20, 24, 28)):
    random = np.random.default_rng(0)
    if kind == np.uint8:
        return random.integers(0, 5, shape).astype(kind)
    return random.random(shape).astype(kind)


def warped(source, start, matrix, shape):
    target = np.empty(shape, source.dtype)

    def fill(first, box):
        box.fill(0)
        copy_patch(source, first, box)

    copy_warped(fill, start, matrix, target)
    return target


@pytest.mark.parametrize("kind", [np.float32, np.uint8])
def test_no_warp_is_the_patch_itself(kind):
    source = volume(kind)
    found = warped(source, (3, -2, 5), np.eye(3), (8, 10, 6))
    expected = np.zeros((8, 10, 6), kind)
    copy_patch(source, (3, -2, 5), expected)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_warps_equal_scipys(seed):
    source, shape, start = volume(np.float32), (8, 10, 6), (5, 6, 9)
    matrix = draw_warp(20, 0.2, SPACING, np.random.default_rng(seed))
    middle = (np.array(shape) - 1) / 2
    offset = np.array(start) + middle - matrix @ middle
    expected = affine_transform(source, matrix, offset, shape, order=1)
    inside = affine_transform(np.ones_like(source), matrix, offset, shape, order=1) > 0.999
    assert inside.mean() > 0.9
    found = warped(source, start, matrix, shape)
    np.testing.assert_allclose(found[inside], expected[inside], atol=2e-4)


def test_labels_take_the_nearest_voxel():
    source, shape, start = volume(np.uint8), (8, 10, 6), (5, 6, 9)
    matrix = draw_warp(20, 0.2, SPACING, np.random.default_rng(1))
    middle = (np.array(shape) - 1) / 2
    offset = np.array(start) + middle - matrix @ middle
    expected = affine_transform(source, matrix, offset, shape, order=0)
    found = warped(source, start, matrix, shape)
    # Half-way between two voxels rounding decides.
    assert (found == expected).mean() > 0.99


def test_a_turn_is_one_in_space_and_sizes_stay_within_their_limit():
    random, spacing = np.random.default_rng(0), np.diag(SPACING)
    sizes = []
    for _ in range(200):
        space = spacing @ draw_warp(30, 0.25, SPACING, random) @ np.linalg.inv(spacing)
        size = np.cbrt(np.linalg.det(space))
        np.testing.assert_allclose(space @ space.T, size**2 * np.eye(3), atol=1e-12)
        sizes.append(size)
    assert 1 / 1.25 <= min(sizes) < 0.83
    assert 1.2 < max(sizes) <= 1.25


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
