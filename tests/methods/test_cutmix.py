"""Boxes of half the volume, and what is shown inside."""

import pytest
import torch

from dvcl.methods.cutmix import cut_mix, draw_boxes


@pytest.fixture
def random() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_boxes_are_boxes_of_half_the_volume(random):
    shape = torch.Size((16, 24, 32))
    boxes = draw_boxes(200, shape, random)
    assert boxes.shape == (200, *shape)
    assert boxes.dtype == torch.bool
    shares = boxes.float().mean((1, 2, 3))
    assert shares.mean().item() == pytest.approx(0.5, abs=0.01)
    assert (shares - 0.5).abs().max() < 0.06
    for box in boxes[:20]:
        sides = [box.any(1).any(1), box.any(0).any(1), box.any(0).any(0)]
        for side, size in zip(sides, shape, strict=True):
            places = side.nonzero().flatten()
            assert len(places) == places[-1] - places[0] + 1
            assert len(places) >= size // 2
        assert box.sum() == torch.stack([side.sum() for side in sides]).prod()


def test_boxes_reach_every_border_and_vary(random):
    boxes = draw_boxes(200, torch.Size((8, 8, 8)), random)
    frequency = boxes.float().mean(0)
    assert frequency.min() > 0
    assert frequency[4, 4, 4] > frequency[0, 0, 0]
    assert len(boxes.flatten(1).unique(dim=0)) > 100


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 3)])
def test_tiny_patches_have_boxes(shape, random):
    boxes = draw_boxes(5, torch.Size(shape), random)
    assert boxes.flatten(1).any(1).all()


def test_inside_its_box_a_patch_shows_the_next_one(random):
    images = torch.randn(3, 1, 4, 4, 4, generator=random)
    boxes = draw_boxes(3, images.shape[2:], random)
    mixed, labels = cut_mix(images, boxes), cut_mix(images[:, 0], boxes)
    for index in range(3):
        inside = boxes[index]
        assert torch.equal(mixed[index, 0][inside], images[(index + 1) % 3, 0][inside])
        assert torch.equal(mixed[index, 0][~inside], images[index, 0][~inside])
    assert torch.equal(mixed[:, 0], labels)


def test_a_single_patch_stays_as_it_is(random):
    images = torch.randn(1, 1, 4, 4, 4, generator=random)
    assert torch.equal(cut_mix(images, draw_boxes(1, images.shape[2:], random)), images)
