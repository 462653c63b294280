"""Reliable shares by hand, on what the entropy selection says."""

import numpy as np
import pytest
import torch

from dvcl.evaluation.reliability import count_reliable
from dvcl.losses.entropy import select_reliable


def line(*values) -> np.ndarray:
    return np.array(values).reshape(1, 1, -1)


def test_shares_by_hand() -> None:
    label = line(0, 0, 0, 1, 1, 3, 255).astype(np.uint8)
    pseudo = line(0, 1, 0, 1, 0, 3, 3)
    reliable = line(True, True, False, False, False, True, True)
    counts = count_reliable(pseudo, reliable, label, 4)
    assert [part.tolist() for part in counts] == [[1, 0, 0, 1], [2, 0, 0, 1], [3, 2, 0, 1]]
    twice = counts.add(counts)
    assert twice.every.tolist() == [6, 4, 0, 2]
    assert twice.share[[0, 1, 3]].tolist() == [pytest.approx(2 / 3), 0, 1]
    assert twice.right_share[[0, 1, 3]].tolist() == [pytest.approx(1 / 3), 0, 1]
    assert np.isnan([twice.share[2], twice.right_share[2]]).all(), "no such class, no share"


def test_the_sure_half_of_a_case_is_reliable() -> None:
    """Two certain and two uncertain voxels: the threshold lies between their entropies."""
    sure = torch.tensor([0.98, 0.9, 0.5, 0.55]).reshape(1, 1, 1, 1, 4)
    log_probabilities = torch.cat([sure, 1 - sure], dim=1).log()
    selection = select_reliable(log_probabilities, 0.5)
    pseudo, reliable = selection.pseudo_labels[0].numpy(), selection.reliable[0].numpy()
    counts = count_reliable(pseudo, reliable, line(0, 1, 1, 0).astype(np.uint8), 2)
    assert counts.share.tolist() == [0.5, 0.5]
    assert counts.right_share.tolist() == [0.5, 0]
    assert reliable.tolist() == [[[True, True, False, False]]]
