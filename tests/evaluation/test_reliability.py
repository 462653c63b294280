"""Reliable shares by hand, on what the entropy selection says."""

import numpy as np
import pytest
import torch

from dvcl.evaluation.reliability import reliable_counts, reliable_share
from dvcl.losses.entropy import select_reliable


def test_shares_by_hand() -> None:
    label = np.array([[[0, 0, 0, 1, 1, 3, 255]]], dtype=np.uint8)
    reliable = np.array([[[True, True, False, False, False, True, True]]])
    counts = reliable_counts(reliable, label, 4)
    assert counts.tolist() == [[2, 0, 0, 1], [3, 2, 0, 1]]
    share = reliable_share(2 * counts)
    assert share[[0, 1, 3]].tolist() == [pytest.approx(2 / 3), 0, 1]
    assert np.isnan(share[2]), "a class that does not occur has no share"


def test_the_sure_half_of_a_case_is_reliable() -> None:
    """Two certain and two uncertain voxels: the threshold lies between their entropies."""
    sure = torch.tensor([0.98, 0.9, 0.5, 0.55]).reshape(1, 1, 1, 1, 4)
    log_probabilities = torch.cat([sure, 1 - sure], dim=1).log()
    reliable = select_reliable(log_probabilities, 0.5).reliable[0].numpy()
    counts = reliable_counts(reliable, np.array([[[0, 1, 1, 0]]], dtype=np.uint8), 2)
    assert reliable_share(counts).tolist() == [0.5, 0.5]
    assert reliable.tolist() == [[[True, True, False, False]]]
