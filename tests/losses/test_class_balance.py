"""The balanced classifier's rates, draws and loss against loops."""

import itertools
import math

import pytest
import torch
from torch.autograd import gradcheck

from dvcl.losses.class_balance import balanced_cross_entropy, draw_kept, keep_rates


def maps(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    logits = torch.randn((2, 3, 2, 2, 3), generator=random, dtype=torch.float64)
    return logits, torch.randint(3, (2, 2, 2, 3), generator=random)


def mask(seed: int, share: float = 0.5) -> torch.Tensor:
    return torch.rand((2, 2, 2, 3), generator=torch.Generator().manual_seed(seed)) < share


def loop(logits, labels, kept, trusted) -> float:
    total, count = 0.0, 0
    for b, z, y, x in itertools.product(*map(range, labels.shape)):
        if not kept[b, z, y, x]:
            continue
        count += 1
        if trusted is None or trusted[b, z, y, x]:
            values = logits[b, :, z, y, x].tolist()
            total += math.log(sum(map(math.exp, values))) - values[int(labels[b, z, y, x])]
    return total / count


def test_rates_keep_as_many_of_every_class_as_of_the_rarest():
    counts = torch.tensor([1000, 10, 0, 40])
    assert keep_rates(counts).tolist() == pytest.approx([0.01, 1, 1, 0.25])
    assert keep_rates(torch.tensor([7, 7])).tolist() == [1, 1]
    assert keep_rates(torch.tensor([0, 5])).tolist() == [1, 1]
    # Beyond 2^24 a float32 count would no longer grow; rates still come out right.
    assert keep_rates(torch.tensor([2**34, 2**20])).tolist() == [2**-14, 1]


def test_draws_follow_the_rates_of_the_classes():
    labels = torch.arange(3).repeat_interleave(4000)
    kept = draw_kept(labels, torch.tensor([0.0, 0.25, 1.0]), torch.Generator().manual_seed(0))
    assert kept[:4000].sum() == 0
    assert 900 < kept[4000:8000].sum() < 1100
    assert kept[8000:].all()


@pytest.mark.parametrize("trusted", [None, mask(2), mask(2, 0.0)])
def test_the_loss_equals_the_loop(trusted):
    logits, labels = maps()
    kept = mask(1)
    found = balanced_cross_entropy(logits.log_softmax(1), labels, kept, trusted)
    assert found.item() == pytest.approx(loop(logits, labels, kept, trusted), rel=1e-12)


def test_nothing_kept_gives_0_with_a_gradient_of_0():
    logits, labels = maps()
    logits.requires_grad_()
    loss = balanced_cross_entropy(logits.log_softmax(1), labels, mask(1, 0.0))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.abs().max() == 0


def test_one_voxel_and_gradients():
    logits, labels = maps()
    one = torch.zeros_like(labels, dtype=torch.bool)
    one[1, 0, 1, 2] = True
    found = balanced_cross_entropy(logits.log_softmax(1), labels, one)
    expected = -logits.log_softmax(1)[1, labels[1, 0, 1, 2], 0, 1, 2]
    torch.testing.assert_close(found, expected)
    assert gradcheck(
        lambda x: balanced_cross_entropy(x.log_softmax(1), labels, mask(1), mask(2)),
        logits.requires_grad_(),
    )
