"""Maps stay channels-last, and networks compute what plain torch layers compute."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from dvcl.networks import NETWORKS, Network
from dvcl.networks.channels_last import LAYOUT, concatenate, lay_out, pool, upsample
from dvcl.networks.normalisation import InstanceNorm
from dvcl.networks.two_decoders import TwoDecoders

SHAPE = (2, 1, 16, 16, 24)
COPIES = ("_to_copy", "clone", "copy_", "contiguous")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def build(name: str = "unet3d", kind=torch.float64, channels: int = 4):
    return Network(name, channels, 3, 0.0).build(3, "kaiming", generator()).to(kind)


@pytest.mark.parametrize("layout", [torch.contiguous_format, LAYOUT])
def test_each_step_is_torchs_own(layout):
    def plain(skip, maps):
        larger = F.interpolate(maps, scale_factor=2, mode="trilinear")
        return torch.cat([F.max_pool3d(skip, 2), larger], 1)

    def own(skip, maps):
        return concatenate(pool(skip), upsample(maps))

    found = []
    for steps in (plain, own):
        skip = draw(2, 3, 8, 8, 12).to(memory_format=layout).requires_grad_()
        maps = draw(2, 5, 2, 2, 3, seed=1).to(memory_format=layout).requires_grad_()
        joined = steps(skip, maps)
        (joined * draw(*joined.shape, seed=2)).sum().backward()
        found.append((joined.detach(), skip.grad, maps.grad))
    torch.testing.assert_close(found[0], found[1], rtol=1e-12, atol=1e-12)


def test_images_are_the_same_voxels_in_a_layout_that_convolutions_keep():
    images = draw(*SHAPE).float()
    laid = lay_out(images)
    assert torch.equal(laid, images)
    assert laid.data_ptr() == images.data_ptr()
    found = nn.Conv3d(1, 4, 3, padding=1)(laid)
    assert found.is_contiguous(memory_format=LAYOUT)
    assert not found.is_contiguous()


def block(layers, maps):
    """A stage's layers by torch's own functions."""
    for layer in layers:
        if isinstance(layer, nn.ConvTranspose3d):
            maps = F.conv_transpose3d(maps, layer.weight, layer.bias, stride=2)
        elif isinstance(layer, nn.Conv3d):
            # Those that halve a map have no padding.
            stride = 1 if layer.padding[0] else 2
            maps = F.conv3d(maps, layer.weight, layer.bias, stride, layer.padding)
        elif isinstance(layer, InstanceNorm):
            maps = F.instance_norm(maps)
        else:
            maps = F.relu(maps)
    return maps


def plain_unet(network, images):
    """The network's formula with torch's layers in their usual layout."""
    skips, maps = [], images
    for level, layers in enumerate(network.encoder):
        maps = block(layers, F.max_pool3d(maps, 2) if level else maps)
        skips.append(maps)
    maps = skips.pop()
    for layers in reversed(network.decoder):
        larger = F.interpolate(maps, scale_factor=2, mode="trilinear")
        maps = block(layers, torch.cat([skips.pop(), larger], dim=1))
    return network.segmentation_head(maps), maps


def plain_vnet(network, images):
    skips, maps = [], block(network.encoder[0], images)
    for down, stage in zip(network.down, network.encoder[1:], strict=True):
        skips.append(maps)
        maps = block(stage, block(down, maps))
    for up, stage in zip(network.up[::-1], network.decoder[::-1], strict=True):
        maps = block(stage, block(up, maps) + skips.pop())
    return network.segmentation_head(maps), maps


PLAIN = {"unet3d": plain_unet, "vnet": plain_vnet}


def values_and_gradients(call, network, images):
    network.zero_grad()
    found = call(images)
    sum((maps * draw(*maps.shape, seed=3).to(maps)).sum() for maps in found).backward()
    gradients = {name: weight.grad.clone() for name, weight in network.named_parameters()}
    return [maps.detach() for maps in found], gradients


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("kind", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-3)])
def test_networks_and_their_gradients_are_those_of_plain_layers(name, kind, tolerance):
    network, images = build(name, kind), draw(*SHAPE).to(kind)
    own = values_and_gradients(network, network, images)
    plain = values_and_gradients(lambda inputs: PLAIN[name](network, inputs), network, images)
    torch.testing.assert_close(own, plain, rtol=tolerance, atol=tolerance)


def test_two_decoders_share_the_plain_encoder():
    network = build()
    both = TwoDecoders(network, build()).double()
    images = draw(*SHAPE)
    torch.testing.assert_close(both(images).first, plain_unet(network, images)[0])


class Copies(TorchDispatchMode):
    """Notes maps that are copied while it is on."""

    def __init__(self, least: int) -> None:
        super().__init__()
        self.least, self.found = least, []

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        name, first = function.__name__.partition(".")[0], arguments[0] if arguments else None
        is_map = isinstance(first, torch.Tensor) and first.dim() == 5 and len(first) == SHAPE[0]
        if name in COPIES and is_map and first.numel() >= self.least:
            self.found.append((name, tuple(first.shape)))
        return function(*arguments, **(options or {}))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_step_in_bfloat16_copies_no_map_but_one_slice_per_level(name):
    network, images = build(name, torch.float32, channels=16), draw(*SHAPE).float()
    copies = Copies(least=images.numel())
    with copies:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = network(images).logits
        logits.sum().backward()
    # The image and the logits' gradient change their type; the gradients of what was upsampled are
    # cut out of those of the concatenated maps.
    maps = [copy for copy in copies.found if copy[1][1] not in (1, 3)]
    allowed = [("clone", (2, 32, 16, 16, 24)), ("clone", (2, 64, 8, 8, 12))]
    assert maps == (allowed if name == "unet3d" else [])
