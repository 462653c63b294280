"""Many jobs, so many at once; one that fails does not stop the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from dvcl.jobs.job import Handle, Job, Start


def run_jobs(
    jobs: Sequence[Job],
    start: Start,
    side_by_side: int,
    watch: Callable[[Sequence[Job]], None],
    ended: Callable[[Job, str], None] = lambda job, reason: None,
    pause_s: float = 1.0,
) -> dict[str, str]:
    """Run all jobs, so many at once; one that fails does not stop the others.

    Args:
        jobs: In the order in which to start them.
        start: From `start_here` or `start_submitted`.
        side_by_side: How many at once.
        watch: Called about every ``pause_s`` seconds with the jobs at work.
        ended: Called with every job that has ended, and why it failed, "" if it did not.
        pause_s: Between two looks.

    Returns:
        Title and reason of the failed ones. When this is interrupted, jobs at work are stopped.
    """
    waiting, failed = list(jobs), dict[str, str]()
    side_by_side = min(side_by_side, len(waiting))
    with _stopped_at_the_end() as working:
        while waiting or working:
            places = set(range(side_by_side)) - set(working)
            while waiting and places:
                job, place = waiting.pop(0), places.pop()
                working[place] = (job, start(job, place))
            for place, (job, handle) in list(working.items()):
                code = handle.poll()
                if code is not None:
                    del working[place]
                    reason = f"exit code {code}: {job.reason()} ({job.log})" if code else ""
                    failed |= {job.title: reason} if code else {}
                    ended(job, reason)
            watch([job for job, handle in working.values() if not handle.is_queued])
            time.sleep(pause_s if working else 0)
    return failed


@contextmanager
def _stopped_at_the_end() -> Iterator[dict[int, tuple[Job, Handle]]]:
    working: dict[int, tuple[Job, Handle]] = {}
    try:
        yield working
    finally:
        for _, handle in working.values():
            handle.stop()
