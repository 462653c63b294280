"""`restore_classes` against nnU-Net's export and against interpolating everything.

Claim: from 14 x 96x256x256 probabilities to labels on 110x512x512 voxels in at most 0.05 of the
time of nnU-Net's default resampling and 0.2 of torch's, with a peak under 150 MiB (torch and
nnU-Net hold every class at full size) and not one voxel different from interpolating everything
linearly and taking the argmax.

    python benchmarks/export.py [--quick]

nnU-Net is left out where it is not installed (pip install nnunetv2; it may want an environment of
its own: PYTHONPATH=src OTHER/bin/python benchmarks/export.py).
"""

from __future__ import annotations

import importlib.util
import statistics
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from measuring import in_fresh_process, options, peak_mib, print_table, timed, verdict
from torch import Tensor
from torch.nn import functional as F

from dvcl.inference.restore import restore_classes
from dvcl.preprocessing.geometry import Grid, make_grid
from dvcl.volume import Geometry

CLASSES = 14
# Spacings in mm, (z, y, x); below nnU-Net's threshold for resampling slice by slice.
SOURCE_MM, PREPARED_MM = (2.5 * 96 / 110, 0.75, 0.75), (2.5, 1.5, 1.5)
SHAPE, QUICK_SHAPE = (110, 512, 512), (55, 256, 256)


def make_case(quick: bool) -> tuple[Tensor, Grid]:
    """Smooth random class probabilities, and where they belong."""
    affine = np.diag([*(-side for side in reversed(SOURCE_MM)), 1.0])
    grid = make_grid(Geometry(QUICK_SHAPE if quick else SHAPE, affine), "LPI", PREPARED_MM)
    coarse = torch.randn((1, CLASSES, 6, 10, 10), generator=torch.Generator().manual_seed(0))
    logits = F.interpolate(coarse, grid.prepared.shape, mode="trilinear")[0].mul_(4)
    return logits.sub_(logits.logsumexp(0)).exp_(), grid


def ours(probabilities: Tensor, grid: Grid) -> np.ndarray:
    return restore_classes(probabilities, grid)


def everything(probabilities: Tensor, grid: Grid) -> np.ndarray:
    """Every class at full size, then the argmax."""
    dense = F.interpolate(probabilities[None], grid.source.shape, mode="trilinear")[0]
    return dense.argmax(0).to(torch.uint8).numpy()


def nnunet(probabilities: Tensor, grid: Grid) -> np.ndarray:
    """nnU-Net's default for probabilities (order 1, z decided by the spacing), then its argmax."""
    from nnunetv2.preprocessing.resampling.default_resampling import resample_data_or_seg_to_shape

    dense = resample_data_or_seg_to_shape(
        probabilities.numpy(), grid.source.shape, PREPARED_MM, SOURCE_MM,
        is_seg=False, order=1, order_z=0, force_separate_z=None,
    )  # fmt: skip
    return dense.argmax(0).astype(np.uint8)


VARIANTS: dict[str, Callable[[Tensor, Grid], np.ndarray]] = {
    "dvcl": ours,
    "torch, everything": everything,
    "nnU-Net": nnunet,
}


def measure(name: str, quick: bool, threads: int) -> tuple[float, float, np.ndarray]:
    """Seconds, MiB and the labels."""
    torch.set_num_threads(threads)
    call = partial(VARIANTS[name], *make_case(quick))
    found = {}

    def run() -> None:
        found["seconds"] = timed(lambda: found.update(labels=call()))

    peak = peak_mib(run)
    return found["seconds"], peak, found["labels"]


def main() -> None:
    chosen = options(__doc__, repeats=3)
    names = list(VARIANTS)
    if importlib.util.find_spec("nnunetv2") is None:
        print("nnU-Net is not installed here and is left out (pip install nnunetv2)")
        names.remove("nnU-Net")
    results = {name: [] for name in names}
    for turn in range(chosen.repeats):
        # One look at nnU-Net is enough: it takes a minute, and a factor is at stake, not percents.
        for name in names if turn == 0 else names[:2]:
            result = in_fresh_process(measure, name, chosen.quick, chosen.threads)
            results[name].append(result)
    seconds = {name: statistics.median(r[0] for r in rs) for name, rs in results.items()}
    peaks = {name: max(r[1] for r in rs) for name, rs in results.items()}
    labels = {name: rs[0][2] for name, rs in results.items()}
    differing = {name: int((found != labels["dvcl"]).sum()) for name, found in labels.items()}
    print_table(
        ("", "s", "dvcl / it", "MiB", "voxels unlike dvcl"),
        [
            (name, seconds[name], seconds["dvcl"] / seconds[name], peaks[name], f"{n}")
            for name, n in differing.items()
        ],
    )
    verdict("voxels unlike torch", differing["torch, everything"], 0)
    verdict("time relative to torch", seconds["dvcl"] / seconds["torch, everything"], 0.2)
    if "nnU-Net" in seconds:
        verdict("time relative to nnU-Net", seconds["dvcl"] / seconds["nnU-Net"], 0.05)
    verdict("peak memory, MiB", peaks["dvcl"], 150)


if __name__ == "__main__":
    main()
