"""Organs in space: silhouettes against projected voxels, what is in front, thin organs, shading."""

import numpy as np
import pytest
from matplotlib.colors import rgb_to_hsv, to_rgb

from dvcl.datasets.organs import organ_colour
from dvcl.report.surface_view import camera_for, surface_view

SHAPE, SPACING_MM = (30, 48, 40), (4.0, 2.0, 2.5)


def ball(centre_mm, radius_mm, index=1):
    """Class indices of a ball on an anisotropic grid."""
    z, y, x = np.indices(SHAPE) * np.reshape(SPACING_MM, (3, 1, 1, 1))
    square = sum((axis - place) ** 2 for axis, place in zip((z, y, x), centre_mm, strict=True))
    return np.where(square < radius_mm**2, index, 0).astype(np.uint8)


def view(classes, pixels=160):
    camera = camera_for(classes > 0, SPACING_MM, pixels)
    return surface_view(classes, SPACING_MM, camera), camera


def hue(index):
    return rgb_to_hsv(to_rgb(organ_colour(index)))[0]


def test_a_ball_is_a_round_disc_on_an_anisotropic_grid():
    picture, camera = view(ball((60, 48, 50), 30))
    seen = (picture < 0.999).any(axis=-1)
    assert seen.sum() * camera.pixel_mm**2 == pytest.approx(np.pi * 30**2, rel=0.04)
    down, right = (np.flatnonzero(seen.any(axis=axis)) for axis in (1, 0))
    assert np.ptp(down) == pytest.approx(np.ptp(right), abs=3)


def test_the_silhouette_of_two_balls_is_that_of_two_discs():
    """Against the discs, thrown on the picture pixel by pixel."""
    balls = (((60, 48, 50), 26), ((44, 30, 74), 16))
    picture, camera = view(ball(*balls[0]) | ball(*balls[1]))
    middles = (np.moveaxis(np.indices(camera.shape), 0, -1) + 0.5) * camera.pixel_mm
    expected = np.zeros(camera.shape, bool)
    for centre, radius in balls:
        across = (np.array(centre) @ camera.rotation.T - camera.start_mm)[1:]
        expected |= np.linalg.norm(middles - across, axis=-1) < radius
    seen = (picture < 0.999).any(axis=-1)
    assert (seen & expected).sum() / (seen | expected).sum() > 0.96


def test_what_is_nearer_to_the_front_hides_what_is_behind():
    """In display orientation, y grows to the back."""
    front, back = ball((60, 20, 50), 14, 1), ball((60, 76, 50), 14, 2)
    picture, camera = view(front + back)
    middle = np.array([60, 20, 50]) @ camera.rotation.T - camera.start_mm
    down, right = (middle[1:] / camera.pixel_mm).astype(int)
    assert rgb_to_hsv(picture[down, right])[0] == pytest.approx(hue(1), abs=0.03)
    turned, _ = view(ball((60, 20, 50), 14, 2) + ball((60, 76, 50), 14, 1))
    assert rgb_to_hsv(turned[down, right])[0] == pytest.approx(hue(2), abs=0.03)


def test_right_of_the_patient_is_on_the_left_and_light_comes_from_above():
    picture, _ = view(ball((60, 48, 20), 12, 1) + ball((60, 48, 80), 12, 2))
    seen = (picture < 0.999).any(axis=-1)
    left = np.flatnonzero(seen.any(axis=0))[:20].mean().astype(int)
    row = np.flatnonzero(seen[:, left])
    assert rgb_to_hsv(picture[row[len(row) // 2], left])[0] == pytest.approx(hue(1), abs=0.05)
    middle = picture[:, seen.any(axis=0)][:, 15]
    column = middle[(middle < 0.999).any(axis=-1)].sum(axis=-1)
    assert column[: len(column) // 3].mean() > 1.1 * column[-len(column) // 3 :].mean()


def test_organs_one_voxel_thin_are_seen():
    classes = np.zeros(SHAPE, np.uint8)
    classes[4:26, 24, 20] = 1
    picture, _ = view(classes)
    seen = (picture < 0.999).any(axis=-1)
    assert seen.any(axis=1).mean() > 0.8, "along the whole picture"


def test_no_organ_is_white_and_the_picture_always_the_same():
    classes = ball((60, 48, 50), 30)
    camera = camera_for(classes > 0, SPACING_MM, 80)
    assert (surface_view(np.zeros_like(classes), SPACING_MM, camera) == 1).all()
    first, second = (surface_view(classes, SPACING_MM, camera) for _ in range(2))
    assert (first == second).all()
    assert first.min() >= 0
    assert first.max() <= 1
