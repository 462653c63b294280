"""Where patches are cut: every position, evenly; thin volumes in the middle."""

import itertools

import numpy as np
import pytest
from scipy.stats import chisquare

from dvcl.sampling.patches import (
    centred_start,
    copy_patch,
    copy_scaled_patch,
    uniform_start,
)


@pytest.mark.parametrize(("size", "wanted"), [(7, 5), (12, 3), (6, 5)])
def test_every_offset_is_equally_likely_the_first_and_the_last_too(size, wanted):
    random, offsets = np.random.default_rng(0), size - wanted + 1
    starts = np.array([uniform_start((size,) * 3, (wanted,) * 3, random) for _ in range(1000)])
    for axis in range(3):
        counts = np.bincount(starts[:, axis], minlength=offsets)
        assert len(counts) == offsets
        assert chisquare(counts).pvalue > 1e-3


def test_axes_are_drawn_independently():
    random = np.random.default_rng(0)
    starts = [uniform_start((3, 3, 3), (2, 2, 2), random) for _ in range(1600)]
    counts = [starts.count(start) for start in itertools.product(range(2), repeat=3)]
    assert chisquare(counts).pvalue > 1e-3


def test_a_patch_as_large_as_the_volume_starts_at_0_and_a_larger_one_before_it():
    random = np.random.default_rng(0)
    assert uniform_start((4, 3, 2), (4, 6, 5), random) == (0, -1, -1)


@pytest.mark.parametrize(("size", "wanted"), [(9, 4), (9, 5), (5, 5), (3, 8), (1, 2)])
def test_centred_patches_hold_their_voxel_in_the_middle_or_lie_at_the_border(size, wanted):
    for voxel in range(size):
        (start, _, _) = centred_start((size,) * 3, (wanted,) * 3, np.array([voxel] * 3))
        if size < wanted:
            assert start == -((wanted - size) // 2)
            continue
        assert 0 <= start <= size - wanted
        assert start <= voxel < start + wanted
        at_a_border = start in (0, size - wanted)
        assert voxel - start == wanted // 2 or at_a_border


@pytest.mark.parametrize("start", [(0, 0, 0), (1, 2, 0), (-1, -1, -1), (2, -1, 1)])
@pytest.mark.parametrize("patch", [(2, 2, 2), (5, 4, 7)])
def test_copying_equals_padding_and_cutting(start, patch):
    volume = np.random.default_rng(0).normal(size=(4, 4, 3))
    target = np.full(patch, -7.0)
    copy_patch(volume, start, target)
    padded = np.pad(volume, 20, constant_values=-7.0)
    cut = tuple(slice(20 + s, 20 + s + p) for s, p in zip(start, patch, strict=True))
    np.testing.assert_array_equal(target, padded[cut])


@pytest.mark.parametrize("start", [(0, 0, 0), (1, 2, 0), (-1, -1, -1), (2, -1, 1)])
@pytest.mark.parametrize("flips", [(), (0,), (1, 2)])
def test_scaling_on_the_way_is_scaling_the_volume(start, flips):
    stored = np.random.default_rng(0).integers(-32768, 32768, (4, 4, 3)).astype(np.int16)
    direct, scaled = (np.full((5, 4, 7), 0.25, np.float32) for _ in range(2))
    copy_scaled_patch(stored, start, np.flip(direct, flips), 3e-5, 0.4)
    volume = stored.astype(np.float32) * np.float32(3e-5) + np.float32(0.4)
    copy_patch(volume, start, np.flip(scaled, flips))
    np.testing.assert_array_equal(direct, scaled)


@pytest.mark.parametrize("excess", range(4))
def test_a_thin_volume_lies_whole_in_the_middle_of_the_patch(excess):
    volume = np.ones((3, 3, 3))
    patch = (3 + excess, 3, 3)
    target = np.zeros(patch)
    copy_patch(volume, uniform_start((3, 3, 3), patch, np.random.default_rng(0)), target)
    assert target.sum() == 27
    filled = np.flatnonzero(target[:, 0, 0])
    assert filled.tolist() == [excess // 2 + i for i in range(3)]
