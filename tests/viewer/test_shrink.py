"""Blocks of voxels: their means, their classes and their places."""

import numpy as np
import pytest

from dvcl.viewer.shrink import shrink_classes, shrink_factors, shrink_image
from dvcl.volume import Geometry, Volume

SHAPE = (7, 8, 9)


def geometry(shape, spacing_zyx):
    return Geometry(shape, np.diag([*spacing_zyx[::-1], 1.0]))


@pytest.mark.parametrize(
    ("shape", "spacing", "most", "factors"),
    [
        ((100, 100, 100), (1, 1, 1), 1_000_000, (1, 1, 1)),
        ((100, 100, 100), (1, 1, 1), 999_999, (2, 1, 1)),
        ((100, 512, 512), (5, 0.8, 0.8), 1_500_000, (1, 5, 4)),
        ((1, 10, 10), (0.1, 1, 1), 25, (1, 2, 2)),
        ((3, 3, 3), (1, 1, 1), 1, (3, 3, 3)),
    ],
)
def test_the_finest_axis_is_made_coarser_first(shape, spacing, most, factors):
    assert shrink_factors(geometry(shape, spacing), most) == factors


@pytest.mark.parametrize("factors", [(1, 1, 1), (2, 1, 3), (2, 3, 4)])
def test_a_linear_ramp_keeps_its_values_at_their_places(factors):
    # Rotated and mirrored, so that every entry of the affine counts.
    affine = np.array([[0, -2.0, 0, 5], [1.5, 0, 0.3, -7], [0, 0, 4.0, 11], [0, 0, 0, 1]])
    index = np.indices(SHAPE)[::-1]
    world = np.einsum("ij,j...->i...", affine[:3, :3], index) + affine[:3, 3, None, None, None]
    whole = tuple(size // factor for size, factor in zip(SHAPE, factors, strict=True))
    for axis in range(3):
        small = shrink_image(Volume(world[axis], affine), factors)
        places = np.indices(small.shape)[::-1]
        expected = np.einsum("j,j...->...", small.affine[axis, :3], places) + small.affine[axis, 3]
        inner = tuple(slice(size) for size in whole)
        np.testing.assert_allclose(small.array[inner], expected[inner], atol=1e-4)


@pytest.mark.parametrize("factors", [(1, 1, 1), (2, 2, 2), (3, 2, 4)])
def test_a_block_has_the_class_that_fills_most_of_it(factors):
    classes = np.random.default_rng(0).integers(0, 4, SHAPE).astype(np.uint8) * 80
    small = shrink_classes(classes, factors)
    widths = [(0, -size % factor) for size, factor in zip(SHAPE, factors, strict=True)]
    padded = np.pad(classes, widths, mode="edge")
    for place in np.ndindex(small.shape):
        block = padded[
            tuple(slice(at * f, (at + 1) * f) for at, f in zip(place, factors, strict=True))
        ]
        values, counts = np.unique(block, return_counts=True)
        assert small[place] == values[counts.argmax()], "of equal counts the lower class"
