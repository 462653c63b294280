"""Scores of one case against MONAI: Dice, 95 % Hausdorff, average and normalised surface distance.

Claim: on 13 organs of a pair of 110 x 512 x 512 label maps all four in at most 0.05 of MONAI's
time, with a peak under 200 MiB and equal values.

    python benchmarks/metrics.py [--quick]
"""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Callable

import numpy as np
import torch
from measuring import in_fresh_process, options, peak_mib, print_table, timed, verdict
from monai.metrics import (
    compute_average_surface_distance,
    compute_dice,
    compute_hausdorff_distance,
    compute_surface_dice,
)

from dvcl.datasets.dataset import LabelTable
from dvcl.evaluation.cases import TOLERANCE_MM, evaluate_case
from dvcl.volume import Volume

ORGANS = 13
SPACING_MM = (2.5, 0.75, 0.75)
SHAPE, QUICK_SHAPE = (110, 512, 512), (55, 256, 256)
SHIFT = 3

Scores = np.ndarray


def make_pair(quick: bool) -> tuple[np.ndarray, np.ndarray]:
    """Ellipsoids of the sizes of organs, and the same ones moved and a little larger."""
    shape = QUICK_SHAPE if quick else SHAPE
    return tuple(_ellipsoids(shape, shift, growth) for shift, growth in ((0, 1), (SHIFT, 1.05)))


def _ellipsoids(shape: tuple[int, ...], shift: int, growth: float) -> np.ndarray:
    classes = np.zeros(shape, np.uint8)
    random = np.random.default_rng(1)
    axes = np.ogrid[tuple(slice(side) for side in shape)]
    for organ in range(1, ORGANS + 1):
        centre = random.uniform(0.25, 0.75, 3) * shape + shift
        radius = random.uniform(0.03, 0.14, 3) * shape * growth
        parts = zip(axes, centre, radius, strict=True)
        classes[sum(((axis - c) / r) ** 2 for axis, c, r in parts) < 1] = organ
    return classes


def ours(reference: np.ndarray, prediction: np.ndarray) -> Scores:
    labels = LabelTable.from_mapping({organ: f"organ {organ}" for organ in range(1, ORGANS + 1)})
    affine = np.diag([*reversed(SPACING_MM), 1.0])
    rows = evaluate_case("a", Volume(reference, affine), Volume(prediction, affine), labels)
    return np.array([(row.dice, row.hd95_mm, row.assd_mm, row.nsd) for row in rows])


def monai(reference: np.ndarray, prediction: np.ndarray) -> Scores:
    warnings.simplefilter("ignore")
    pair = [_one_hot(classes) for classes in (prediction, reference)]
    place = {"include_background": False, "spacing": SPACING_MM}
    found = (
        compute_dice(*pair, include_background=False),
        compute_hausdorff_distance(*pair, percentile=95, **place),
        compute_average_surface_distance(*pair, symmetric=True, **place),
        compute_surface_dice(*pair, [TOLERANCE_MM] * ORGANS, **place),
    )
    return np.stack([scores[0].numpy() for scores in found], axis=1)


def _one_hot(classes: np.ndarray) -> torch.Tensor:
    planes = [torch.from_numpy(classes == index) for index in range(ORGANS + 1)]
    return torch.stack(planes).to(torch.uint8)[None]


VARIANTS: dict[str, Callable[[np.ndarray, np.ndarray], Scores]] = {"dvcl": ours, "MONAI": monai}


def measure(name: str, quick: bool, threads: int) -> tuple[float, float, Scores]:
    """Seconds, MiB and the scores."""
    torch.set_num_threads(threads)
    pair, found = make_pair(quick), {}

    def run() -> None:
        found["seconds"] = timed(lambda: found.update(scores=VARIANTS[name](*pair)))

    peak = peak_mib(run)
    return found["seconds"], peak, found["scores"]


def main() -> None:
    chosen = options(__doc__, repeats=3)
    results = {
        # One look at MONAI is enough: a factor is at stake, not percents.
        name: [
            in_fresh_process(measure, name, chosen.quick, chosen.threads)
            for _ in range(chosen.repeats if name == "dvcl" else 1)
        ]
        for name in VARIANTS
    }
    seconds = {name: statistics.median(r[0] for r in rs) for name, rs in results.items()}
    peaks = {name: max(r[1] for r in rs) for name, rs in results.items()}
    print_table(
        ("", "s", "dvcl / it", "MiB"),
        [(name, s, seconds["dvcl"] / s, peaks[name]) for name, s in seconds.items()],
    )
    apart = np.abs(results["dvcl"][0][2] - results["MONAI"][0][2]).max(axis=0)
    names = ("Dice", "HD95 in mm", "ASSD in mm", "NSD")
    for name, difference in zip(names, apart, strict=True):
        verdict(f"largest difference of {name} to MONAI", difference, 1e-4)
    verdict("time relative to MONAI", seconds["dvcl"] / seconds["MONAI"], 0.05)
    verdict("peak memory, MiB", peaks["dvcl"], 200)


if __name__ == "__main__":
    main()
