"""Every network and head in bfloat16 gives what it gives in float32, whatever the patch."""

import pytest
import torch
from torch import nn

from dvcl.methods.bacon import TwoClassifiers
from dvcl.methods.location import LocationHead
from dvcl.networks import NETWORKS, Network
from dvcl.networks.convolution import Convolution
from dvcl.networks.discriminator import Discriminator
from dvcl.networks.distance_head import DistanceHead
from dvcl.networks.heads import FeatureHead
from dvcl.networks.two_decoders import TwoDecoders
from dvcl.training.kernels import one_thread

PATCHES = [
    (16, 16, 16), (32, 32, 16), (16, 32, 16), (32, 48, 16), (48, 48, 16), (48, 16, 32),
    (16, 16, 48), (16, 48, 32), (32, 16, 48), (32, 32, 32),
]  # fmt: skip


def build(name="unet3d"):
    random = torch.Generator().manual_seed(0)
    return Network(name, base_channels=4, levels=4, dropout=0.0).build(3, "kaiming", random)


def judged(discriminator, images):
    return discriminator(torch.cat([images.sigmoid(), 1 - images.sigmoid()], 1), images)


PARTS = {
    **{name: (lambda name=name: build(name), lambda part, x: part(x)[0]) for name in NETWORKS},
    "two decoders": (lambda: TwoDecoders(build(), build()), lambda part, x: part(x)[1]),
    "two classifiers": (lambda: TwoClassifiers(build(), 3), lambda part, x: part(x)[0]),
    "discriminator": (lambda: Discriminator(2, 8, 0.0), judged),
    "distance head": (lambda: DistanceHead(1, 2), lambda part, x: part(x)),
    "feature head": (lambda: FeatureHead(1, 16), lambda part, x: part(x.reshape(-1, 1))),
    "location head": (
        lambda: LocationHead(64, 8, 64), lambda part, x: part(x.reshape(-1, 1, 4, 4, 4), 8)
    ),
}  # fmt: skip


def results(part, call, images, is_low):
    """What it returns, and the gradient of its weights."""
    part.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=is_low):
        found = call(part, images).float()
    random = torch.Generator().manual_seed(1)
    (found * torch.randn(found.shape, generator=random)).sum().backward()
    gradients = [weight.grad for weight in part.parameters() if weight.grad is not None]
    return found.detach(), torch.cat([gradient.flatten() for gradient in gradients])


@pytest.mark.parametrize("name", PARTS)
def test_bfloat16_is_near_float32(name):
    torch.manual_seed(0)
    make, call = PARTS[name]
    part = make()
    for patch in PATCHES:
        images = torch.randn((1, 1, *patch), generator=torch.Generator().manual_seed(2))
        pairs = zip(*(results(part, call, images, low) for low in (False, True)), strict=True)
        # Rounding adds up over many small layers; what a wrong kernel returns is off by 1 or more.
        for (exact, rounded), most in zip(pairs, (0.1, 0.7), strict=True):
            assert (rounded - exact).norm() < most * exact.norm(), patch


@pytest.mark.parametrize("channels", [1, 3, 16])
@pytest.mark.parametrize(
    "layer", [{"kernel_size": 4, "stride": 2, "padding": 1}, {"kernel_size": 2, "stride": 2},
              {"kernel_size": 3, "padding": 1}], ids=str
)  # fmt: skip
def test_a_convolution_is_right_for_every_small_map(channels, layer):
    torch.manual_seed(0)
    part = Convolution(channels, 16, **layer)
    smallest = layer.get("stride", 1)
    for shape in [(d, h, w) for d in (1, 2, 3, 4) for h in (1, 4, 6) for w in (1, 2, 3, 4)]:
        if min(shape) < smallest:
            continue
        images = torch.randn((2, channels, *shape), generator=torch.Generator().manual_seed(2))
        both = (results(part, nn.Module.__call__, images, low) for low in (False, True))
        for exact, rounded in zip(*both, strict=True):
            assert (rounded - exact).norm() < 0.02 * exact.norm(), shape


@pytest.mark.parametrize("shape", [(6, 2, 4), (6, 4, 2), (2, 6, 4), (3, 2, 2)])
def test_a_stride_that_leaves_one_voxel_is_right_on_one_thread(shape):
    """As trainings run; an AMD EPYC then gave NaN where two threads did not."""
    torch.manual_seed(0)
    part = Convolution(32, 64, kernel_size=4, stride=2, padding=1)
    images = torch.randn((1, 32, *shape), generator=torch.Generator().manual_seed(2))
    with one_thread():
        both = [results(part, nn.Module.__call__, images, low) for low in (False, True)]
    for exact, rounded in zip(*both, strict=True):
        assert (rounded - exact).norm() < 0.02 * exact.norm()
