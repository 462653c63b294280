"""Draws of voxels are uniform, without replacement and repeatable."""

import pytest
import torch
from scipy.stats import chi2

from dvcl.losses.voxel_sampling import NOBODY, sample_mask, sample_per_class


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def every_second(voxels: int) -> torch.Tensor:
    return (torch.arange(2 * voxels) % 2 == 1).reshape(2, -1)


# Small populations are permuted, large ones drawn with rejection.
@pytest.mark.parametrize(("population", "count"), [(20, 5), (100, 90), (400, 50), (300, 1)])
def test_every_voxel_is_equally_likely(population, count):
    random, mask, repeats = generator(), every_second(population), 1500
    drawn = torch.stack([sample_mask(mask, count, random) for _ in range(repeats)])
    found = drawn.flatten().bincount(minlength=2 * population)
    assert found[::2].sum() == 0, "voxels outside the mask"
    share = count / population
    # Draws without replacement vary less than independent ones, by the factor 1 - share.
    statistic = ((found[1::2] - repeats * share) ** 2 / (repeats * share * (1 - share))).sum()
    statistic *= (population - 1) / population
    assert 1e-3 < chi2.sf(statistic.item(), population - 1) < 1 - 1e-3


@pytest.mark.parametrize("population", [11, 50, 107, 108, 1000, 100_000])
def test_no_voxel_is_drawn_twice(population):
    for seed in range(20):
        drawn = sample_mask(every_second(population), 11, generator(seed))
        assert len(drawn) == len(drawn.unique()) == 11


@pytest.mark.parametrize("population", [0, 1, 10])
def test_all_there_are_when_more_are_asked_for(population):
    drawn = sample_mask(every_second(population), 11, generator())
    assert drawn.tolist() == list(range(1, 2 * population, 2))
    assert drawn.dtype == torch.int64


@pytest.mark.parametrize("population", [50, 1000])
def test_the_generator_decides(population):
    mask = every_second(population)
    first, again, other = (sample_mask(mask, 20, generator(seed)) for seed in (1, 1, 2))
    assert first.tolist() == again.tolist() != other.tolist()


def test_each_class_is_drawn_from_its_own_voxels():
    codes = torch.tensor([0, 2, NOBODY, 2, 0, 2, 2, NOBODY, 0, 2]).to(torch.uint8).reshape(2, 5)
    seen = set()
    for seed in range(50):
        voxels, classes, sizes = sample_per_class(codes, 3, 2, generator(seed))
        assert classes.tolist() == [0, 0, 2, 2]
        assert sizes == [2, 0, 2]
        assert codes.flatten()[voxels].tolist() == classes.tolist()
        assert len(voxels.unique()) == 4
        seen |= set(voxels.tolist())
    assert seen == {0, 4, 8, 1, 3, 5, 6, 9}


def test_nobody_takes_part():
    codes = torch.full((3, 3), NOBODY, dtype=torch.uint8)
    voxels, classes, sizes = sample_per_class(codes, 4, 5, generator())
    assert sizes == [0] * 4
    assert (voxels.shape, classes.shape) == ((0,), (0,))
