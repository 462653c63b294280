"""What the benchmarks of training steps share: a batch, a method with full memories, one step."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.nn import functional as F

from dvcl.methods import Method
from dvcl.methods.parts import FeatureQueue
from dvcl.methods.teacher import Teacher
from dvcl.networks import Network
from dvcl.sampling.batch import Batch
from dvcl.sampling.distance_maps import signed_distance_maps
from dvcl.training.engine import step
from dvcl.training.optimisation import Training, build_optimisers

Size = tuple[int, int, int]

CLASSES = 14
PROGRESS = 0.9
NETWORK = Network(dropout=0.0)
OLD = 1000  # steps, after which no method waits for its teacher


def patch_size(quick: bool) -> Size:
    return (16, 64, 64) if quick else (32, 96, 96)


def make_batch(patch: Size, device: str, labelled: int = 2, unlabelled: int = 2) -> Batch:
    """Noise, and labels in blocks of 8 voxels; an untrained network gets some of them right."""
    random = torch.Generator().manual_seed(0)
    images = torch.rand((labelled + unlabelled, 1, *patch), generator=random)
    sides = [side // 8 for side in patch]
    blocks = torch.randint(CLASSES, (labelled, *sides), generator=random)
    for axis in (1, 2, 3):
        blocks = blocks.repeat_interleave(8, axis)
    maps = torch.from_numpy(signed_distance_maps(blocks.numpy(), CLASSES))
    ids = tuple("abcdefgh"[: len(images)])
    batch = Batch(images[:labelled], blocks, images[labelled:], ids, maps)
    return batch.to(torch.device(device))


def make_method(
    kind: type[Method],
    device: str,
    network: Network = NETWORK,
    precision: torch.dtype | None = torch.bfloat16,
    **settings: Any,
) -> Method:
    """Freshly initialised, but with full memories and an old teacher."""
    torch.manual_seed(0)
    random = torch.Generator().manual_seed(0)
    build = partial(network.build, CLASSES, random=random)
    method = kind(build, CLASSES, **settings).to(device)
    method.precision = precision
    method.random = torch.Generator(device).manual_seed(0)
    for part in method.modules():
        if isinstance(part, FeatureQueue):
            # Of unit length, as features are, and positive, as probabilities are.
            part.push(F.normalize(torch.rand(part.rows.shape, device=device), dim=1))
        if isinstance(part, Teacher):
            part.steps.fill_(OLD)
    return method


def make_step(kind: type[Method], batch: Batch, device: str, **settings: Any) -> Callable[[], None]:
    """One step of all optimisers, repeatable, already taken once."""
    method, training = make_method(kind, device, **settings), Training(rate=1e-3)
    optimisers = build_optimisers(method, training)

    def take() -> None:
        step(method, optimisers, batch, PROGRESS, training.rate)

    take()
    return take
