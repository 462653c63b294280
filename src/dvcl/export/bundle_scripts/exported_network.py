"""The bundle's network: a program of torch.export, over MONAI's axes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.export.passes import move_to_device_pass


class ExportedNetwork(torch.nn.Module):
    """Class probabilities (B, K, x, y, z) of prepared patches (B, 1, x, y, z).

    Args:
        path: The .pt2 file, whose own axes are (z, y, x).
        device: Where it runs.
    """

    def __init__(self, path: str, device: torch.device) -> None:
        super().__init__()
        program = move_to_device_pass(torch.export.load(path), device)
        # In a tuple it is no submodule: an exported program has no training mode to be turned off.
        self._program = (program.module(),)

    def forward(self, images: Tensor) -> Tensor:
        """Turn the axes, predict, turn them back."""
        plain = images.as_subclass(Tensor).permute(0, 1, 4, 3, 2).contiguous()
        probabilities: Tensor = self._program[0](plain)
        return probabilities.permute(0, 1, 4, 3, 2)
