"""Where a training step's time goes, and how near to the machine's limit it comes.

Claim: in bfloat16 a step of `supervised` at the size of `small-ct`, and one of `dvcl`, takes at
most 0.45 of what it takes in float32 with torch's own layers between the convolutions
(normalisation, pooling, upsampling and concatenation as a plain U-Net has them). Ratios are of one
run, steps in turn.

    python benchmarks/step_profile.py [--quick] [--threads 2]
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable

import torch
from measuring import interleaved, median_ratio, options, print_table, timed, verdict
from steps import make_batch, make_step
from torch import Tensor, nn
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from dvcl.methods import METHODS
from dvcl.networks import Network, normalisation, unet3d
from dvcl.recipe import load_recipe

RECIPE = load_recipe("small-ct")
Step = Callable[[], object]

# What the profiler calls them.
PARTS = {
    "convolutions": ("convolution",),
    "normalisation": ("batch_norm", "InstanceNorm", "instance_norm"),
    "upsampling": ("upsample",),
    "pooling": ("max_pool",),
    "ReLU": ("threshold", "clamp_min"),
    "copies": ("copy", "cat", "clone", "contiguous"),
    "loss": ("softmax", "gather", "scatter", "exp", "nll", "topk", "sort"),
    "optimiser": ("foreach", "Optimizer", "sgd"),
}


def take_step(
    name: str, precision: torch.dtype | None, base: int, side: int, patches: int = 2
) -> Step:
    """One step of a method on noise; the network is small-ct's, but for its width."""
    network = Network(base_channels=base, levels=4, dropout=0.0)
    batch = make_batch((side,) * 3, "cpu", patches, patches if name != "supervised" else 0)
    settings = RECIPE.methods.get(name, {})
    return make_step(METHODS[name], batch, "cpu", network=network, precision=precision, **settings)


class Plain:
    """Within the block networks use torch's own layers, in the layout that these choose."""

    def __enter__(self) -> None:
        self.kept = {
            name: getattr(unet3d, name) for name in ("concatenate", "lay_out", "pool", "upsample")
        }
        self.norm = normalisation.InstanceNorm.forward
        unet3d.concatenate = lambda skip, maps: torch.cat([skip, maps], 1)
        unet3d.lay_out = lambda images: images
        unet3d.pool = lambda maps: F.max_pool3d(maps, 2)
        unet3d.upsample = lambda maps: F.interpolate(maps, scale_factor=2, mode="trilinear")
        normalisation.InstanceNorm.forward = lambda self, maps: F.instance_norm(maps)

    def __exit__(self, *error: object) -> None:
        for name, function in self.kept.items():
            setattr(unet3d, name, function)
        normalisation.InstanceNorm.forward = self.norm


def plainly(take: Step) -> Step:
    def plain() -> None:
        with Plain():
            take()

    return plain


def shares(take: Step) -> dict[str, float]:
    """Milliseconds of each part of a step."""
    take()
    with profile(activities=[ProfilerActivity.CPU]) as found:
        for _ in range(5):
            take()
    parts: dict[str, float] = defaultdict(float)
    for event in found.key_averages():
        part = next((p for p, words in PARTS.items() if any(w in event.key for w in words)), "rest")
        parts[part] += event.self_cpu_time_total / 5e3
    return parts


def giga_operations(take: Step) -> float:
    """10^9 operations of a step's convolutions and products."""
    with FlopCounterMode(display=False) as counter:
        take()
    return counter.get_total_flops() / 1e9


def peak(kind: torch.dtype, layer: bool) -> float:
    """GFLOP/s of a large matrix product, or of a 32-channel convolution forward and backward."""
    if not layer:
        matrix = torch.ones(1024, 1024, dtype=kind)
        return 2 * 1024**3 / 1e9 / min(timed(lambda: matrix @ matrix) for _ in range(9))
    convolution = nn.Conv3d(32, 32, 3, padding=1).to(kind)
    maps = torch.ones(2, 32, 32, 32, 32, dtype=kind).to(memory_format=torch.channels_last_3d)
    maps.requires_grad_()
    outputs: Tensor = convolution(maps)
    gradient = torch.ones_like(outputs)

    def both() -> None:
        convolution(maps).backward(gradient)

    both()
    operations = 3 * 2 * 27 * 32 * 32 * 2 * 32**3 / 1e9
    return operations / min(timed(both) for _ in range(9))


def main() -> None:
    chosen = options(__doc__, repeats=7)
    peaks = {
        kind: (peak(kind, False), peak(kind, True)) for kind in (torch.float32, torch.bfloat16)
    }
    print_table(
        ("GFLOP/s of this machine", "matrix product", "32-channel convolution"),
        [(str(kind), *found) for kind, found in peaks.items()],
    )
    side = 16 if chosen.quick else 32
    for name in ("supervised", "dvcl"):
        steps = {
            "float32, plain layers": plainly(take_step(name, None, 16, side)),
            "float32": take_step(name, None, 16, side),
            "bfloat16, plain layers": plainly(take_step(name, torch.bfloat16, 16, side)),
            "bfloat16": take_step(name, torch.bfloat16, 16, side),
        }
        seconds = interleaved(steps, chosen.repeats)
        first = seconds["float32, plain layers"]
        print()
        print_table(
            (name, "ms", "x the first"),
            [
                (kind, 1e3 * statistics.median(values), median_ratio(values, first))
                for kind, values in seconds.items()
            ],
        )
        verdict(f"time of {name}", median_ratio(seconds["bfloat16"], first), 0.45)
    print()
    rows = []
    for label, base, wide, patches in (
        ("small-ct", 16, side, 2),
        ("4 patches", 16, side, 4),
        ("sides of 48", 16, 48, 2),
        ("32 channels", 32, side, 2),
    ):
        take = take_step("supervised", torch.bfloat16, base, wide, patches)
        parts, operations = shares(take), giga_operations(take)
        total = sum(parts.values())
        rows.append(
            (
                label, operations, total, operations / total * 1e3,
                operations / total * 1e3 / peaks[torch.bfloat16][1],
                *(parts[part] / total for part in (*PARTS, "rest")),
            )
        )  # fmt: skip
    print_table(
        ("supervised, bfloat16", "GFLOP", "ms", "GFLOP/s", "of the layer's", *PARTS, "rest"), rows
    )


if __name__ == "__main__":
    main()
