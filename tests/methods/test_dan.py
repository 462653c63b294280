"""DAN: who learns from what, and both losses against a loop."""

import math

import pytest
import torch

from dvcl.errors import InputError
from dvcl.methods import METHODS
from dvcl.training.engine import step
from dvcl.training.optimisation import Training, build_optimisers


def cross_entropy_by_loop(scores: torch.Tensor, targets: list[int]) -> float:
    rows = [[math.exp(value) for value in row] for row in scores.tolist()]
    losses = [-math.log(row[t] / sum(row)) for row, t in zip(rows, targets, strict=True)]
    return sum(losses) / len(losses)


@pytest.fixture
def undropped(build_method):
    """A DAN whose discriminator drops nothing either."""
    method = build_method("dan")
    for layer in method.discriminator.modules():
        if isinstance(layer, torch.nn.Dropout3d):
            layer.p = 0.0
    return method


@pytest.mark.parametrize("progress", [0.0, 0.4, 1.0])
@pytest.mark.parametrize(("labelled", "unlabelled"), [(2, 2), (1, 3)])
def test_both_adversarial_losses_equal_the_loop(
    progress, labelled, unlabelled, undropped, make_batch
):
    batch = make_batch(labelled=labelled, unlabelled=unlabelled)
    with torch.no_grad():
        maps = undropped.network(batch.images).logits.softmax(1)
        scores = undropped.discriminator(maps, batch.images)
    (_, segmenter), (_, discriminator) = undropped.updates(batch, progress)
    fooled = cross_entropy_by_loop(scores[labelled:], [1] * unlabelled)
    ramp = math.exp(-5 * (1 - progress) ** 2)
    assert segmenter["adversarial"].item() == pytest.approx(0.1 * ramp * fooled, rel=1e-4)
    truth = [1] * labelled + [0] * unlabelled
    expected = cross_entropy_by_loop(scores, truth)
    assert discriminator["discriminator"].item() == pytest.approx(expected, rel=1e-4)


def test_each_update_moves_its_own_weights_alone(build_method, make_batch):
    method, batch = build_method("dan"), make_batch()
    (_, segmenter), (_, discriminator) = method.updates(batch, 1.0)
    segmenter["adversarial"].backward()
    assert all(weight.grad is not None for weight in method.network.parameters())
    assert all(weight.grad is None for weight in method.discriminator.parameters())
    method.zero_grad(set_to_none=True)
    discriminator["discriminator"].backward()
    assert all(weight.grad is None for weight in method.network.parameters())
    assert all(weight.grad is not None for weight in method.discriminator.parameters())


def test_the_segmenter_is_judged_on_unlabelled_patches_alone(build_method, make_batch):
    method, batch, seen = build_method("dan"), make_batch(), []
    method.discriminator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs))
    assert len(list(method.updates(batch, 1.0))) == 2
    (judged, images), (learnt, every_image) = seen
    assert torch.equal(images, batch.unlabelled)
    assert torch.equal(every_image, batch.images)
    assert torch.equal(learnt[2:], judged.detach())
    assert not learnt.requires_grad
    torch.testing.assert_close(judged.sum(1), torch.ones(2, 16, 16, 16))


def test_the_network_learns_to_pass_and_the_discriminator_to_tell(undropped, make_batch):
    method, batch = undropped, make_batch()
    weights = list(method.network.parameters())
    before = [
        term["adversarial"] for _, term in method.updates(batch, 1.0) if "adversarial" in term
    ]
    gradients = torch.autograd.grad(before[0], weights)
    with torch.no_grad():
        for weight, gradient in zip(weights, gradients, strict=True):
            weight -= 0.5 * gradient / (1e-12 + gradient.norm())
    assert method.losses(batch, 1.0)["adversarial"] < before[0]
    optimisers = build_optimisers(method, Training(precision="float32"))
    found = [step(method, optimisers, batch, 0.0, 1e-6)[0]["discriminator"] for _ in range(5)]
    assert found[-1] < found[0]


def test_the_segmentation_network_alone_predicts(build_method, make_batch):
    method, images = build_method("dan").eval(), make_batch(side=8).images
    expected = method.network(images).logits.softmax(1)
    torch.testing.assert_close(method.predict(images), expected)


def test_the_patch_must_suit_the_discriminator(build_method):
    build_method("dan").check_patch((16, 32, 16))
    with pytest.raises(InputError, match="at least 16"):
        build_method("dan").check_patch((8, 32, 32))


@pytest.mark.parametrize(
    "setting",
    [{"adversarial": -1}, {"discriminator_rate": -1}, {"discriminator_channels": 0}],
)
def test_settings_without_sense_are_refused_at_the_start(setting):
    with pytest.raises(InputError, match=next(iter(setting))):
        METHODS["dan"](lambda scheme: pytest.fail("built"), 3, **setting)
