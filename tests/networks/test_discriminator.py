"""The discriminator's shapes, and that judging leaves it as it was."""

import pytest
import torch
from torch.nn import functional as F

from dvcl.errors import InputError
from dvcl.losses.adversarial import origin_loss
from dvcl.networks.discriminator import Discriminator


def maps_and_images(patches: int = 2, shape=(16, 16, 16), channels: int = 3):
    random = torch.Generator().manual_seed(0)
    maps = torch.rand((patches, channels, *shape), generator=random)
    return maps, torch.randn((patches, 1, *shape), generator=random)


def build(dropout: float = 0.5) -> Discriminator:
    torch.manual_seed(0)
    return Discriminator(3, 4, dropout)


@pytest.mark.parametrize("shape", [(16, 16, 16), (16, 32, 48), (20, 17, 31)])
def test_any_patch_gives_two_scores_per_patch(shape):
    scores = build()(*maps_and_images(shape=shape))
    assert scores.shape == (2, 2)
    assert scores.dtype == torch.float32


def test_the_layers_are_the_published_ones():
    discriminator = Discriminator(14)
    shapes = [tuple(w.shape) for w in discriminator.parameters() if w.dim() > 1]
    kernel = (4, 4, 4)
    assert shapes == [
        (64, 14, *kernel), (64, 1, *kernel), (128, 64, *kernel), (256, 128, *kernel),
        (512, 256, *kernel), (2, 512),
    ]  # fmt: skip


def test_scores_equal_the_layers_written_out():
    discriminator, (maps, images) = build().eval(), maps_and_images()

    def halved(values, layer):
        return F.conv3d(values, layer.weight, layer.bias, stride=2, padding=1)

    values = halved(maps, discriminator.map_stem) + halved(images, discriminator.image_stem)
    for index in (2, 5, 8):
        values = halved(F.leaky_relu(values, 0.2), discriminator.body[index])
    pooled = F.leaky_relu(values, 0.2).mean((2, 3, 4))
    torch.testing.assert_close(discriminator(maps, images), discriminator.classifier(pooled))


def test_judging_gives_gradients_to_the_maps_alone_and_drops_nothing():
    discriminator, (maps, images) = build(), maps_and_images()
    maps.requires_grad_()
    first, second = (discriminator.judge(maps, images) for _ in range(2))
    assert torch.equal(first, second)
    origin_loss(first, 2).backward()
    assert maps.grad.abs().max() > 0
    assert all(weight.grad is None for weight in discriminator.parameters())
    assert discriminator.training
    assert all(weight.requires_grad for weight in discriminator.parameters())
    assert not torch.equal(discriminator(maps, images), discriminator(maps, images))
    discriminator.eval().judge(maps, images)
    assert not discriminator.training


def test_it_learns_to_tell_two_kinds_of_maps_apart():
    discriminator, (maps, images) = build(dropout=0.0), maps_and_images(4)
    maps[2:] = 1 / 3
    optimiser = torch.optim.Adam(discriminator.parameters(), 1e-2)
    for _ in range(20):
        loss = origin_loss(discriminator(maps, images), 2)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.1


def test_patches_that_cannot_be_halved_four_times_are_refused():
    build().check_patch((16, 16, 20))
    with pytest.raises(InputError, match=r"patch \(16, 15, 32\): each side must be at least 16"):
        build().check_patch((16, 15, 32))
