"""One training step of every method against `supervised`, on the same network and patches.

Claims: a method with two networks costs about two networks that see all patches, a mean teacher
about 1.4 of one. `supervised` sees the labelled half of the patches, so that one network on all of
them, the second row, is what methods are to be held against. Memories are full, terms that begin
late are at work; distance maps come with the batch, as from the data pipeline. Cut-offs that an
untrained network never reaches are lowered, so that its voxels are contrasted as later ones are.

    python benchmarks/methods.py [--quick] [--device cuda]
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import torch
from measuring import (
    in_fresh_process,
    interleaved,
    median_ratio,
    options,
    peak_mib,
    print_table,
    verdict,
)
from steps import Size, make_batch, make_step, patch_size

from dvcl.methods import METHODS

ALL = "supervised, all labelled"
NAMES = ["supervised", ALL, *(name for name in METHODS if name != "supervised")]


def settings_of(name: str, patch: Size) -> dict[str, Any]:
    """What the defaults do not offer for these patches and an untrained network."""
    return {
        "magicnet": {"cube": tuple(min(side, 32) for side in patch)},
        "bacon": {"cutoff": 0.15, "anchor_cutoff": 0.15},
        "ccl": {"cutoff": 0.15},
    }.get(name, {})


def prepare(name: str, quick: bool, device: str) -> Callable[[], None]:
    patch = patch_size(quick)
    if name in (ALL, "supervised"):
        batch = make_batch(patch, device, labelled=4 if name == ALL else 2, unlabelled=0)
        return make_step(METHODS["supervised"], batch, device)
    return make_step(METHODS[name], make_batch(patch, device), device, **settings_of(name, patch))


def memory(name: str, quick: bool, device: str, threads: int) -> float:
    torch.set_num_threads(threads)
    # The first step fills momentum and caches, which stay; the peak of the second is above them.
    return peak_mib(prepare(name, quick, device), device)


def main() -> None:
    chosen = options(__doc__, repeats=3)
    peaks = {
        name: in_fresh_process(memory, name, chosen.quick, chosen.device, chosen.threads)
        for name in NAMES
    }
    steps = {name: prepare(name, chosen.quick, chosen.device) for name in NAMES}
    seconds = interleaved(steps, chosen.repeats)
    ratios = {
        base: {name: median_ratio(values, seconds[base]) for name, values in seconds.items()}
        for base in ("supervised", ALL)
    }
    print_table(
        ("", "s per step", "x supervised", "x all labelled", "MiB", "x supervised", "x all"),
        [
            (
                name,
                statistics.median(values),
                ratios["supervised"][name],
                ratios[ALL][name],
                peaks[name],
                peaks[name] / peaks["supervised"],
                peaks[name] / peaks[ALL],
            )
            for name, values in seconds.items()
        ],
    )
    verdict("time of mean_teacher relative to one network", ratios[ALL]["mean_teacher"], 1.4)
    for name in ("cps", "cld", "dhc", "dvcl"):
        verdict(f"time of {name} relative to one network", ratios[ALL][name], 2.3)


if __name__ == "__main__":
    main()
