"""A shared encoder with two decoders."""

import pytest
import torch

from dvcl.errors import InputError
from dvcl.networks import Network
from dvcl.networks.two_decoders import TwoDecoders


def build(name: str = "unet3d", levels: int = 3, dropout: float = 0.0):
    random = torch.Generator().manual_seed(0)
    settings = Network(name, base_channels=4, levels=levels, dropout=dropout)
    return [settings.build(3, "kaiming", random) for _ in range(2)]


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(2, 1, 8, 16, 8, generator=torch.Generator().manual_seed(1))


def test_the_first_decoder_is_the_network_itself(images):
    network, twin = build()
    first, second, levels = TwoDecoders(network, twin)(images)
    assert torch.equal(first, network(images).logits)
    assert second.shape == first.shape == (2, 3, 8, 16, 8)
    assert not torch.allclose(first, second)
    shapes = [(2, 4 * 2**level, *(side >> level for side in (8, 16, 8))) for level in range(3)]
    assert [tuple(maps.shape) for maps in levels] == shapes


def test_both_decoders_train_the_encoder_and_themselves_alone(images):
    networks = TwoDecoders(*build())
    parts = {
        "encoder": networks.network.encoder,
        "first": networks.network.decoder,
        "second": networks.second_decoder,
        "up": networks.second_up,
    }
    for index, expected in ((0, {"encoder", "first"}), (1, {"encoder", "second", "up"})):
        networks.zero_grad(set_to_none=True)
        networks(images)[index].square().sum().backward()
        moved = {
            name
            for name, part in parts.items()
            if any(weight.grad is not None for weight in part.parameters())
        }
        assert moved == expected


def test_the_twin_leaves_its_encoder_behind():
    network, twin = build()
    networks = TwoDecoders(network, twin)
    kept = {id(weight) for weight in networks.parameters()}
    assert not any(id(weight) in kept for weight in twin.encoder.parameters())
    assert all(id(weight) in kept for weight in twin.decoder.parameters())


def test_dropout_differs_between_the_decoders_and_stops_in_evaluation(images):
    networks = TwoDecoders(*build(dropout=0.5))
    torch.manual_seed(0)
    assert not torch.equal(networks(images).first, networks(images).first)
    networks.eval()
    assert torch.equal(networks(images).second, networks(images).second)


def test_another_network_is_refused():
    with pytest.raises(InputError, match=r"network.name: .* needs unet3d"):
        TwoDecoders(*build("vnet"))
