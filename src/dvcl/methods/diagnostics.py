"""What a semi-supervised method believes, held against the truth of a labelled batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from dvcl.losses.entropy import Selection
from dvcl.losses.neighbours import find_neighbours
from dvcl.losses.voxel_sampling import sample_mask

SAMPLE = 2048


def diagnose_networks(
    features: Sequence[Callable[[Tensor], Tensor]],
    selections: Sequence[Selection],
    labels: Tensor,
    neighbours: int,
    outsiders: int,
    foreign_outsiders: bool = False,
) -> dict[str, float]:
    """Quality of pseudo-labels and purity of neighbourhoods, "... A" of one network, "... B".

    Args as those of `neighbourhood_purity`, one of ``features`` and ``selections`` per network.
    """
    found: dict[str, float] = {}
    for name, rows, selection in zip("AB", features, selections, strict=True):
        quality = pseudo_label_quality(selection, labels)
        purity = neighbourhood_purity(
            rows, selection, labels, neighbours, outsiders, foreign_outsiders
        )
        found |= {f"{key} {name}": value for key, value in (quality | purity).items()}
    return found


def pseudo_label_quality(selection: Selection, labels: Tensor) -> dict[str, float]:
    """Share of voxels called reliable, and how often reliable and unreliable labels are right.

    Args:
        selection: Of a batch whose truth is known.
        labels: (B, D, H, W) int64.

    Returns:
        Shares in [0, 1]; accuracies of organ voxels (true or predicted organ) beside those of all
        voxels, because background is easy. NaN where a group is empty.
    """
    correct = (selection.pseudo_labels == labels).float()
    organ = (labels > 0) | (selection.pseudo_labels > 0)
    reliable = selection.reliable
    return {
        "reliable share": reliable.float().mean().item(),
        "reliable share of organs": reliable[labels > 0].float().mean().item(),
        "accuracy of reliable organ voxels": correct[reliable & organ].mean().item(),
        "accuracy of unreliable organ voxels": correct[~reliable & organ].mean().item(),
        "accuracy of unreliable voxels": correct[~reliable].mean().item(),
    }


def neighbourhood_purity(
    features: Callable[[Tensor], Tensor],
    selection: Selection,
    labels: Tensor,
    neighbours: int,
    outsiders: int,
    foreign_outsiders: bool = False,
) -> dict[str, float]:
    """How often the neighbours and outsiders of unreliable voxels have the voxel's true class.

    Good neighbours have it nearly always, good outsiders nearly never; "chance" is the share among
    random pairs. Empty when there are too few unreliable voxels. ``features`` are those of
    `methods.method.Representation`. With ``foreign_outsiders`` outsiders have other pseudo-labels
    than the voxel, where there are enough.
    """
    random = torch.Generator(labels.device).manual_seed(0)
    voxels = sample_mask(~selection.reliable, SAMPLE, random)
    if len(voxels) <= neighbours + outsiders:
        return {}
    unit = F.normalize(features(voxels), dim=1)
    itself = torch.arange(len(unit), device=unit.device)
    pseudo = selection.pseudo_labels.flatten()[voxels]
    groups = (pseudo, pseudo) if foreign_outsiders else None
    near, far = find_neighbours(unit, unit, neighbours, outsiders, itself, groups)
    classes = labels.flatten()[voxels]
    shares = classes.bincount().float() / len(classes)
    return {
        "neighbours of the same class": _share_of_same(classes, near),
        "outsiders of the same class": _share_of_same(classes, far),
        "chance": shares.square().sum().item(),
    }


def _share_of_same(classes: Tensor, others: Tensor) -> float:
    return (classes[others] == classes.unsqueeze(1)).float().mean().item()
