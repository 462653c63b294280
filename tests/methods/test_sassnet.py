"""SASSNet: distance maps and the discriminator, each loss against a loop."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from dvcl.errors import InputError
from dvcl.methods import METHODS


def distances(method, images: torch.Tensor) -> torch.Tensor:
    """The distance head as a linear map of every voxel's features."""
    features = method.network(images).features.movedim(1, -1)
    head = method.distance_head
    return (features @ head.weight.flatten(1).T + head.bias).tanh().movedim(-1, 1)


@pytest.fixture
def undropped(build_method):
    """A SASSNet whose discriminator drops nothing either."""
    method = build_method("sassnet")
    for layer in method.discriminator.modules():
        if isinstance(layer, torch.nn.Dropout3d):
            layer.p = 0.0
    return method


def test_the_distance_loss_equals_the_loop(build_method, make_batch):
    method, batch = build_method("sassnet"), make_batch()
    found = distances(method, batch.labelled).detach().double().numpy()
    targets = batch.distance_maps.double().numpy()
    squares = [(found[place] - targets[place]) ** 2 for place in np.ndindex(*found.shape)]
    expected = 0.3 * sum(squares) / len(squares)
    loss = method.losses(batch, 0.5)["supervised_distance"].item()
    assert loss == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("progress", [0.0, 0.4, 1.0])
def test_both_adversarial_losses_equal_the_loop(progress, undropped, make_batch):
    batch = make_batch(labelled=1, unlabelled=3)
    with torch.no_grad():
        maps = distances(undropped, batch.images)
        scores = undropped.discriminator(maps, batch.images).double().softmax(1).tolist()
    (_, segmenter), (_, discriminator) = undropped.updates(batch, progress)
    fooled = -sum(math.log(passes) for _, passes in scores[1:]) / 3
    ramp = math.exp(-5 * (1 - progress) ** 2)
    assert segmenter["adversarial"].item() == pytest.approx(0.01 * ramp * fooled, rel=1e-4)
    right = [scores[0][1], *(score for score, _ in scores[1:])]
    expected = -sum(map(math.log, right)) / 4
    assert discriminator["discriminator"].item() == pytest.approx(expected, rel=1e-4)


def test_each_update_moves_its_own_weights_alone(build_method, make_batch):
    method, batch = build_method("sassnet"), make_batch()
    (_, segmenter), (_, discriminator) = method.updates(batch, 1.0)
    segmenter["adversarial"].backward()
    assert method.distance_head.weight.grad is not None
    assert next(method.network.encoder.parameters()).grad is not None
    assert method.network.segmentation_head.weight.grad is None
    assert all(weight.grad is None for weight in method.discriminator.parameters())
    method.zero_grad(set_to_none=True)
    discriminator["discriminator"].backward()
    assert all(weight.grad is not None for weight in method.discriminator.parameters())
    assert method.distance_head.weight.grad is None
    assert all(weight.grad is None for weight in method.network.parameters())


def test_the_discriminator_sees_one_map_per_organ(build_method, make_batch):
    method, batch, seen = build_method("sassnet"), make_batch(), []
    method.discriminator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs))
    assert len(list(method.updates(batch, 1.0))) == 2
    (judged, images), (learnt, every_image) = seen
    assert judged.shape == (2, 2, 16, 16, 16)
    assert torch.equal(images, batch.unlabelled)
    assert torch.equal(every_image, batch.images)
    assert torch.equal(learnt[2:], judged.detach())
    assert not learnt.requires_grad


def test_a_head_learns_the_maps_of_absent_and_present_organs(build_method, make_batch):
    method, batch = build_method("sassnet"), make_batch()
    absent = torch.ones_like(batch.distance_maps[:, 1:])
    maps = torch.cat([batch.distance_maps[:, :1], absent], dim=1)
    batch = dataclasses.replace(batch, distance_maps=maps)
    optimiser = torch.optim.Adam(method.parameters(), 3e-2)
    losses = []
    for _ in range(20):
        loss = method.losses(batch, 0.5)["supervised_distance"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]
    assert distances(method, batch.labelled)[:, 1].mean() > 0.3


def test_the_segmentation_head_alone_predicts(build_method, make_batch):
    method, images = build_method("sassnet").eval(), make_batch(side=8).images
    expected = method.network(images).logits.softmax(1)
    torch.testing.assert_close(method.predict(images), expected)


def test_the_patch_must_suit_the_discriminator(build_method):
    with pytest.raises(InputError, match="at least 16"):
        build_method("sassnet").check_patch((32, 32, 8))


@pytest.mark.parametrize(
    "setting",
    [
        {"distance": -1}, {"adversarial": -1}, {"discriminator_rate": -1},
        {"discriminator_channels": 0},
    ],
)  # fmt: skip
def test_settings_without_sense_are_refused_at_the_start(setting):
    with pytest.raises(InputError, match=next(iter(setting))):
        METHODS["sassnet"](lambda scheme: pytest.fail("built"), 3, **setting)
