"""Signed distance maps against a loop over all pairs of voxels."""

import math

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

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


@pytest.mark.parametrize(
    ("shape", "middle", "radii"),
    [
        ((24, 40, 33), (12, 20, 16), (5, 9, 4)),
        ((24, 40, 33), (0, 39, 16), (9, 9, 40)),  # cut off by the patch
        ((5, 20, 300), (2, 10, 20), (2, 4, 9)),  # distances whose squares take more than 16 bits
        ((40, 40, 40), (20, 20, 20), (30, 30, 30)),
    ],
)
def test_organs_equal_another_transform_bit_for_bit(shape, middle, radii):
    squares = (
        ((places - centre) / radius) ** 2
        for places, centre, radius in zip(np.ogrid[*map(slice, shape)], middle, radii, strict=True)
    )
    mask = sum(squares) < 1
    mask[tuple(np.minimum(middle, np.array(shape) - 1))] = False  # a hole
    outside, inside = (distance_transform_edt(part) for part in (~mask, mask))
    squares = [np.rint(part**2).astype(np.float32) for part in (outside, inside)]
    outside, inside = map(np.sqrt, squares)
    inside[inside == 1] = 0
    expected = outside / outside.max() - inside / inside.max()
    assert np.array_equal(signed_distance(mask), expected)


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
