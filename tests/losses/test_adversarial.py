"""The discriminator's cross-entropy against a loop over patches."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from dvcl.losses.adversarial import origin_loss


def by_loop(scores: torch.Tensor, labelled: int) -> float:
    losses = []
    for index, (unlabelled_score, labelled_score) in enumerate(scores.tolist()):
        right = labelled_score if index < labelled else unlabelled_score
        losses.append(math.log(math.exp(unlabelled_score) + math.exp(labelled_score)) - right)
    return sum(losses) / len(losses)


@pytest.mark.parametrize(("patches", "labelled"), [(4, 2), (5, 1), (3, 3), (3, 0), (1, 1)])
def test_cross_entropy_equals_the_loop(patches, labelled):
    random = torch.Generator().manual_seed(patches)
    scores = 2 * torch.randn((patches, 2), generator=random, dtype=torch.float64)
    found = origin_loss(scores, labelled).item()
    assert found == pytest.approx(by_loop(scores, labelled), rel=1e-12)
    assert gradcheck(lambda scores: origin_loss(scores, labelled), scores.requires_grad_())


def test_who_cannot_tell_pays_log_2_and_who_knows_pays_nothing():
    assert origin_loss(torch.zeros(4, 2), 2).item() == pytest.approx(math.log(2))
    sure = torch.tensor([[-50.0, 50.0], [50.0, -50.0]])
    assert origin_loss(sure, 1).item() == pytest.approx(0)
    assert origin_loss(sure.flip(0), 1).item() == pytest.approx(100)
