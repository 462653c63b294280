import json
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from dvcl.errors import InputError
from dvcl.preprocessing.prepare import Preprocessing, prepare_image, prepare_label
from dvcl.volume import Volume, read_volume


def scan(shape: tuple[int, int, int] = (20, 24, 28)) -> Volume:
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=shape), 2)
    return Volume((noise / noise.std() * 400).astype(np.int16), np.diag([1.0, 1.0, 3.0, 1.0]))


def test_steps_follow_in_the_order_of_the_paper() -> None:
    volume = scan()
    image, grid = prepare_image(volume, Preprocessing())
    clipped = volume.array[::-1, ::-1, ::-1].astype(np.float64).clip(-325, 325)
    expected = ndimage.affine_transform(
        clipped, grid.steps, grid.starts, grid.prepared.shape, order=1, mode="nearest"
    )
    low, high = np.percentile(expected, (0.5, 99.5))
    assert grid.prepared.orientation == "LPI"
    assert image.shape == grid.prepared.shape == (24, 19, 22)
    assert np.abs(image - (expected - low) / (high - low)).max() < 1e-5


def test_preparation_is_deterministic_and_leaves_the_volume() -> None:
    volume = scan()
    before = volume.array.copy()
    first, second = (prepare_image(volume, Preprocessing())[0] for _ in range(2))
    assert np.array_equal(first, second)
    assert np.array_equal(volume.array, before)


def test_without_a_window_bright_voxels_set_the_scale() -> None:
    bright = prepare_image(scan(), Preprocessing(window=None))[0]
    clipped = prepare_image(scan(), Preprocessing())[0]
    assert bright.max() > clipped.max()


def test_a_grid_that_no_memory_holds_is_refused_before_it_is_made() -> None:
    volume = scan((4, 4, 4))
    huge = Volume(volume.array, np.diag([500.0, 500.0, 500.0, 1.0]))
    with pytest.raises(InputError, match=r"500 x 500 x 500 mm become 8\.0e\+15 .*spacing_mm"):
        prepare_image(huge, Preprocessing(spacing_mm=(0.01, 0.01, 0.01)))


def test_an_image_outside_the_window_is_refused() -> None:
    volume = scan()
    with pytest.raises(InputError, match="after clipping"):
        prepare_image(Volume(volume.array.clip(-200, 200) + 4000, volume.affine), Preprocessing())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("spacing", [(2.5, 1.25, 1.25), (3.0, 1.0, 1.0), (9.0, 7.0, 7.0)])
@pytest.mark.parametrize("window", [None, (-325.0, 325.0)])
def test_a_voxel_that_is_not_finite_is_refused_even_if_clipped_or_stepped_over(
    value: float, spacing: tuple[float, float, float], window: tuple[float, float] | None
) -> None:
    volume = scan()
    array = volume.array.astype(np.float32)
    array[3, 3, 3] = value
    with pytest.raises(InputError, match="not finite"):
        prepare_image(
            Volume(array, volume.affine), Preprocessing(spacing_mm=spacing, window=window)
        )


def test_label_and_image_share_the_prepared_grid() -> None:
    volume = scan()
    ball = np.zeros(volume.shape, dtype=np.uint8)
    ball[5:15, 6:18, 7:21] = 3
    image, grid = prepare_image(volume, Preprocessing())
    label = prepare_label(ball, grid)
    assert label.shape == image.shape
    assert label.dtype == np.uint8
    assert set(np.unique(label)) == {0, 3}


def test_all_wrong_settings_are_listed_at_once() -> None:
    with pytest.raises(InputError) as caught:
        Preprocessing("LLI", (0, 1, 1), (5.0, 5.0), (99.5, 0.5), 2, "cubic")
    assert len(caught.value.problems) == 6
    assert "label_interpolation 'cubic': expected 'nearest' or 'linear'." in caught.value.problems


@pytest.mark.parametrize("window", [None, (-100.0, 250.0)])
def test_settings_survive_json(window: tuple[float, float] | None) -> None:
    settings = Preprocessing("RAS", (3.0, 2.0, 2.0), window, (1.0, 99.0), 3, "linear")
    assert Preprocessing.from_json(json.loads(json.dumps(settings.to_json()))) == settings


@pytest.mark.parametrize("order", [1, 3])
def test_a_real_abdomen_keeps_its_extent(real_data: Path, order: int) -> None:
    volume = read_volume(real_data / "abdomen" / "ct.nii.gz")
    image, grid = prepare_image(volume, Preprocessing(spacing_mm=(5.0, 4.0, 4.0), order=order))
    extent = np.array(image.shape) * grid.prepared.spacing_mm
    oriented = np.array(grid.oriented_shape) * 3.0
    assert np.abs(extent - oriented).max() <= 2.5
    assert np.percentile(image, 0.5) == pytest.approx(0, abs=1e-4)
    assert np.percentile(image, 99.5) == pytest.approx(1, abs=1e-4)
