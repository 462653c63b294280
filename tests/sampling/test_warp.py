"""Turned and scaled patches against scipy."""

import numpy as np
import pytest
from scipy.ndimage import affine_transform

from dvcl.sampling.patches import copy_patch
from dvcl.sampling.warp import copy_warped, draw_warp

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
