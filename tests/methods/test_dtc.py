"""DTC: both tasks' losses against a loop, and which head learns from what."""

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


@pytest.mark.parametrize("progress", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("steepness", [20.0, 1500.0])
def test_every_term_equals_the_loop(progress, steepness, build_method, make_batch):
    method, batch = build_method("dtc", steepness=steepness), make_batch(side=8)
    z = distances(method, batch.images).detach().double().numpy()
    p = method.network(batch.images).logits.detach().double().softmax(1).numpy()
    targets = batch.distance_maps.double().numpy()
    squares, disagreements = [], []
    for b, organ, *place in np.ndindex(*z.shape):
        value = z[(b, organ, *place)]
        if b < 2:
            squares.append((value - targets[(b, organ, *place)]) ** 2)
        mask = 1 / (1 + math.exp(min(steepness * value, 700)))
        disagreements.append((mask - p[(b, organ + 1, *place)]) ** 2)
    terms = method.losses(batch, progress)
    expected = 0.3 * sum(squares) / len(squares)
    assert terms["supervised_distance"].item() == pytest.approx(expected, rel=1e-4)
    ramp = math.exp(-5 * (1 - progress) ** 2)
    expected = ramp * sum(disagreements) / len(disagreements)
    assert terms["consistency"].item() == pytest.approx(expected, rel=1e-3)


def test_the_consistency_teaches_both_heads_from_both_kinds_of_patches(build_method, make_batch):
    # Far from a boundary the published steepness leaves the distance head without a gradient.
    method, batch = build_method("dtc", steepness=5.0), make_batch(side=8)
    batch = dataclasses.replace(
        batch,
        labelled=batch.labelled.requires_grad_(),
        unlabelled=batch.unlabelled.requires_grad_(),
    )
    method.losses(batch, 1.0)["consistency"].backward()
    assert method.network.segmentation_head.weight.grad.abs().max() > 0
    assert method.distance_head.weight.grad.abs().max() > 0
    assert batch.labelled.grad.abs().max() > 0
    assert batch.unlabelled.grad.abs().max() > 0


def test_supervision_comes_from_labelled_patches_alone(build_method, make_batch):
    method, batch = build_method("dtc"), make_batch(side=8)
    batch = dataclasses.replace(batch, unlabelled=batch.unlabelled.requires_grad_())
    terms = method.losses(batch, 1.0)
    (terms["supervised"] + terms["supervised_distance"]).backward()
    assert batch.unlabelled.grad is None or batch.unlabelled.grad.abs().max() == 0


def test_the_segmentation_head_alone_predicts(build_method, make_batch):
    method, images = build_method("dtc").eval(), make_batch(side=8).images
    expected = method.network(images).logits.softmax(1)
    torch.testing.assert_close(method.predict(images), expected)


@pytest.mark.parametrize("setting", [{"distance": -1}, {"consistency": -1}, {"steepness": 0}])
def test_settings_without_sense_are_refused_at_the_start(setting):
    with pytest.raises(InputError, match=next(iter(setting))):
        METHODS["dtc"](lambda scheme: pytest.fail("built"), 3, **setting)
