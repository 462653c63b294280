"""One batch on several processes: each runs a network on some images, all get all maps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


class Share(NamedTuple):
    """The images of a batch that this process holds.

    Attributes:
        rank: Number of this process.
        sizes: Images of each process, in the order of the batch, the largest first.
    """

    rank: int
    sizes: tuple[int, ...]

    @property
    def images(self) -> int:
        """Of all processes."""
        return sum(self.sizes)

    @property
    def rows(self) -> slice:
        """This process's part of the batch."""
        start = sum(self.sizes[: self.rank])
        return slice(start, start + self.sizes[self.rank])


# Rank and number of the processes that share batches now, and what this one holds of the batch that
# a network runs on now. Layers and hooks deep inside of a network ask for the latter.
_processes: tuple[int, int] | None = None
_share: Share | None = None


@contextmanager
def shared_batches(rank: int, world_size: int) -> Iterator[None]:
    """Within the block, which all processes pass through in step, batches are `divided`.

    Everything that is computed from gathered maps is computed by every process, with the same
    result. The mean over processes of a weight's gradient is then the gradient of one process.
    """
    global _processes
    _processes = (rank, world_size) if world_size > 1 else None
    try:
        yield
    finally:
        _processes = None


@contextmanager
def divided(images: Tensor) -> Iterator[Tensor]:
    """Yield those (b, ...) of the images (B, ...) on which this process runs a network.

    What the network returns goes through `gathered` within the block. A batch of fewer images than
    processes is not divided: every process runs all of it.
    """
    global _share
    if _processes is None or len(images) < _processes[1]:
        yield images
        return
    rank, world_size = _processes
    fewest, left = divmod(len(images), world_size)
    _share = Share(rank, tuple(fewest + (number < left) for number in range(world_size)))
    try:
        yield images[_share.rows]
    finally:
        _share = None


def held_share() -> Share | None:
    """What this process holds of the batch that a network runs on; None when that is all of it."""
    return _share


def gathered(maps: Tensor) -> Tensor:
    """All processes' maps (B, C, D, H, W), from this one's (b, C, D, H, W); gradients flow."""
    if _share is None:
        return maps
    whole: Tensor = _Gather.apply(maps, _share)  # type: ignore[no-untyped-call]
    return whole


def layout_of(maps: Tensor) -> torch.memory_format:
    """How (B, C, D, H, W) lie in memory, so that a whole batch can be laid out as a part is."""
    is_usual = maps.is_contiguous() or not maps.is_contiguous(memory_format=torch.channels_last_3d)
    return torch.contiguous_format if is_usual else torch.channels_last_3d


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor, share: Share) -> Tensor:
        ctx.share = share
        is_channels_last = layout_of(maps) == torch.channels_last_3d
        whole = _exchange(maps.movedim(1, -1) if is_channels_last else maps, share)
        return whole.movedim(-1, 1) if is_channels_last else whole

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        # Only this process passes it on to the weights, whose gradients are averaged over all.
        return gradient[ctx.share.rows] * len(ctx.share.sizes), None


def _exchange(mine: Tensor, share: Share) -> Tensor:
    """Rows of all processes, (B, ...), contiguous. What is sent is padded to equal sizes."""
    most = share.sizes[0]
    padding = [0, 0] * (mine.dim() - 1) + [0, most - len(mine)]
    sent = F.pad(mine, padding).contiguous() if len(mine) < most else mine.contiguous()
    received = sent.new_empty((most * len(share.sizes), *sent.shape[1:]))
    parts = received.split(most)
    dist.all_gather(list(parts), sent)
    if share.images == len(received):
        return received
    return torch.cat([part[:size] for part, size in zip(parts, share.sizes, strict=True)])
