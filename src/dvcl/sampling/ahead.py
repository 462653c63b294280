"""The next batches, drawn while the device works on this one."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import torch

from dvcl.resources import usable_cores
from dvcl.sampling.batch import Batch
from dvcl.sampling.streams import Chosen, Sampler

# One thread turned and scaled two patches of 48 x 96 x 96 voxels in the time of three steps (H100).
MOST_AHEAD = 6


class Drawn(NamedTuple):
    """One batch, and what a run that goes on behind it needs.

    Attributes:
        batch: On the CPU.
        state: The sampler's when this batch was its last one, whatever it has drawn since.
    """

    batch: Batch
    state: dict[str, Any]


def drawn(
    sampler: Sampler, asked: Iterable[tuple[float, bool]], *, ahead: int, pinned: bool
) -> Generator[Drawn]:
    """Batches in the order in which they are asked for, the same ones whatever ``ahead`` is.

    Args:
        sampler: Nobody else draws from it meanwhile.
        asked: The arguments of `Sampler.draw`, batch by batch.
        ahead: How many batches are filled, by a thread each, while the one before them is at work.
            That is for devices that work by themselves; on a CPU, 0: the threads would only take
            turns with the training.
        pinned: Put batches where a GPU can fetch them without the host.
    """

    def fill(chosen: Chosen, state: dict[str, Any]) -> Drawn:
        batch = sampler.fill(chosen)
        return Drawn(batch.pinned() if pinned else batch, state)

    if not ahead:
        for what in asked:
            yield fill(sampler.choose(*what), sampler.state_dict())
        return
    with ThreadPoolExecutor(ahead) as threads:
        coming: deque[Future[Drawn]] = deque()
        for what in asked:
            coming.append(threads.submit(fill, sampler.choose(*what), sampler.state_dict()))
            if len(coming) > ahead:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()


def batches_ahead(device: torch.device) -> int:
    """How many batches `drawn` fills meanwhile: cutting a large patch takes longer than a step."""
    return 0 if device.type == "cpu" else min(MOST_AHEAD, usable_cores())
