"""Partition and recovery of the magic cube: exact for every grid, every cube in its cell."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dvcl.methods.cubes import draw_orders, mix, partition, recover, unmix

triple = st.tuples(*[st.integers(1, 3)] * 3)


@given(grid=triple, cube=triple, batch=st.integers(1, 3), channels=st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_recovery_undoes_partition_and_mixing(grid, cube, batch, channels):
    sides = tuple(cells * side for cells, side in zip(grid, cube, strict=True))
    maps = torch.arange(batch * channels * sides[0] * sides[1] * sides[2])
    maps = maps.view(batch, channels, *sides)
    cubes = partition(maps, cube)
    assert cubes.shape == (batch, grid[0] * grid[1] * grid[2], channels, *cube)
    assert torch.equal(recover(cubes, sides), maps)
    orders = draw_orders(batch, cubes.shape[1], torch.Generator().manual_seed(batch))
    assert torch.equal(unmix(mix(cubes, orders), orders), cubes)
    # What is mixed per voxel may be given back after going through whole maps.
    whole = recover(mix(cubes, orders), sides)
    assert torch.equal(recover(unmix(partition(whole, cube), orders), sides), maps)


def test_cells_are_numbered_along_the_last_axis_first():
    maps = torch.randn(2, 1, 4, 6, 4, generator=torch.Generator().manual_seed(0))
    cubes = partition(maps, (2, 2, 2))
    cell = 0
    for z in (0, 2):
        for y in (0, 2, 4):
            for x in (0, 2):
                expected = maps[:, :, z : z + 2, y : y + 2, x : x + 2]
                assert torch.equal(cubes[:, cell], expected)
                cell += 1


def test_layouts_in_memory_make_no_difference():
    maps = torch.randn(2, 3, 4, 4, 6, generator=torch.Generator().manual_seed(0))
    last = maps.contiguous(memory_format=torch.channels_last_3d)
    assert torch.equal(partition(maps, (2, 4, 3)), partition(last, (2, 4, 3)))


def test_every_cell_is_exchanged_between_images_on_its_own_and_stays_in_place():
    cubes = torch.arange(12).view(3, 4).unsqueeze(2)  # image * 4 + cell
    orders = draw_orders(3, 4, torch.Generator().manual_seed(1))
    mixed = mix(cubes, orders).squeeze(2)
    for cell in range(4):
        assert sorted(mixed[:, cell].tolist()) == [cell, 4 + cell, 8 + cell]
        for image in range(3):
            assert mixed[image, cell] == orders[image, cell] * 4 + cell
    assert len({tuple(orders[:, cell].tolist()) for cell in range(4)}) > 1


def test_all_orders_are_equally_likely():
    orders = draw_orders(3, 6000, torch.Generator().manual_seed(0))
    counts = (orders[0] * 9 + orders[1] * 3 + orders[2]).bincount().tolist()
    found = [count for count in counts if count]
    assert len(found) == 6
    assert all(850 < count < 1150 for count in found)


def test_cubes_that_do_not_fill_the_maps_are_an_error():
    with pytest.raises(RuntimeError, match="shape"):
        partition(torch.zeros(1, 1, 4, 4, 5), (2, 2, 2))
