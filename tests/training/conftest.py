"""A tiny method, batches without files, and the loop around them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dvcl.methods import METHODS, Method
from dvcl.networks import Network
from dvcl.recipe import load_recipe
from dvcl.sampling.settings import Sampling
from dvcl.sampling.streams import Sampler


class Case:
    """Stands in for a prepared case."""

    annotated = None

    def __init__(self, id: str, number: int) -> None:
        random = np.random.default_rng(number)
        self.id, self.scale, self.offset = id, 1e-3, 0.5
        organ = random.random((8, 8, 10)) < 0.3
        self.label = organ.astype(np.uint8)
        self.image = (400 * organ + random.integers(0, 300, organ.shape)).astype(np.int16)


@pytest.fixture
def build_method():
    """build_method("dvcl", classes=2, seed=0) -> a fresh method on a network of two levels."""

    def build(name: str, classes: int = 2, seed: int = 0, base_channels: int = 2) -> Method:
        random = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed)
        network = Network("unet3d", base_channels, levels=2)
        small = (
            {"queue_size": 64, "bank_size": 16, "feature_dimension": 4} if name == "dvcl" else {}
        )
        return METHODS[name](lambda s: network.build(classes, s, random), classes, **small)

    return build


@pytest.fixture
def build_tiny(build_method):
    """build_tiny(name) -> any method in a size that runs in no time, on three classes' settings."""
    small = load_recipe(str(Path(__file__).parents[1] / "methods" / "small.toml")).methods

    def build(name: str) -> Method:
        random = torch.Generator().manual_seed(0)
        network = Network("unet3d", 4, levels=2)
        return METHODS[name](lambda s: network.build(3, s, random), 3, **small.get(name, {}))

    return build


@pytest.fixture
def make_sampler():
    """make_sampler(seed=0) -> batches of two labelled and two unlabelled patches."""

    def make(
        seed: int = 0,
        cases: int = 3,
        kind: type = Case,
        size: tuple = (8, 8, 8),
        maps: bool = False,
    ) -> Sampler:
        labelled = [kind(f"labelled-{n}", n) for n in range(cases)]
        unlabelled = [kind(f"unlabelled-{n}", 10 + n) for n in range(cases)]
        return Sampler(labelled, unlabelled, Sampling(size, 2, 2), seed, 3 if maps else None)

    return make
