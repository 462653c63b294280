"""U2PL: warm-up, mixed pseudo-labels, the certain share, the teacher."""

import math

import numpy as np
import pytest
import torch

from dvcl.errors import InputError
from dvcl.losses.supervised import SupervisedLoss
from dvcl.methods import METHODS
from dvcl.networks import Network
from dvcl.training.engine import step
from dvcl.training.optimisation import Training, build_optimisers


@pytest.fixture
def lagging(build_method, make_batch):
    """lagging(**settings) -> a method whose teacher differs from its student."""

    def build(**settings):
        method = build_method("u2pl", **settings)
        optimisers = build_optimisers(method, Training(precision="float32"))
        for seed in (1, 2, 3):
            step(method, optimisers, make_batch(seed, side=8), 0.5, 0.05)
        return method

    return build


@pytest.mark.parametrize("progress", [0.0, 0.25, 0.5, 1.0])
def test_certain_pseudo_labels_supervise(progress, lagging, make_batch):
    method, batch = lagging(cutmix=0.0), make_batch(side=8)
    method.start = 0.0
    terms = method.losses(batch, progress)
    logits = method.network(batch.images).logits
    torch.testing.assert_close(
        terms["supervised"], SupervisedLoss()(logits[:2].log_softmax(1), batch.labels)
    )
    p = logits[2:].detach().double().softmax(1).numpy()
    q = method.teacher.network(batch.unlabelled).logits.double().softmax(1).numpy()
    entropies, labels = -(q * np.log(q)).sum(1), q.argmax(1)
    count = round((1 - 0.2 * (1 - progress)) * entropies.size)
    limit = np.sort(entropies.flatten())[count - 1]
    total = kept = 0
    for b, d, h, w in np.ndindex(*labels.shape):
        if entropies[b, d, h, w] <= limit + 1e-9:
            total -= math.log(p[b, labels[b, d, h, w], d, h, w])
            kept += 1
    assert kept == pytest.approx(count, abs=2)
    expected = total / kept * labels.size / kept
    assert terms["unsupervised"].item() == pytest.approx(expected, rel=1e-2)


def test_sets_of_the_contrast(lagging, make_batch, monkeypatch):
    method, batch = lagging(cutmix=0.0), make_batch(side=8)
    calls = []
    monkeypatch.setattr(
        method.negative_contrast, "forward", lambda *args: calls.append(args) or torch.zeros(())
    )
    for progress in (0.5, 1.0):
        method.losses(batch, progress)
    (_, _, log, labels, certain, uncertain, _), (*_, last_certain, last_uncertain, _) = calls
    expected = method.teacher.network(batch.images).logits.log_softmax(1)
    torch.testing.assert_close(log, expected)
    assert torch.equal(labels[:2], batch.labels)
    assert torch.equal(labels[2:], expected[2:].argmax(1))
    # A tenth each, at half of the way; at the end next to nothing.
    assert certain.float().mean().item() == pytest.approx(0.1, abs=0.01)
    assert uncertain.float().mean().item() == pytest.approx(0.1, abs=0.01)
    entropy = -(expected.exp() * expected).sum(1)[2:]
    assert entropy[certain].max() < entropy[uncertain].min()
    assert last_certain.sum() == last_uncertain.sum() == 1


def test_images_and_pseudo_labels_are_mixed_alike(lagging, make_batch):
    method, batch = lagging(cutmix=1.0), make_batch(side=8)
    plain = method.teacher.network(batch.unlabelled).logits.argmax(1)
    images, pseudo = method._mixed(batch.unlabelled)
    other = images[:, 0] != batch.unlabelled[:, 0]
    assert other.float().mean((1, 2, 3)).tolist() == pytest.approx([0.5, 0.5], abs=0.15)
    shown = torch.where(other.unsqueeze(1), batch.unlabelled.flip(0), batch.unlabelled)
    assert torch.equal(images, shown)
    assert torch.equal(pseudo, torch.where(other, plain.flip(0), plain))


def test_patches_are_mixed_in_about_half_of_the_steps(build_method, make_batch):
    method, images = build_method("u2pl"), make_batch(side=8).unlabelled
    mixed = sum(not torch.equal(method._mixed(images)[0], images) for _ in range(60))
    assert 15 < mixed < 45
    method.cutmix = 0.0
    assert all(torch.equal(method._mixed(images)[0], images) for _ in range(5))


def test_pseudo_labels_come_without_dropout_and_entropy_with_it(build_method, make_batch):
    method, batch = build_method("u2pl", dropout=0.5, cutmix=0.0), make_batch(side=8)
    modes = []
    method.teacher.network.register_forward_hook(
        lambda module, *_: modes.append(module.training and module.dropout.training)
    )
    labels = [method._mixed(batch.unlabelled)[1] for _ in range(2)]
    assert torch.equal(*labels)
    modes.clear()
    method.losses(batch, 0.5)
    assert modes == [False, True]
    assert method.teacher.training
    method.eval().losses(batch, 0.5)
    assert not method.teacher.training


@pytest.mark.parametrize(
    ("settings", "progress", "expected"),
    [
        ({}, 0.049, ["supervised"]),
        ({}, 0.05, ["supervised", "unsupervised", "contrast"]),
        ({"contrast": 0.0}, 0.5, ["supervised", "unsupervised"]),
        ({"start": 0.0}, 0.0, ["supervised", "unsupervised", "contrast"]),
    ],
)
def test_which_terms_take_part(settings, progress, expected, build_method, make_batch):
    method = build_method("u2pl", **settings)
    assert list(method.losses(make_batch(side=8), progress)) == expected


def test_the_teacher_and_its_head_follow_and_get_no_gradient(lagging, make_batch):
    method = lagging(decay=0.9)
    before = method.teacher_head.network[0].weight.clone()
    sum(method.losses(make_batch(side=8), 0.5).values()).backward()
    for part in (method.teacher, method.teacher_head):
        assert all(weight.grad is None for weight in part.parameters())
    method.after_step()
    # Three steps are behind it: 1 - 1 / 4 is below the decay.
    expected = 0.75 * before + 0.25 * method.head[0].weight
    torch.testing.assert_close(method.teacher_head.network[0].weight, expected)


def test_it_predicts_with_the_teacher(lagging, make_batch):
    method, images = lagging().eval(), make_batch(side=8).images
    expected = method.teacher.network(images).logits.softmax(1)
    torch.testing.assert_close(method.predict(images), expected)
    assert not torch.allclose(expected, method.network(images).logits.softmax(1))


@pytest.mark.parametrize(("classes", "expected"), [(2, 1), (3, 2), (4, 3), (14, 3)])
def test_few_classes_have_fewer_probable_ones(classes, expected):
    random = torch.Generator().manual_seed(0)
    network = Network(base_channels=4, levels=2)
    method = METHODS["u2pl"](
        lambda scheme: network.build(classes, scheme, random), classes, bank_size=1
    )
    assert method.negative_contrast.probable == expected


@pytest.mark.parametrize(
    "setting",
    [{"keys": 0}, {"temperature": 0.0}, {"confidence": 0.0}, {"unreliable": -0.1},
     {"unreliable": 0.6}, {"cutmix": 1.5}, {"decay": 1.5}, {"confidence": 1.0}],
)  # fmt: skip
def test_settings_without_sense_are_refused_at_the_start(setting):
    with pytest.raises(InputError, match=next(iter(setting))):
        METHODS["u2pl"](lambda scheme: pytest.fail("no network is built"), 3, **setting)
