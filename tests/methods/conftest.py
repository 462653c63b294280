"""Tiny methods and batches."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from dvcl.methods import METHODS, Method
from dvcl.networks import Network
from dvcl.recipe import load_recipe
from dvcl.sampling.batch import Batch
from dvcl.sampling.distance_maps import signed_distance_maps
from dvcl.training.checkpoint import load_state, save_state
from dvcl.training.engine import step
from dvcl.training.optimisation import Training, build_optimisers

CLASSES = 3
SMALL = load_recipe(str(Path(__file__).parent / "small.toml")).methods

BuildMethod = Callable[..., Method]
MakeBatch = Callable[..., Batch]


@pytest.fixture
def build_method() -> BuildMethod:
    """build_method("dvcl", seed=0, levels=2, dropout=0.0, **settings) -> a fresh tiny method."""

    def build(name: str, seed: int = 0, levels: int = 2, dropout: float = 0.0, **settings):
        random = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed)
        network = Network("unet3d", base_channels=4, levels=levels, dropout=dropout)
        method = METHODS[name](
            lambda scheme: network.build(CLASSES, scheme, random),
            CLASSES,
            **SMALL.get(name, {}) | settings,
        )
        method.random.manual_seed(seed)
        return method

    return build


@pytest.fixture
def make_batch() -> MakeBatch:
    """make_batch(seed=0, labelled=2, unlabelled=2, side=16) -> Batch of blobs in noise."""

    def make(seed: int = 0, labelled: int = 2, unlabelled: int = 2, side: int = 16) -> Batch:
        random = torch.Generator().manual_seed(seed)
        shape = (labelled + unlabelled, side, side, side)
        classes = torch.zeros(shape, dtype=torch.int64)
        classes[:, side // 4 : side // 2] = 1
        classes[:, :, side // 2 :, : side // 4] = 2
        images = (classes + torch.randn(shape, generator=random)).unsqueeze(1)
        ids = tuple("abcdefgh"[: labelled + unlabelled])
        maps = torch.from_numpy(signed_distance_maps(classes[:labelled].numpy(), CLASSES))
        return Batch(images[:labelled], classes[:labelled], images[labelled:], ids, maps)

    return make


@pytest.fixture
def resumed(build_method: BuildMethod, make_batch: MakeBatch, tmp_path: Path):
    """resumed(settings) -> state of a "dvcl" that has stopped at 3 of 5 steps and gone on.

    It is that of one that has not stopped, bit for bit.
    """
    schedule = Training(precision="float32")

    def advance(method: Method, optimisers: dict, first: int, last: int) -> None:
        for t in range(first, last):
            batch = make_batch(t, side=8)
            terms, _ = step(method, optimisers, batch, t / 5, 0.05, measure=True)
            assert all(map(math.isfinite, terms.values()))

    def resume(**settings) -> dict[str, torch.Tensor]:
        whole = build_method("dvcl", **settings)
        optimisers = build_optimisers(whole, schedule)
        advance(whole, optimisers, 0, 3)
        save_state(tmp_path / "last.safetensors", whole, optimisers, iteration=3)
        advance(whole, optimisers, 3, 5)
        cut = build_method("dvcl", seed=99, **settings)
        optimisers = build_optimisers(cut, schedule)
        load_state(tmp_path / "last.safetensors", cut, optimisers)
        advance(cut, optimisers, 3, 5)
        found, expected = cut.state_dict(), whole.state_dict()
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert torch.equal(found[key], value), key
        return found

    return resume
