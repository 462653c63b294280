"""Weights of another training as a start."""

from pathlib import Path

import pytest
import torch

from dvcl.methods import METHODS
from dvcl.networks import Network, SegmentationNetwork
from dvcl.recipe import load_recipe
from dvcl.training.transfer import class_axes, take_weights

SMALL = load_recipe(str(Path(__file__).parents[1] / "methods" / "small.toml")).methods
NAMES = ("background", "aorta", "liver")
every_method = pytest.mark.parametrize("name", METHODS)


def build(name: str, classes: int = 3, seed: int = 0):
    random = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    network = Network("unet3d", 4, levels=2)
    return METHODS[name](
        lambda s: network.build(classes, s, random), classes, **SMALL.get(name, {})
    )


def weights(method) -> dict[str, torch.Tensor]:
    return dict(method.named_parameters())


@every_method
def test_the_same_method_on_the_same_organs_takes_every_weight_and_no_memory(name: str) -> None:
    method, donor = build(name), build(name, seed=1)
    with torch.no_grad():
        for buffer in donor.buffers():
            buffer.fill_(1)
    buffers = {key: value.clone() for key, value in method.named_buffers()}
    taken = take_weights(method, donor, class_axes(method, build(name, 4)), NAMES, NAMES)
    assert taken.left == {}
    assert (taken.kept, taken.new) == (("aorta", "liver"), ())
    assert all(torch.equal(weights(method)[key], value) for key, value in weights(donor).items())
    assert all(torch.equal(value, buffers[key]) for key, value in method.named_buffers())


@every_method
def test_heads_keep_the_rows_of_organs_by_name_whatever_their_place(name: str) -> None:
    method, donor = build(name), build(name, 4, seed=1)
    fresh = {key: value.clone() for key, value in weights(build(name)).items()}
    axes = class_axes(method, build(name, 4))
    assert {key for key in axes if key.endswith("segmentation_head.weight")}
    taken = take_weights(
        method, donor, axes, ("background", "spleen", "liver"), ("background", "liver", "a", "b")
    )
    assert (taken.kept, taken.new) == (("liver",), ("spleen",))
    for key, axis in axes.items():
        mine, source = weights(method)[key], weights(donor)[key]
        shift = 3 - mine.shape[axis]  # distance heads have no row for the background
        assert torch.equal(mine.select(axis, 2 - shift), source.select(axis, 1 - shift)), key
        assert torch.equal(mine.select(axis, 1 - shift), fresh[key].select(axis, 1 - shift)), key
        assert shift or torch.equal(mine.select(axis, 0), source.select(axis, 0)), key
    others = [key for key in weights(method) if key not in axes]
    assert all(torch.equal(weights(method)[key], weights(donor)[key]) for key in others)


@every_method
def test_the_networks_of_another_method_start_the_first_one_and_teachers(name: str) -> None:
    method, donor = build(name), build("supervised", seed=1)
    take_weights(method, donor, class_axes(method, build(name, 4)), NAMES, NAMES)
    networks = [part for part in method.modules() if isinstance(part, SegmentationNetwork)]
    first, *others = (part for part in networks if part.is_trained)
    wanted = donor.network.state_dict()
    for network in (first, *(part for part in networks if not part.is_trained)):
        assert all(torch.equal(value, wanted[key]) for key, value in network.state_dict().items())
    for network in others:
        assert not torch.equal(network.encoder[0][0].weight, donor.network.encoder[0][0].weight)


def test_what_was_taken_is_told_in_a_line() -> None:
    method, donor = build("cps"), build("supervised", seed=1)
    axes = class_axes(method, build("cps", 4))
    taken = take_weights(method, donor, axes, NAMES, ("background", "liver", "spleen"))
    count = len(weights(donor))
    assert taken.in_words() == (
        f"{count} of {2 * count} weights, with the head's rows of liver; new organs: aorta; as "
        f"initialised: networks.1 ({count})"
    )
