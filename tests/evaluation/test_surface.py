"""Surface distances against naive loops, MONAI, and shapes whose distances are known."""

import math

import numpy as np
import pytest
import torch
from monai.metrics import (
    compute_average_surface_distance,
    compute_hausdorff_distance,
    compute_surface_dice,
)
from scipy import ndimage

from dvcl.evaluation.surface import SurfaceDistances, surface_distances

SPACING_MM = (2.5, 0.8, 1.2)
CLASSES = 4


def random_classes(seed, shape=(9, 14, 12)):
    random = np.random.default_rng(seed)
    fields = [ndimage.gaussian_filter(random.normal(size=shape), 1.5) for _ in range(CLASSES)]
    return np.argmax(fields, axis=0).astype(np.uint8)


REFERENCE = random_classes(0)
PREDICTION = np.where(random_classes(1) == 0, np.roll(REFERENCE, 1, 1), REFERENCE)


def naive_surface(mask):
    """Positions in mm of the voxels of a mask that have a face outside it."""
    inside = {tuple(place) for place in np.argwhere(mask)}
    steps = [tuple(step) for step in (*np.eye(3, dtype=int), *-np.eye(3, dtype=int))]
    edge = [p for p in inside if any(tuple(np.add(p, step)) not in inside for step in steps)]
    return [tuple(np.multiply(place, SPACING_MM)) for place in edge]


def naive_distances(start, end):
    return sorted(min(math.dist(a, b) for b in end) for a in start)


def test_every_distance_equals_a_naive_search():
    found = surface_distances(REFERENCE, PREDICTION, CLASSES, SPACING_MM)
    for index, distances in enumerate(found, start=1):
        reference, prediction = (naive_surface(v == index) for v in (REFERENCE, PREDICTION))
        for values, start, end in (
            (distances.to_prediction, reference, prediction),
            (distances.to_reference, prediction, reference),
        ):
            np.testing.assert_allclose(sorted(values), naive_distances(start, end), atol=1e-12)


def one_hot(classes):
    planes = torch.nn.functional.one_hot(torch.from_numpy(classes).long(), CLASSES)
    return planes.movedim(-1, 0)[None].float()


@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")
def test_scores_equal_those_of_monai():
    pair = one_hot(PREDICTION), one_hot(REFERENCE)
    hd95 = compute_hausdorff_distance(*pair, percentile=95, spacing=SPACING_MM)
    assd = compute_average_surface_distance(*pair, symmetric=True, spacing=SPACING_MM)
    nsd = compute_surface_dice(*pair, [2.0] * (CLASSES - 1), spacing=SPACING_MM)
    found = list(surface_distances(REFERENCE, PREDICTION, CLASSES, SPACING_MM))
    assert [d.hd95 for d in found] == pytest.approx(hd95[0].tolist(), rel=1e-5)
    assert [d.average for d in found] == pytest.approx(assd[0].tolist(), rel=1e-5)
    assert [d.within(2.0) for d in found] == pytest.approx(nsd[0].tolist(), rel=1e-5)


def ball(radius_mm, spacing_mm, shape):
    axes = np.meshgrid(*(np.arange(n) - n // 2 for n in shape), indexing="ij")
    distance_mm = np.sqrt(
        sum((axis * step) ** 2 for axis, step in zip(axes, spacing_mm, strict=True))
    )
    return (distance_mm <= radius_mm).astype(np.uint8)


def test_balls_with_the_same_centre_are_apart_by_the_difference_of_their_radii():
    spacing_mm, shape = (1.0, 0.5, 0.5), (31, 61, 61)
    (found,) = surface_distances(
        ball(10, spacing_mm, shape), ball(14, spacing_mm, shape), 2, spacing_mm
    )
    # Voxels round a surface by up to half their diagonal, 0.6 mm, on both sides.
    assert found.average == pytest.approx(4, abs=0.6)
    assert found.hd95 == pytest.approx(4, abs=1.2)
    assert (found.within(2.7), found.within(5.3)) == (0, 1)


def box(first, size, shape=(12, 12, 12)):
    mask = np.zeros(shape, np.uint8)
    mask[tuple(slice(a, a + n) for a, n in zip(first, size, strict=True))] = 1
    return mask


def test_a_shifted_slab_is_apart_by_its_shift():
    (found,) = surface_distances(
        box((2, 0, 0), (1, 12, 12)), box((5, 0, 0), (1, 12, 12)), 2, (2.0, 1.0, 1.0)
    )
    assert set(found.to_prediction) == set(found.to_reference) == {6.0}
    assert found.hd95 == found.hd95_pooled == found.average == 6
    # A distance that equals the tolerance is within it.
    assert (found.within(6), found.within(5.9)) == (1, 0)


def test_equal_surfaces_have_no_distance():
    for found in surface_distances(REFERENCE, REFERENCE, CLASSES, SPACING_MM):
        assert found.hd95 == found.average == 0
        assert found.within(0) == 1


def test_voxels_at_the_border_of_the_volume_are_surface():
    (found,) = surface_distances(np.ones((3, 3, 3), np.uint8), box((1, 1, 1), (1, 1, 1), (3, 3, 3)),
                                 2, (1.0, 1.0, 1.0))  # fmt: skip
    assert len(found.to_prediction) == 26


def test_where_one_side_has_nothing_distances_are_infinite_or_none():
    organ, nothing = box((1, 1, 1), (3, 3, 3)), np.zeros((12, 12, 12), np.uint8)
    (missed,) = surface_distances(organ, nothing, 2, SPACING_MM)
    assert missed.hd95 == missed.hd95_pooled == missed.average == math.inf
    assert missed.within(1000) == 0
    (neither,) = surface_distances(nothing, nothing, 2, SPACING_MM)
    assert all(map(math.isnan, (neither.hd95, neither.average, neither.within(1))))


def test_the_two_definitions_of_hd95_differ():
    distances = SurfaceDistances(np.zeros(1000), np.linspace(0, 10, 11))
    assert distances.hd95 == pytest.approx(9.5)
    assert distances.hd95_pooled == 0
