"""Contracts that every network keeps, and how networks are initialised."""

import math
import re

import pytest
import torch
from torch import nn

from dvcl.errors import InputError
from dvcl.networks import NETWORKS, Network
from dvcl.networks.network import initialise

every_network = pytest.mark.parametrize("name", NETWORKS)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(*space: int, batch: int = 2) -> torch.Tensor:
    return torch.randn((batch, 1, *space), generator=generator())


@every_network
@pytest.mark.parametrize("levels", [2, 3, 5])
def test_the_prediction_has_the_size_of_the_image(name, levels):
    network = Network(name, base_channels=2, levels=levels).build(3, "kaiming", generator())
    assert network.stride == 2 ** (levels - 1)
    space = (2 * network.stride, 3 * network.stride, 2 * network.stride)
    network.check_patch(space)
    logits, features = network(images(*space, batch=1))
    assert logits.shape == (1, 3, *space)
    assert features.shape == (1, network.feature_channels, *space)


@every_network
def test_every_weight_learns(name):
    network = Network(name, 4, 3, 0.0).build(3, "kaiming", generator())
    logits = network(images(8, 8, 8)).logits
    (logits * torch.randn(logits.shape, generator=generator(1))).sum().backward()
    for key, weight in network.named_parameters():
        assert weight.grad is not None, key
        # Instance normalisation takes the biases before it out again.
        assert key.endswith("bias") or weight.grad.abs().max() > 0, key


@every_network
def test_logits_are_the_segmentation_head_on_the_features(name):
    network = Network(name, 4, 2, 0.5).build(3, "kaiming", generator()).eval()
    logits, features = network(images(8, 8, 8))
    torch.testing.assert_close(network.segmentation_head(features), logits)


@every_network
def test_patches_of_a_batch_do_not_mix(name):
    network = Network(name, 4, 3).build(3, "kaiming", generator()).eval()
    batch = images(8, 8, 16, batch=3)
    together = network(batch).logits
    alone = torch.cat([network(patch).logits for patch in batch.split(1)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@every_network
def test_dropout_acts_in_training_only(name):
    network = Network(name, 4, 3, 0.5).build(3, "kaiming", generator())
    patch = images(8, 8, 8)
    first, second = network.eval()(patch).logits, network(patch).logits
    torch.testing.assert_close(first, second)
    network.train()
    assert not torch.equal(network(patch).logits, network(patch).logits)


@every_network
@pytest.mark.parametrize("patch", [(8, 8, 12), (4, 8, 8), (8, 0, 8), (9, 9, 9), (-8, 8, 8)])
def test_a_patch_that_does_not_fit_is_refused_with_one_that_does(name, patch):
    network = Network(name, 2, 3).build(3, "kaiming", generator())
    if patch == (8, 8, 12):
        network.check_patch(patch)
        return
    with pytest.raises(InputError, match="multiple of 4") as caught:
        network.check_patch(patch)
    example = re.findall(r"\((\d+), (\d+), (\d+)\)", str(caught.value))[-1]
    network.check_patch(tuple(map(int, example)))


@every_network
@pytest.mark.parametrize("scheme", ["kaiming", "xavier"])
def test_initialisation_is_decided_by_the_generator(name, scheme):
    settings = Network(name, 4, 2)
    torch.manual_seed(1)
    first = settings.build(3, scheme, generator(5)).state_dict()
    torch.manual_seed(2)
    again = settings.build(3, scheme, generator(5)).state_dict()
    other = settings.build(3, scheme, generator(6)).state_dict()
    for key, value in first.items():
        assert torch.equal(value, again[key]), key
        assert torch.equal(value, other[key]) == key.endswith("bias"), key


@every_network
def test_the_two_schemes_differ(name):
    built = [Network(name, 4, 2).build(3, scheme, generator()) for scheme in ("kaiming", "xavier")]
    a, b = (network.state_dict() for network in built)
    for key, value in a.items():
        assert torch.equal(value, b[key]) == key.endswith("bias"), key


def test_weights_have_the_spread_of_their_scheme():
    layer = nn.Conv3d(8, 32, 3)
    initialise(layer, "kaiming", generator())
    assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / (8 * 27)), rel=0.03)
    initialise(layer, "xavier", generator())
    assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / (40 * 27)), rel=0.03)
    assert layer.bias.abs().max() == 0


def test_an_unknown_scheme_is_an_error():
    with pytest.raises(KeyError, match="zeros"):
        initialise(nn.Linear(2, 2), "zeros", generator())


def test_the_u_net_of_the_paper_has_six_million_weights():
    network = Network().build(14, "kaiming", generator())
    assert sum(weight.numel() for weight in network.parameters()) == pytest.approx(5.9e6, rel=0.01)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "unet2d"}, "'unet2d' found, one of"),
        ({"base_channels": 0}, "found 0, 5, 0.3"),
        ({"levels": 1}, "levels 2 to 5"),
        ({"levels": 6}, "found 16, 6, 0.3"),
        ({"dropout": 1.0}, "found 16, 5, 1.0"),
        ({"dropout": -0.1}, "dropout in"),
    ],
)
def test_settings_that_make_no_network_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        Network(**settings)
