"""Which images of a batch a process holds. Sending them: tests/training/test_distributed.py."""

import pytest
import torch

from dvcl.networks.sharing import Share, divided, gathered, held_share, layout_of, shared_batches


@pytest.mark.parametrize(("images", "processes"), [(4, 2), (5, 2), (5, 3), (7, 4), (3, 3)])
def test_processes_hold_every_image_once_and_in_order(images, processes):
    batch, parts = torch.arange(images), []
    for rank in range(processes):
        with shared_batches(rank, processes), divided(batch) as mine:
            parts.append(mine)
            assert torch.equal(batch[held_share().rows], mine)
            assert held_share().images == images
    assert torch.equal(torch.cat(parts), batch)
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize(("images", "processes"), [(1, 2), (2, 3), (4, 1)])
def test_what_cannot_be_shared_every_process_holds_whole(images, processes):
    batch = torch.rand(images, 1, 2, 2, 2)
    with shared_batches(0, processes), divided(batch) as mine:
        assert mine is batch
        assert held_share() is None
        assert gathered(batch) is batch


def fail_within(batch: torch.Tensor) -> None:
    with shared_batches(1, 2), divided(batch):
        raise RuntimeError("broken")


def test_nothing_is_shared_outside_of_a_shared_step():
    batch = torch.rand(4, 1, 2, 2, 2)
    with shared_batches(1, 2), divided(batch):
        assert held_share() == Share(1, (2, 2))
    assert held_share() is None
    with pytest.raises(RuntimeError, match="broken"):
        fail_within(batch)
    assert held_share() is None
    with divided(batch) as mine:
        assert mine is batch


def test_the_layout_of_maps():
    maps = torch.rand(2, 3, 4, 5, 6)
    assert layout_of(maps) == torch.contiguous_format
    channels_last = maps.contiguous(memory_format=torch.channels_last_3d)
    assert layout_of(channels_last) == torch.channels_last_3d
    assert layout_of(channels_last[1:]) == torch.channels_last_3d
    assert layout_of(maps[..., ::2]) == torch.contiguous_format
