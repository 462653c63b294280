"""DHC's terms against its formulas; the two networks have different class weights."""

import math

import pytest
import torch
from torch.nn import functional as F

from dvcl.errors import InputError
from dvcl.losses.class_weighted import weighted_supervised_loss
from dvcl.methods import METHODS


def spied_weights(method) -> list[torch.Tensor]:
    """The class weights of A and B, in the order in which they are made."""
    made: list[torch.Tensor] = []
    for module in (method.difficulty, method.distribution):
        original = module.update
        module.update = lambda *maps, original=original: made.append(original(*maps)) or made[-1]
    return made


def by_log_ratio(labels: torch.Tensor) -> torch.Tensor:
    counts = labels.flatten().bincount(minlength=3).double() + 1e-8
    rarity = (counts.max() / counts).log()
    return 3 * rarity / rarity.max()


def test_both_terms_equal_the_formulas(build_method, make_batch):
    method, batch = build_method("dhc"), make_batch(side=8)
    weights = spied_weights(method)
    terms = method.losses(batch, 0.5)
    logs = [n(batch.images).logits.double().log_softmax(1) for n in method.networks]
    labels = [log.argmax(1) for log in logs]

    by_hand = 0.99 * by_log_ratio(batch.labels) + 0.01 * by_log_ratio(labels[1][2:])
    torch.testing.assert_close(weights[1].double(), by_hand, rtol=1e-4, atol=1e-4)
    dice = [
        2 * ((labels[0][:2] == c) & (batch.labels == c)).sum().item()
        / ((labels[0][:2] == c).sum() + (batch.labels == c).sum()).item()
        for c in range(3)
    ]  # fmt: skip
    raw = []
    for d in dice:
        learnt = 0.02 * d * math.log(d / 1e-8)
        raw.append((1e-8 / (learnt + 1e-8)) ** 0.2 * (0.98 + 0.02 * (1 - d)))
    assert weights[0].tolist() == pytest.approx([3 * r / max(raw) for r in raw], rel=1e-3)

    w = [each.double() for each in weights]
    supervised = sum(
        weighted_supervised_loss(log[:2], batch.labels, each)
        for log, each in zip(logs, w, strict=True)
    )
    assert terms["supervised"].item() == pytest.approx(supervised.item(), rel=1e-4)
    # torch's own weighted mean, over labelled and unlabelled voxels.
    taught = F.nll_loss(logs[0], labels[1], w[0]) + F.nll_loss(logs[1], labels[0], w[1])
    expected = 0.1 * math.exp(-1.25) * taught.item()
    assert terms["cross_supervision"].item() == pytest.approx(expected, rel=1e-4)


def test_the_background_weighs_nothing_in_network_b(build_method, make_batch):
    method, batch = build_method("dhc", distribution_momentum=1.0), make_batch(side=8)
    weights = spied_weights(method)
    method.losses(batch, 0.5)
    assert weights[1][0] == 0
    assert weights[1].max() == 3
    assert weights[0].min() > 0


def test_an_absent_class_and_the_floor(build_method, make_batch):
    """What network B never predicts presses the other weights together unless counts are raised."""
    found = []
    for smallest in (0.0, 1.0):
        method = build_method("dhc", distribution_momentum=0.0, smallest_count=smallest)
        with torch.no_grad():
            method.networks[1].segmentation_head.bias += torch.tensor([0.5, 0.0, -100.0])
        weights = spied_weights(method)
        method.losses(make_batch(side=8), 0.5)
        found.append(weights[1].tolist())
    assert found[0][2] == found[1][2] == 3
    assert max(found[0][:2]) < max(found[1][:2]) < 3


def test_no_teacher_learns(build_method, make_batch):
    method, batch = build_method("dhc"), make_batch(side=8)
    weights = spied_weights(method)
    loss = method.losses(batch, 1.0)["cross_supervision"]
    student, teacher = (network(batch.images).logits for network in method.networks)
    taught = 0.1 * F.nll_loss(student.log_softmax(1), teacher.argmax(1), weights[0])
    learner = list(method.networks[0].parameters())
    expected = torch.autograd.grad(taught, learner)
    found = torch.autograd.grad(loss, learner)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    "setting",
    [{"difficulty_steps": 0}, {"distribution_momentum": 1.1}, {"smallest_count": -1.0},
     {"predict_with": "C"}, {"second_start": "he"}],
)  # fmt: skip
def test_settings_without_sense_are_refused_at_the_start(setting):
    with pytest.raises(InputError, match=next(iter(setting))):
        METHODS["dhc"](lambda scheme: pytest.fail("no network is built"), 3, **setting)


def test_prediction(build_method, make_batch):
    images = make_batch(side=8).images
    maps = [build_method("dhc", predict_with=use).eval().predict(images) for use in "AB"]
    both = build_method("dhc").eval().predict(images)
    torch.testing.assert_close(both, (maps[0] + maps[1]) / 2)
