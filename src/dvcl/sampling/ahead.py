"""The next batch, drawn while the device works on this one."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

from dvcl.sampling.batch import Batch
from dvcl.sampling.streams import Sampler


class Drawn(NamedTuple):
    """One batch, and what a run that goes on behind it needs.

    Attributes:
        batch: On the CPU.
        state: The sampler's when this batch was its last one, whatever it has drawn since.
    """

    batch: Batch
    state: dict[str, Any]


def drawn(
    sampler: Sampler, asked: Iterable[tuple[float, bool]], *, ahead: bool, pinned: bool
) -> Generator[Drawn]:
    """Batches in the order in which they are asked for, the same ones in either way.

    Args:
        sampler: Nobody else draws from it meanwhile.
        asked: The arguments of `Sampler.draw`, batch by batch.
        ahead: Draw a batch in a thread while the one before it is at work. That is for devices that
            work by themselves; on a CPU the thread would only take turns with the training.
        pinned: Put batches where a GPU can fetch them without the host.
    """

    def draw(progress: float, unlabelled: bool) -> Drawn:
        batch = sampler.draw(progress, unlabelled)
        return Drawn(batch.pinned() if pinned else batch, sampler.state_dict())

    if not ahead:
        for what in asked:
            yield draw(*what)
        return
    with ThreadPoolExecutor(1) as thread:
        before: Future[Drawn] | None = None
        for what in asked:
            coming = thread.submit(draw, *what)
            if before:
                yield before.result()
            before = coming
        if before:
            yield before.result()
