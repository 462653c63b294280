"""What a step of a run takes, measured by a short run through its whole schedule."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from dvcl.commands.train import make_sampler
from dvcl.store import Store
from dvcl.studies.pace import measure_pace
from dvcl.studies.run import Run
from dvcl.training.engine import train

STEPS, SKIPPED = 60, 5


def step_seconds(
    run: Run, store: Store, device: torch.device, progress: Callable[[int, int], None] | None = None
) -> float:
    """Of a step, the mean over a short run; validation is not in it.

    Where unlabelled terms begin late or contrasts are ramped up, so they do in the short run: the
    mean is that of the whole schedule. Nothing of it is kept.

    Args:
        run: Of which no folder is needed.
        store: Its prepared cases.
        device: Where; on a CPU the processor's seconds count, which other work there does not
            change, elsewhere those on the wall.
        progress: Called with steps done and all of them.
    """
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    ends: list[float] = []

    def note(_: object) -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        ends.append(clock())
        if progress:
            progress(min(len(ends), STEPS), STEPS)

    precision, kernels = measure_pace(run.recipe, run.labels.classes, device)
    settings = replace(
        run.recipe.training, iterations=STEPS, validate_every=STEPS, precision=precision
    )
    method = run.build_method()
    with tempfile.TemporaryDirectory() as folder:
        train(
            method, make_sampler(run, method, store), settings, Path(folder), device=device,
            seed=run.seed, observe=note, kernels=kernels.taken,
        )  # fmt: skip
    # The first steps pay for starting, the last one measures gradients.
    return (ends[STEPS - 2] - ends[SKIPPED]) / (STEPS - 2 - SKIPPED)
