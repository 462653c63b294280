"""MagicNet's terms against loops over cubes; what enters its pseudo-labels; what it refuses."""

import itertools
import math

import pytest
import torch
from torch.nn import functional as F

from dvcl.errors import InputError
from dvcl.methods.cubes import draw_orders
from dvcl.methods.location import LocationHead, coarsest_maps
from dvcl.methods.magicnet import MagicNet
from dvcl.methods.views import noisy
from dvcl.networks import Network

CUBE = (8, 8, 4)
CELLS = list(itertools.product((0, 8), (0, 8), (0, 4, 8, 12)))


def places(cell):
    return (..., *(slice(start, start + side) for start, side in zip(cell, CUBE, strict=True)))


def dice(p: torch.Tensor, labels: torch.Tensor) -> float:
    p, total = p.double(), 0.0
    for k in range(p.shape[1]):
        y = (labels == k).double()
        shared, size = (p[:, k] * y).sum(), p[:, k].square().sum() + y.sum()
        total += 1 - ((2 * shared + 1e-5) / (size + 1e-5)).item()
    return total / p.shape[1]


class Naive:
    """Every map of one step, cube by cube, with the method's draws repeated."""

    def __init__(self, method: MagicNet, batch) -> None:
        random = torch.Generator().set_state(method.random.get_state())
        orders = draw_orders(4, len(CELLS), random)
        images, student = batch.images, method.student
        mixed = torch.empty_like(images)
        for index, cell in enumerate(CELLS):
            for image in range(4):
                mixed[image][places(cell)] = images[orders[image, index]][places(cell)]
        with torch.no_grad():
            self.whole = student(images).logits.double()
            seen = student(mixed).logits.softmax(1)
            self.unmixed, self.alone = torch.empty_like(seen), torch.empty_like(seen)
            self.coarsest = torch.empty(4, len(CELLS), method.location_head.layers[0].in_features)
            for index, cell in enumerate(CELLS):
                with coarsest_maps(student) as maps:
                    logits = student(images[places(cell)]).logits
                self.coarsest[:, index] = maps[0].flatten(1)
                for image in range(4):
                    source = orders[image, index]
                    self.unmixed[source][places(cell)] = seen[image][places(cell)]
                    self.alone[image][places(cell)] = logits[image]
            noised = noisy(batch.unlabelled, random, method.noise, method.noise_limit)
            self.taught = method.teacher.network(noised).logits


@pytest.mark.parametrize("blend", [False, True])
def test_all_terms_equal_the_loops(blend, build_method, make_batch):
    method, batch = build_method("magicnet", blend_after=0 if blend else 100), make_batch()
    frequency = torch.tensor([900.0, 90.0, 600.0])
    method.frequency.copy_(frequency)
    with torch.no_grad():
        for weight in method.teacher.network.parameters():
            weight.mul_(1.3)
    maps = Naive(method, batch)
    terms = method.losses(batch, 0.5)

    logs = maps.whole[:2].log_softmax(1)
    supervised = F.nll_loss(logs, batch.labels).item() + dice(logs.exp(), batch.labels)
    supervised += dice(maps.unmixed[:2], batch.labels)
    supervised += dice(maps.alone[:2].softmax(1), batch.labels)
    assert terms["supervised"].item() == pytest.approx(supervised / 4, rel=1e-4)

    pseudo = maps.taught.argmax(1)
    if blend:
        share = frequency[pseudo].unsqueeze(1) / 900
        blended = ((1 - share) * maps.taught + share * maps.alone[2:]).argmax(1)
        assert (blended != pseudo).float().mean() > 0.01
        pseudo = blended
    consistency = 0.1 * math.exp(-5 / 4) * dice(maps.unmixed[2:], pseudo)
    assert terms["consistency"].item() == pytest.approx(consistency, rel=1e-4)

    rows = method.location_head.layers(maps.coarsest.flatten(0, 1))
    losses = []
    for number, row in enumerate(rows.double().tolist()):
        used = [math.exp(value) for value in row[: len(CELLS)]]
        losses.append(-math.log(used[number % len(CELLS)] / sum(used)))
    location = 0.1 * sum(losses) / len(losses)
    assert terms["location"].item() == pytest.approx(location, rel=1e-3)


def test_pseudo_labels_are_counted_and_counts_become_frequencies(build_method, make_batch):
    method = build_method("magicnet", blend_after=100, refresh=2)
    counted, frequencies = [], []
    for seed in range(4):
        state = method.random.get_state()
        batch = make_batch(seed)
        labels = method._pseudo_labels(batch.unlabelled, torch.zeros(2, 3, 16, 16, 16))
        counted.append(labels.flatten().bincount(minlength=3))
        frequencies.append(method.frequency.clone())
        method.after_step()
        assert not torch.equal(method.random.get_state(), state)
    assert frequencies[0].tolist() == [0, 0, 0]
    assert torch.equal(frequencies[1], (counted[0] + counted[1]).float())
    assert torch.equal(frequencies[2], frequencies[1])
    assert torch.equal(frequencies[3], (counted[2] + counted[3]).float())
    assert method.counts.tolist() == [0, 0, 0]


def test_without_counted_labels_the_teacher_speaks_alone(build_method, make_batch):
    method, batch = build_method("magicnet", blend_after=0, noise=0.0), make_batch()
    cubewise = 1000 * torch.randn(2, 3, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = method.teacher.network(batch.unlabelled).logits.argmax(1)
    assert torch.equal(method._pseudo_labels(batch.unlabelled, cubewise), expected)


def test_pseudo_labels_come_from_a_teacher_without_dropout(build_method, make_batch):
    method, batch = build_method("magicnet", dropout=0.5, blend_after=100), make_batch(side=8)
    modes = []
    method.teacher.network.register_forward_pre_hook(
        lambda module, *_: modes.append(module.training or module.dropout.training)
    )
    method.losses(batch, 0.5)
    assert modes == [False]
    assert method.teacher.network.training
    assert method.student.dropout.training


def test_where_gradients_go(build_method, make_batch):
    method, batch = build_method("magicnet"), make_batch()
    terms = method.losses(batch, 0.5)
    terms["location"].backward(retain_graph=True)
    student = method.student
    assert all(weight.grad is not None for weight in student.encoder.parameters())
    assert all(weight.grad is not None for weight in method.location_head.parameters())
    assert all(weight.grad is None for weight in student.decoder.parameters())
    assert student.segmentation_head.weight.grad is None
    method.zero_grad()
    terms["consistency"].backward()
    assert student.segmentation_head.weight.grad.abs().max() > 0
    assert all(weight.grad is None for weight in method.location_head.parameters())
    assert all(weight.grad is None for weight in method.teacher.parameters())


def test_labelled_cubes_reach_unlabelled_patches_and_back(build_method, make_batch):
    """Two patches, one of them labelled: some cells are exchanged, each loss sees both images."""
    method = build_method("magicnet", location=0.0)
    batch = make_batch(labelled=1, unlabelled=1)
    seen = []
    method.student.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    method.losses(batch, 0.5)
    whole, mixed, *cubes = seen
    assert torch.equal(whole, batch.labelled)
    assert [part.shape for part in cubes] == [(16, 1, *CUBE)] * 2
    exchanged = [not torch.equal(mixed[0][places(c)], batch.labelled[0][places(c)]) for c in CELLS]
    assert 0 < sum(exchanged) < len(CELLS)
    for cell, other in zip(CELLS, exchanged, strict=True):
        assert torch.equal(mixed[int(other)][places(cell)], batch.labelled[0][places(cell)])
        assert torch.equal(mixed[1 - int(other)][places(cell)], batch.unlabelled[0][places(cell)])


def test_surplus_outputs_of_the_location_head_are_cut_off():
    torch.manual_seed(0)
    head, maps = LocationHead(6, 5, 9), torch.randn(8, 3, 1, 1, 2)
    logits = head.layers(maps.flatten(1))[:, :4]
    expected = F.cross_entropy(logits, torch.tensor([0, 1, 2, 3, 0, 1, 2, 3]))
    torch.testing.assert_close(head(maps, 4), expected)
    head(maps, 4).backward()
    assert head.layers[3].weight.grad[4:].abs().max() == 0
    assert head(maps.bfloat16(), 4).dtype == torch.float32


def test_coarsest_maps_are_collected_within_the_block_only():
    network = Network(base_channels=4, levels=3).build(3, "kaiming", torch.Generator())
    images = torch.randn(2, 1, 8, 8, 8)
    with coarsest_maps(network) as maps:
        network(images)
        network(images)
    network(images)
    assert [tuple(part.shape) for part in maps] == [(2, 16, 2, 2, 2)] * 2
    assert not network.encoder[-1]._forward_hooks


@pytest.mark.parametrize("name", ["unet3d", "vnet"])
def test_the_location_head_fits_every_network(name):
    network = Network(name, base_channels=4, levels=3)
    method = MagicNet(
        lambda scheme: network.build(3, scheme, torch.Generator()), 3, cube=(8, 8, 16), hidden=4
    )
    assert method.location_head.layers[0].in_features == 16 * 2 * 2 * 4


@pytest.mark.parametrize("patch", [(16, 16, 18), (8, 8, 4), (8, 8, 2), (64, 64, 64)])
def test_a_patch_that_cubes_do_not_fill_is_refused(patch, build_method):
    method = build_method("magicnet")
    method.check_patch((16, 8, 4))
    with pytest.raises(InputError, match=r"sampling.patch: \(.*methods.magicnet.cube, for example"):
        method.check_patch(patch)


def test_the_first_batch_is_checked_too(build_method, make_batch):
    with pytest.raises(InputError, match=r"\(8, 8, 8\) found for cubes of \(8, 8, 8\) voxels"):
        build_method("magicnet", cube=(8, 8, 8)).losses(make_batch(side=8), 0.0)


@pytest.mark.parametrize("cube", [(4, 4, 4), (8, 8, 6), (4, 4, 2)])
def test_a_cube_too_small_for_the_network_is_refused(cube, build_method):
    with pytest.raises(InputError, match=r"methods.magicnet.cube: .* multiple of 4"):
        build_method("magicnet", levels=3, cube=cube)


@pytest.mark.parametrize(
    "setting", [{"cells": 1}, {"refresh": 0}, {"hidden": 0}, {"location": -1.0}, {"noise": -0.1}]
)
def test_settings_without_sense_are_refused(setting, build_method):
    with pytest.raises(InputError, match=next(iter(setting))):
        build_method("magicnet", **setting)
