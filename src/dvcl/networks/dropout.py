"""Dropout that is the same on one process and on several."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from dvcl.networks.sharing import held_share, layout_of


class Dropout(nn.Dropout):
    """``nn.Dropout``; of a batch that processes share, each draws all and applies its own part.

    So the numbers drawn do not depend on how many processes there are, and the generators of all
    stay equal.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name in torch
        """Drop out of (b, C, D, H, W)."""
        share = held_share()
        if share is None or not self.training or self.p == 0:
            return super().forward(input)
        # In the layout of the maps, which decides about the order of the draws.
        whole = input.new_ones((share.images, *input.shape[1:]))
        whole = whole.contiguous(memory_format=layout_of(input))
        return input * F.dropout(whole, self.p)[share.rows]
