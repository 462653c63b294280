"""CLD's terms against a loop over voxels; who learns from what."""

import math

import numpy as np
import pytest
import torch

from dvcl.errors import InputError
from dvcl.losses.class_weighted import weighted_supervised_loss
from dvcl.methods import METHODS


def logs_of(method, batch) -> list[torch.Tensor]:
    return [network(batch.images).logits.double().log_softmax(1) for network in method.networks]


def rarity(labels: torch.Tensor) -> torch.Tensor:
    counts = labels.flatten().bincount(minlength=3).double()
    return (counts.max() / counts) ** (1 / 3)


def rates_of(log: torch.Tensor, labels: torch.Tensor) -> np.ndarray:
    """What the first window of one step gives."""
    p = log[: len(labels)].exp().movedim(1, -1)
    doubt = np.array([1 - p[..., c][labels == c].mean().item() for c in range(3)])
    return np.sqrt(doubt / doubt.max())


def test_both_terms_equal_the_loop(build_method, make_batch):
    method, batch = build_method("cld", window=1), make_batch(side=4)
    method.random.manual_seed(3)
    terms = method.losses(batch, 0.5)
    random = torch.Generator().manual_seed(3)
    logs, weights = [log.detach() for log in logs_of(method, batch)], rarity(batch.labels)
    taught, share = 0.0, []
    for student, teacher in ((0, 1), (1, 0)):
        mine, theirs = logs[student], logs[teacher].argmax(1)
        rates, predicted = rates_of(mine, batch.labels), mine.argmax(1)
        chance = torch.rand(predicted.shape, generator=random)
        total = 0.0
        for b, d, h, w in np.ndindex(*predicted.shape):
            if chance[b, d, h, w] < rates[predicted[b, d, h, w]]:
                label = theirs[b, d, h, w]
                total -= weights[label].item() * mine[b, label, d, h, w].item()
                share.append((b, d, h, w))
        taught += total / predicted.numel()
    found = terms["cross_supervision"].item()
    assert found == pytest.approx(0.1 * math.exp(-1.25) * taught, rel=1e-4)
    assert 0.2 < len(share) / (2 * predicted.numel()) < 0.99
    supervised = sum(weighted_supervised_loss(log[:2], batch.labels, weights) for log in logs)
    assert terms["supervised"].item() == pytest.approx(supervised.item(), rel=1e-5)


def test_counts_accumulate_over_the_labelled_batches(build_method, make_batch):
    method = build_method("cld")
    batches = [make_batch(seed, side=4) for seed in range(3)]
    for batch in batches:
        method.losses(batch, 0.5)
    expected = sum(batch.labels.flatten().bincount(minlength=3) for batch in batches)
    assert torch.equal(method.counts, expected)
    assert method.counts.dtype == torch.int64


def test_nothing_is_dropped_before_the_first_window_ends(build_method, make_batch):
    found = []
    for settings in ({}, {"rate_power": 0.0}, {"window": 1}):
        method, batch = build_method("cld", **settings), make_batch(side=4)
        found.append(method.losses(batch, 0.5)["cross_supervision"].item())
    assert found[0] == found[1] > found[2]


def test_the_labelled_patches_are_taught_too_and_no_teacher_learns(build_method, make_batch):
    method, batch = build_method("cld", rate_power=0.0), make_batch(side=4)
    loss = method.losses(batch, 1.0)["cross_supervision"]
    weights = rarity(batch.labels).float()
    student, teacher = (network(batch.images).logits for network in method.networks)
    labels = teacher.argmax(1)
    ce = torch.nn.functional.nll_loss(student.log_softmax(1), labels, reduction="none")
    learner = list(method.networks[0].parameters())
    expected = torch.autograd.grad(0.1 * (weights[labels] * ce).mean(), learner)
    found = torch.autograd.grad(loss, learner)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    "setting",
    [
        {"window": 0},
        {"momentum": 1.1},
        {"rate_power": -1.0},
        {"predict_with": "C"},
        {"second_start": "he"},
    ],
)
def test_settings_without_sense_are_refused_at_the_start(setting):
    with pytest.raises(InputError, match=next(iter(setting))):
        METHODS["cld"](lambda scheme: pytest.fail("no network is built"), 3, **setting)


def test_prediction(build_method, make_batch):
    images = make_batch(side=8).images
    maps = [build_method("cld", predict_with=use).eval().predict(images) for use in "AB"]
    both = build_method("cld").eval().predict(images)
    torch.testing.assert_close(both, (maps[0] + maps[1]) / 2)
