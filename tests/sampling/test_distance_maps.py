"""Signed distance maps against a loop over all pairs of voxels."""

import math

import numpy as np
import pytest

from dvcl.sampling.distance_maps import signed_distance, signed_distance_maps


def by_brute_force(mask: np.ndarray) -> np.ndarray:
    """Distance to the other side, over its largest value; 0 next to the other side's face."""
    voxels = list(np.ndindex(*mask.shape))
    if not mask.any() or mask.all():
        return np.full(mask.shape, -1.0 if mask.any() else 1.0)
    distances = {
        voxel: min(math.dist(voxel, other) for other in voxels if mask[other] != mask[voxel])
        for voxel in voxels
    }
    outside = max(d for voxel, d in distances.items() if not mask[voxel])
    inside = max(d for voxel, d in distances.items() if mask[voxel])
    found = np.empty(mask.shape)
    for voxel, d in distances.items():
        if not mask[voxel]:
            found[voxel] = d / outside
        else:
            found[voxel] = 0 if d == 1 else -d / inside
    return found


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9, 0.995])
@pytest.mark.parametrize("shape", [(6, 7, 5), (1, 9, 4), (1, 1, 6)])
def test_random_masks_equal_brute_force(shape, share):
    random = np.random.default_rng(3)
    for _ in range(3):
        mask = random.random(shape) < share
        np.testing.assert_allclose(signed_distance(mask), by_brute_force(mask), atol=1e-6)


def test_organs_with_an_interior_equal_brute_force():
    mask = np.zeros((9, 8, 9), dtype=bool)
    mask[2:8, 1:7, 3:] = True  # touches the border of the patch: no boundary there
    found = signed_distance(mask)
    np.testing.assert_allclose(found, by_brute_force(mask), atol=1e-6)
    assert (found.min(), found.max()) == (-1, 1)
    assert found[4, 3, 8] < 0
    mask[4, 3, 5] = False  # a hole
    np.testing.assert_allclose(signed_distance(mask), by_brute_force(mask), atol=1e-6)


def test_a_line_by_hand():
    mask = np.array([0, 0, 0, 1, 1, 1, 1, 1, 0], dtype=bool).reshape(1, 1, 9)
    expected = [1, 2 / 3, 1 / 3, 0, -2 / 3, -1, -2 / 3, 0, 1 / 3]
    np.testing.assert_allclose(signed_distance(mask).flatten(), expected, atol=1e-6)


def test_one_voxel_is_its_own_boundary():
    mask = np.zeros((3, 3, 3), dtype=bool)
    mask[1, 1, 1] = True
    found = signed_distance(mask)
    assert found[1, 1, 1] == 0
    assert found[0, 0, 0] == 1
    assert found[1, 1, 0] == pytest.approx(1 / math.sqrt(3))


def test_absent_and_full_classes_are_far_outside_and_deep_inside():
    labels = np.stack([np.zeros((4, 4, 4)), np.full((4, 4, 4), 2)]).astype(np.uint8)
    maps = signed_distance_maps(labels, 3)
    assert maps.shape == (2, 2, 4, 4, 4)
    assert maps.dtype == np.float32
    assert (maps[0] == 1).all()
    assert (maps[1, 0] == 1).all()
    assert (maps[1, 1] == -1).all()


def test_every_class_and_patch_has_its_own_map():
    labels = np.random.default_rng(0).integers(0, 4, (3, 5, 4, 6)).astype(np.uint8)
    maps = signed_distance_maps(labels, 5)
    for patch, organ in np.ndindex(3, 4):
        expected = by_brute_force(labels[patch] == organ + 1)
        np.testing.assert_allclose(maps[patch, organ], expected, atol=1e-6)
