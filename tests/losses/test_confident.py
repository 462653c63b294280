"""Pseudo-labels with a cut-off, against a loop over voxels."""

import math

import pytest
import torch

from dvcl.losses.confident import confident_labels


@pytest.mark.parametrize("cutoff", [0.0, 0.4, 0.6, 1.0])
def test_labels_and_mask_equal_the_loop(cutoff):
    random = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn((2, 3, 2, 3, 4), generator=random, dtype=torch.float64)
    found = confident_labels(logits.log_softmax(1), cutoff)
    for u in range(2):
        for z in range(2):
            for y in range(3):
                for x in range(4):
                    exp = [math.exp(value) for value in logits[u, :, z, y, x].tolist()]
                    p = [value / sum(exp) for value in exp]
                    assert found.labels[u, z, y, x] == p.index(max(p))
                    assert found.mask[u, z, y, x] == (max(p) >= cutoff)


def test_a_probability_at_the_cutoff_is_believed_and_nothing_has_a_gradient():
    logs = torch.tensor([0.5, 0.5]).log().view(1, 2, 1, 1, 1).requires_grad_()
    found = confident_labels(logs, 0.5)
    assert found.mask.item()
    assert found.labels.item() == 0
    assert not found.labels.requires_grad
    assert not confident_labels(logs, 0.51).mask.item()
