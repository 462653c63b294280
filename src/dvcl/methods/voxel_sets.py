"""Which voxels DVCL contrasts (Eq. 2, 6 to 8 and 10), and their rows of the networks' maps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from dvcl.losses.class_sums import sizes_of_groups
from dvcl.losses.entropy import Selection
from dvcl.losses.pseudo_labels import hard_labels, near_boundaries
from dvcl.losses.voxel_sampling import NOBODY, sample_mask, sample_per_class

Maps = tuple[Tensor, ...]  # one per network
Rows = Callable[[Tensor], Tensor]


def contrast_codes(
    labelled: Maps, labels: Tensor, selections: Sequence[Selection]
) -> tuple[Tensor, Tensor]:
    """Eq. 6, 7 and 10: for every voxel of both networks the class it anchors, or misstates.

    Args:
        labelled: (B, K, D, H, W) log-probabilities of the labelled patches.
        labels: (B, D, H, W) int64.
        selections: Of the unlabelled patches.

    Returns:
        Twice (2 (B + U), D, H, W) uint8, network A first, `NOBODY` where a voxel takes no part.
    """
    anchors, wrong = [], []
    for log, selection in zip(labelled, selections, strict=True):
        predicted = hard_labels(log)
        correct = predicted == labels
        predicted = predicted.to(torch.uint8)
        pseudo = selection.pseudo_labels.to(torch.uint8)
        pseudo = torch.where(selection.reliable, pseudo, NOBODY)
        anchors += [torch.where(correct, predicted, NOBODY), pseudo]
        wrong += [torch.where(correct, NOBODY, predicted), torch.full_like(pseudo, NOBODY)]
    return torch.cat(anchors), torch.cat(wrong)


def draw_unreliable(
    selections: Sequence[Selection],
    count: int,
    random: torch.Generator,
    balance_over: int | None = None,
    same_places: bool = False,
    boundary: int = 0,
) -> list[Tensor]:
    """Up to ``count`` unreliable voxels (Eq. 2) of each network.

    Args:
        selections: Of the unlabelled patches.
        count: Voxels per network.
        random: Generator on the maps' device.
        balance_over: K, to draw equally over pseudo-labels; None draws uniformly.
        same_places: Draw once, for both networks, where either is unreliable; the pseudo-labels
            are then network A's.
        boundary: Draw only from voxels so few voxels away from another pseudo-label of the same
            network; 0 draws from all. Contextrast (Sung et al., CVPR 2024,
            https://arxiv.org/abs/2404.10633) takes negatives along boundaries so.

    Returns:
        One (N,) per network, counted over the unlabelled voxels of both networks.
    """
    size = selections[0].entropy.numel()
    if boundary:
        selections = [_near_boundaries(selection, boundary) for selection in selections]
    if same_places:
        a, b = selections
        either = a._replace(reliable=a.reliable & b.reliable)
        voxels = _draw(either, count, random, balance_over)
        return [voxels, voxels + size]
    return [
        _draw(selection, count, random, balance_over) + number * size
        for number, selection in enumerate(selections)
    ]


def among_all(voxels: Tensor, labels: Tensor, selections: Sequence[Selection]) -> Tensor:
    """Turn numbers among the networks' unlabelled voxels into numbers among all their voxels."""
    networks_before = voxels // selections[0].entropy.numel()
    return voxels + (networks_before + 1) * labels.numel()


def gather_pooled(
    voxels: Tensor, size: int, gather: Sequence[Rows], heads: Iterable[Rows]
) -> Tensor:
    """Rows of several networks' maps at voxels that are counted over all networks.

    Args:
        voxels: (N,) int64; network * size + index within that network's map.
        size: Voxels B * D * H * W of each map.
        gather: Per network, from voxels (n,) to its map's rows (n, F).
        heads: Per network, from these to what is wanted of them (n, d).

    Returns:
        (N, d) in the order of ``voxels``.
    """
    networks, order = (voxels // size).sort(stable=True)
    parts = (voxels[order] % size).split(sizes_of_groups(networks, len(gather)))
    rows = [head(rows_at(part)) for head, rows_at, part in zip(heads, gather, parts, strict=True)]
    return torch.cat(rows)[order.argsort()]


def _near_boundaries(selection: Selection, radius: int) -> Selection:
    """Nothing far from boundaries can be drawn."""
    far = ~near_boundaries(selection.pseudo_labels, radius)
    return selection._replace(reliable=selection.reliable | far)


def _draw(
    selection: Selection, count: int, random: torch.Generator, balance_over: int | None
) -> Tensor:
    if balance_over is None:
        return sample_mask(~selection.reliable, count, random)
    codes = torch.where(selection.reliable, NOBODY, selection.pseudo_labels.to(torch.uint8))
    return sample_per_class(codes, balance_over, -(-count // balance_over), random).voxels
