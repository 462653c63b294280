"""MagicNet's second task: which cell of its patch a cube comes from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dvcl.networks import SegmentationNetwork
from dvcl.networks.sharing import gathered


class LocationHead(nn.Module):
    """From a cube's coarsest features to its cell.

    It serves the training loss alone and always sees several cubes, so that running statistics
    would never be used.

    Args:
        inputs: Numbers in a cube's coarsest features.
        hidden: Width of the hidden layer.
        cells: Most cells of a patch; of a patch with fewer, the surplus outputs are cut off.
    """

    def __init__(self, inputs: int, hidden: int, cells: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(inputs, hidden),
            nn.BatchNorm1d(hidden, track_running_stats=False),
            nn.LeakyReLU(0.2),
            nn.Linear(hidden, cells),
        )

    def forward(self, maps: Tensor, cells: int) -> Tensor:
        """Mean cross-entropy of the cells.

        Args:
            maps: (B * N, F, d, h, w), the cubes of each image in the order of their cells.
            cells: N.
        """
        logits = self.layers(maps.float().flatten(1))[:, :cells]
        return F.cross_entropy(logits, torch.arange(len(maps), device=maps.device) % cells)


@contextmanager
def coarsest_maps(network: SegmentationNetwork) -> Iterator[list[Tensor]]:
    """Collect the encoder's last feature maps of every run within the block."""
    maps: list[Tensor] = []
    last = cast("nn.ModuleList", network.encoder)[-1]
    handle = last.register_forward_hook(lambda _module, _in, out: maps.append(gathered(out)))
    try:
        yield maps
    finally:
        handle.remove()
