"""Diagnostics by hand."""

import math
from functools import partial

import pytest
import torch

from dvcl.losses.entropy import Selection
from dvcl.methods.diagnostics import neighbourhood_purity, pseudo_label_quality
from dvcl.networks.heads import gather_voxels


def line(values) -> torch.Tensor:
    return torch.tensor(values).reshape(1, 1, 1, -1)


def test_quality_of_pseudo_labels_by_hand():
    labels = line([0, 0, 1, 1, 2, 0])
    pseudo = line([0, 1, 1, 2, 2, 0])
    reliable = line([True, True, True, False, False, False])
    found = pseudo_label_quality(Selection(pseudo, torch.zeros(1, 1, 1, 6), reliable), labels)
    assert found == pytest.approx(
        {
            "reliable share": 3 / 6,
            "reliable share of organs": 1 / 3,
            "accuracy of reliable organ voxels": 1 / 2,
            "accuracy of unreliable organ voxels": 1 / 2,
            "accuracy of unreliable voxels": 2 / 3,
        }
    )


def test_an_empty_group_has_no_accuracy():
    everything = Selection(line([0, 0]), torch.zeros(1, 1, 1, 2), line([True, True]))
    found = pseudo_label_quality(everything, line([0, 0]))
    assert found["reliable share"] == 1
    missing = [key for key, value in found.items() if math.isnan(value)]
    assert len(missing) == 4


def test_separated_classes_have_pure_neighbours_and_foreign_outsiders():
    labels = torch.arange(2).repeat_interleave(32).reshape(1, 4, 4, 4)
    noise = 0.1 * torch.randn((1, 2, 4, 4, 4), generator=torch.Generator().manual_seed(0))
    features = noise + torch.stack([1.0 - labels, labels.float()], dim=1)
    rows = partial(gather_voxels, features)
    selection = Selection(labels, torch.zeros(labels.shape), torch.zeros(labels.shape).bool())
    found = neighbourhood_purity(rows, selection, labels, 5, 6)
    assert found == {
        "neighbours of the same class": 1.0,
        "outsiders of the same class": 0.0,
        "chance": 0.5,
    }
    blind = partial(gather_voxels, noise)
    chance = neighbourhood_purity(blind, selection, labels, 5, 6)["outsiders of the same class"]
    assert 0.3 < chance < 0.7
    foreign = neighbourhood_purity(blind, selection, labels, 5, 6, foreign_outsiders=True)
    assert foreign["outsiders of the same class"] == 0
    few = Selection(labels, selection.entropy, torch.arange(64).reshape(labels.shape) >= 11)
    assert neighbourhood_purity(rows, few, labels, 5, 6) == {}
