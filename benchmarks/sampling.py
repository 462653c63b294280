"""Patches per second of `Sampler` against MONAI and nnU-Net, and how long training waits for them.

Claim: float32 patches of 64x128x128 (batches of 4 labelled and 4 unlabelled, flips) come at 500 per
second or more, and at least twice as fast as from MONAI's CacheDataset with RandSpatialCrop at its
best (arrays in RAM, no copies of the cache, no workers); training of the recipe small-ct waits for
data less than 5 % of the time, with no worker process at all; and signed distance maps of 13 organs
take at most half of the time that they take with scipy's transform, and are the same bit for bit.

    python benchmarks/sampling.py [--quick]

Labels are bytes in all of them; losses need int64, which `Batch.to` makes on the device: the row
"and on the device" has it, on a CPU. nnU-Net's loader is left out where it is not installed
(PYTHONPATH=src OTHER/bin/python benchmarks/sampling.py).
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import statistics
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from measuring import interleaved, median_ratio, options, print_table, verdict
from monai.data import CacheDataset, DataLoader
from monai.transforms import Compose, EnsureTyped, RandFlipd, RandSpatialCropd
from scipy.ndimage import distance_transform_edt

from dvcl.methods import METHODS
from dvcl.recipe import load_recipe
from dvcl.sampling.distance_maps import signed_distance_maps
from dvcl.sampling.settings import Sampling
from dvcl.sampling.streams import Sampler
from dvcl.training.engine import train
from dvcl.training.journal import read_journal

CLASSES = 14
PATCH, SHAPE = (64, 128, 128), (110, 330, 330)
QUICK_PATCH, QUICK_SHAPE = (32, 64, 64), (64, 128, 128)
RECIPE_SHAPE = (80, 100, 100)  # an abdomen in voxels of 3 x 4 x 4 mm


@dataclass
class Case:
    """What the sampler reads of a `StoredCase`, preloaded."""

    id: str
    image: np.ndarray
    label: np.ndarray
    scale: float = 1 / 65535
    offset: float = 0.5
    annotated: None = None

    @cached_property
    def organ_voxels(self) -> np.ndarray:
        voxels = np.argwhere(self.label)[::997]
        return np.column_stack([self.label[tuple(voxels.T)], voxels]).astype(np.int32)


def make_cases(count: int, shape: tuple[int, int, int]) -> list[Case]:
    """Noise with random labels in blocks."""
    random = np.random.default_rng(0)
    cases = []
    for index in range(count):
        blocks = random.integers(0, CLASSES, [-(-side // 8) for side in shape], dtype=np.uint8)
        label = np.kron(blocks, np.ones((8, 8, 8), np.uint8))[tuple(map(slice, shape))]
        image = random.integers(-(2**15), 2**15, shape, dtype=np.int16)
        cases.append(Case(str(index), image, np.ascontiguousarray(label)))
        # The store has them ready.
        assert len(cases[-1].organ_voxels)
    return cases


def monai_batches(
    cases: list[Case], patch: tuple[int, int, int], labelled: bool
) -> Iterator[dict[str, torch.Tensor]]:
    """Endless batches of 4 from MONAI."""
    keys = ["image", "label"] if labelled else ["image"]
    records = [
        {
            "image": (case.image * np.float32(case.scale) + np.float32(case.offset))[None],
            "label": case.label[None],
        }
        for case in cases
    ]
    records = [{key: record[key] for key in keys} for record in records]
    random = [
        RandSpatialCropd(keys, patch, random_size=False),
        RandFlipd(keys, prob=0.5, spatial_axis=1),
        RandFlipd(keys, prob=0.5, spatial_axis=2),
    ]
    dataset = CacheDataset(
        records, Compose([EnsureTyped(keys), *random]), num_workers=0, progress=False,
        copy_cache=False,
    )  # fmt: skip
    loader = DataLoader(dataset, batch_size=4, shuffle=True, num_workers=0)
    while True:
        yield from loader


def nnunet_batches(
    cases: list[Case], patch: tuple[int, int, int], folder: Path
) -> Iterator[dict[str, torch.Tensor]]:
    """Endless batches of 4 from nnU-Net's loader, in this process, mirrored as the others."""
    with contextlib.redirect_stdout(Path(os.devnull).open("w")), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
        from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
        from nnunetv2.training.dataloading.nnunet_dataset import (
            comp_blosc2_params,
            nnUNetDatasetBlosc2,
        )

    for case in cases:
        image = (case.image * np.float32(case.scale) + np.float32(case.offset))[None]
        blocks, chunks = comp_blosc2_params(image.shape, patch, 4)
        nnUNetDatasetBlosc2.save_case(
            image, case.label[None].astype(np.int16), {"class_locations": {}},
            str(folder / case.id), chunks=chunks, blocks=blocks,
        )  # fmt: skip
    labels = SimpleNamespace(all_labels=[*range(CLASSES)], has_ignore_label=False)
    data, mirror = nnUNetDatasetBlosc2(str(folder)), MirrorTransform((1, 2))
    return nnUNetDataLoader(data, 4, patch, patch, labels, transforms=mirror)


def patches(quick: bool, repeats: int, folder: Path) -> tuple[float, float]:
    """Print patches per second; those of dvcl are returned, and how they compare to MONAI's."""
    patch, shape = (QUICK_PATCH, QUICK_SHAPE) if quick else (PATCH, SHAPE)
    cases = make_cases(8, shape)
    settings = Sampling(patch, 4, 4, flips=("H", "W"))
    sampler = Sampler(cases, cases, settings, 0)
    centred = Sampler(cases, cases, replace(settings, organ_share=0.5), 0)
    pair = [monai_batches(cases, patch, labelled) for labelled in (True, False)]
    device = torch.device("cpu")
    calls = {
        "dvcl": sampler.draw,
        "dvcl, half of the labelled on organs": centred.draw,
        "dvcl, and on the device": lambda: sampler.draw().to(device),
        "MONAI CacheDataset, RandSpatialCrop": lambda: [next(batches) for batches in pair],
    }
    if importlib.util.find_spec("nnunetv2"):
        peer = nnunet_batches(cases, patch, folder)
        calls["nnU-Net's loader"] = lambda: [next(peer) for _ in range(2)]
    else:
        print("nnU-Net is not installed here and is left out")
    for call in calls.values():
        call()
    seconds = interleaved(calls, 4 * repeats)
    monai = seconds["MONAI CacheDataset, RandSpatialCrop"]
    print_table(
        ("", "patches/s", "x MONAI"),
        [
            (name, 8 / statistics.median(values), median_ratio(monai, values))
            for name, values in seconds.items()
        ],
    )
    return 8 / statistics.median(seconds["dvcl"]), median_ratio(monai, seconds["dvcl"])


def waiting(method_name: str, steps: int) -> float:
    """Share of small-ct's training time that is not waiting for a batch."""
    recipe = load_recipe("small-ct", [f"training.iterations={steps}"])
    cases = make_cases(8, RECIPE_SHAPE)
    build = partial(recipe.network.build, CLASSES, random=torch.Generator().manual_seed(0))
    method = METHODS[method_name](build, CLASSES, **recipe.methods.get(method_name, {}))
    sampler = Sampler(cases[:2], cases[2:], recipe.sampling, 0)
    with tempfile.TemporaryDirectory() as folder:
        train(method, sampler, recipe.training, Path(folder), device=torch.device("cpu"), seed=0)
        rows = [row for row in read_journal(Path(folder) / "journal.jsonl") if "waited" in row]
    # The first step also warms up.
    return 1 - statistics.median(row["waited"] / row["seconds"] for row in rows[1:])


def make_organs(patch: tuple[int, int, int], seed: int) -> np.ndarray:
    """Ellipsoids of a vessel's to a liver's size, some of them cut off."""
    random, labels = np.random.default_rng(seed), np.zeros(patch, np.uint8)
    for organ in range(1, CLASSES):
        axes = zip(np.ogrid[*map(slice, patch)], patch, strict=True)
        squares = (
            ((places - random.uniform(0, size)) / random.uniform(0.04, 0.25) / size) ** 2
            for places, size in axes
        )
        labels[sum(squares) < 1] = organ
    return labels


def scipy_maps(labels: np.ndarray) -> np.ndarray:
    """As `signed_distance_maps`, with scipy's transform of the whole patch and of the organ."""
    maps = np.ones((len(labels), CLASSES - 1, *labels.shape[1:]), np.float32)
    for patch, organ in np.ndindex(maps.shape[:2]):
        mask = labels[patch] == organ + 1
        if mask.any():
            outside, inside = (distance_transform_edt(part).astype("f4") for part in (~mask, mask))
            inside[inside == 1] = 0
            maps[patch, organ] = outside / outside.max() - inside / max(inside.max(), 1)
    return maps


def distance_maps(quick: bool, repeats: int) -> float:
    """Print the seconds of four patches' maps; their share of scipy's is returned."""
    patch = QUICK_PATCH if quick else PATCH
    labels = np.stack([make_organs(patch, seed) for seed in range(4)])
    calls = {
        "dvcl": partial(signed_distance_maps, labels, CLASSES),
        "scipy's transform": partial(scipy_maps, labels),
    }
    own, other = (call() for call in calls.values())
    assert np.array_equal(own, other)
    seconds = interleaved(calls, repeats)
    print_table(
        ("distance maps of 4 patches, 13 organs", "s"),
        [(name, statistics.median(values)) for name, values in seconds.items()],
    )
    return median_ratio(seconds["dvcl"], seconds["scipy's transform"])


def main() -> None:
    chosen = options(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        rate, faster = patches(chosen.quick, chosen.repeats, Path(folder))
    shares = {name: waiting(name, 6 if chosen.quick else 20) for name in ("supervised", "dvcl")}
    print_table(("small-ct", "share of a step spent computing"), [*shares.items()])
    share = distance_maps(chosen.quick, chosen.repeats)
    verdict("time of distance maps relative to scipy", share, 0.5)
    verdict("patches per second", rate, 500, higher=True)
    verdict("patches per second relative to MONAI", faster, 2, higher=True)
    verdict("share of a step of dvcl spent computing", shares["dvcl"], 0.95, higher=True)


if __name__ == "__main__":
    main()
