"""Building a store: every case once, several at a time, continuing where a run was stopped."""

from __future__ import annotations

import math
import multiprocessing
import multiprocessing.connection
import os
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, suppress
from pathlib import Path

import torch

from dvcl.datasets.dataset import Dataset
from dvcl.errors import InputError, counted
from dvcl.files import write_json
from dvcl.locks import folder_lock
from dvcl.preprocessing.geometry import Grid
from dvcl.preprocessing.prepare import Preprocessing
from dvcl.resources import (
    available_ram,
    in_words,
    is_out_of_memory,
    out_of_memory,
    usable_cores,
)
from dvcl.store.reading import Store, case_bytes, open_store, store_folder, store_identity
from dvcl.store.reuse import take_case
from dvcl.store.shares import free_shares
from dvcl.store.task import CaseTask, Earlier
from dvcl.store.writing import write_case
from dvcl.volume import read_geometry

Progress = Callable[[int, int, str], None]
Attempts = Generator[tuple[CaseTask, InputError | None]]

# So many processes here; or what prepares the given cases elsewhere, and tells how that went.
Workers = int | Callable[[Sequence[CaseTask]], Attempts]

# Starting a process takes about as long as preparing this many voxels of the files.
VOXELS_WORTH_A_WORKER = 100_000_000

# At the peak of a case: of a process with its libraries; of every voxel of the files (2 for the
# usual image, 16 for label maps that are not integers); and of every prepared voxel (8 at order 1).
PROCESS_BYTES, SOURCE_VOXEL_BYTES, PREPARED_VOXEL_BYTES = 300_000_000, 16, 12


def build_store(
    dataset: Dataset,
    settings: Preprocessing,
    root: Path | str,
    workers: Workers | None = None,
    progress: Progress | None = None,
    *,
    edition: int = 1,
    earlier: Store | None = None,
) -> Store:
    """Prepare every case of a data set; cases whose files have not changed are kept.

    An interrupted build loses only the cases in work; the same call continues it. A caller that
    is a script needs ``if __name__ == "__main__"``, since workers are fresh processes.

    Args:
        dataset: The raw cases. Label files of unlabelled cases are never opened.
        settings: Of the preparation.
        root: Folder of all stores; this one's lies in it, named by a hash.
        workers: Processes; None chooses by the amount of work, the cores and the free memory; 1
            stays in this process. Or other means, such as jobs of a cluster.
        progress: Called as (done, total, case id) after each case.
        edition: Of the data set, counted from 1; each has a store of its own.
        earlier: The store of an earlier edition with the same settings. What it has of a case
            whose files are the same is taken from there.

    Raises:
        InputError: When the disk is too small, another build is at work, or cases failed; then all
            other cases are finished, and the error lists every failure.
    """
    folder = store_folder(root, dataset, settings, edition)
    _check_ids(dataset)
    free_shares(root)
    identity = store_identity(dataset, settings)
    before = Earlier(earlier.folder, earlier.labels) if earlier else None
    tasks = [
        CaseTask(case, dataset.labels, settings, folder, identity, before) for case in dataset.cases
    ]
    with folder_lock(folder):
        _write_cases(tasks, folder, workers, progress or (lambda done, total, case_id: None))
        index = {
            **identity,
            "labels": dataset.labels.to_json(),
            "cases": [case.id for case in dataset.cases],
        }
        write_json(folder / "store.json", index)
    return open_store(folder)


def _write_cases(
    tasks: list[CaseTask], folder: Path, workers: Workers | None, progress: Progress
) -> None:
    failures: dict[str, InputError] = {}
    pending, done = [], 0
    for task, error, finished in _look_up(tasks):
        if error:
            failures[task.case.id] = error
        if not error and not finished:
            pending.append(task)
            continue
        progress(done := done + 1, len(tasks), task.case.id)
    grids = _grids(pending)
    _check_disk(pending, grids, folder)
    attempts = workers(pending) if callable(workers) else prepare_cases(pending, workers, grids)
    # Closed, not left to be collected: what stops here stops the waiting cases too.
    with closing(attempts):
        for task, error in attempts:
            if error:
                failures[task.case.id] = error
            progress(done := done + 1, len(tasks), task.case.id)
    if failures:
        problems = [
            f"case {task.case.id}: {problem}"
            for task in tasks
            if task.case.id in failures
            for problem in failures[task.case.id].problems
        ]
        raise InputError(
            problems,
            heading=f"{len(failures)} of {counted(len(tasks), 'case')} could not be prepared "
            "(the others are finished and kept; mend or remove these, then run the same command "
            "again):",
        )


def _look_up(tasks: Sequence[CaseTask]) -> Iterator[tuple[CaseTask, InputError | None, bool]]:
    def look(task: CaseTask) -> tuple[InputError | None, bool]:
        try:
            if task.earlier and not task.target.exists():
                return None, take_case(task)
            return None, task.is_finished()
        except InputError as error:
            return error, False

    # Threads suffice: hashing and reading leave the interpreter free.
    with ThreadPoolExecutor(usable_cores()) as pool:
        for task, (error, finished) in zip(tasks, pool.map(look, tasks), strict=True):
            yield task, error, finished


def prepare_cases(
    tasks: Sequence[CaseTask], workers: int | None = None, grids: Mapping[str, Grid] | None = None
) -> Attempts:
    """Prepare cases by processes of this machine; yields each with what is wrong with it.

    Args:
        tasks: The cases.
        workers: As for `build_store`.
        grids: Of the cases, where they have been read already.
    """
    if workers is None:
        workers = _choose_workers([*(_grids(tasks) if grids is None else grids).values()])
    yield from _run(tasks, min(workers, len(tasks)))


def _run(tasks: Sequence[CaseTask], workers: int) -> Attempts:
    if workers <= 1:
        for task in tasks:
            yield task, _attempt(task)
        return
    try:
        executor = ProcessPoolExecutor(
            workers, multiprocessing.get_context("spawn"), initializer=_start_worker
        )
    except (OSError, NotImplementedError, ImportError) as error:
        raise InputError(
            f"/dev/shm: cannot be used here ({error}), and {workers} worker processes need it to "
            "talk to each other. Run the same command again with --workers 1, or mount /dev/shm."
        ) from error
    try:
        futures = {executor.submit(_attempt, task): task for task in tasks}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool as error:
        raise InputError(
            f"one of {counted(workers, 'worker process', 'worker processes')} ended unexpectedly, "
            f"most often because the memory was used up ({in_words(available_ram())} are free "
            "now). Finished cases are kept: run the same command again with fewer, as --workers "
            f"{workers // 2}."
        ) from error
    finally:
        # After Ctrl-C the cases in work are finished, the waiting ones are not begun.
        executor.shutdown(cancel_futures=True)


def _attempt(task: CaseTask) -> InputError | None:
    try:
        write_case(task)
    except InputError as error:
        return error
    except Exception as error:
        if is_out_of_memory(error):
            return InputError(out_of_memory(f"{task.case.image}: preparing it", error))
        error.add_note(f"while preparing case {task.case.id} ({task.case.image})")
        raise
    return None


def _start_worker() -> None:
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # A killed parent leaves its workers waiting for ever on a queue that they also hold open.
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _check_ids(dataset: Dataset) -> None:
    ids = [case.id for case in dataset.cases]
    counts = Counter(ids).items()
    problems = [f"case id {i!r} occurs {times} times" for i, times in counts if times > 1]
    problems += [f"case id {i!r} is no folder name" for i in ids if not _names_a_folder(i)]
    if not ids:
        problems.append("it has no cases")
    if problems:
        raise InputError(
            problems,
            heading=f"data set {dataset.name!r} cannot be prepared; every case needs an id of its "
            "own that can name a folder:",
        )


def _names_a_folder(case_id: str) -> bool:
    return bool(case_id) and Path(case_id).name == case_id and not case_id.startswith(".")


def _grids(tasks: Sequence[CaseTask]) -> dict[str, Grid]:
    """Grids by case id, from the headers; one that cannot be read is reported with its case."""
    grids = {}
    for task in tasks:
        with suppress(InputError):
            grids[task.case.id] = task.settings.grid(read_geometry(task.case.image))
    return grids


def _check_disk(tasks: Sequence[CaseTask], grids: Mapping[str, Grid], folder: Path) -> None:
    needed = sum(
        case_bytes(grids[task.case.id].prepared.shape, task.label is not None)
        for task in tasks
        if task.case.id in grids
    )
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"{folder}: preparing {counted(len(tasks), 'case')} takes about {in_words(needed)}, "
            f"but only {in_words(free)} are free on that disk. Free some space, choose another "
            "folder, or a coarser spacing."
        )


def _choose_workers(grids: Sequence[Grid]) -> int:
    """As many as the work is worth, the cores carry and the memory holds; at least one."""
    voxels = sum(math.prod(grid.source.shape) for grid in grids)
    largest = max(map(peak_bytes, grids), default=PROCESS_BYTES)
    return min(
        usable_cores(), 1 + voxels // VOXELS_WORTH_A_WORKER, max(1, available_ram() // largest)
    )


def peak_bytes(grid: Grid) -> int:
    """Memory of a process that prepares a case of this grid, at most."""
    return (
        PROCESS_BYTES
        + SOURCE_VOXEL_BYTES * math.prod(grid.source.shape)
        + PREPARED_VOXEL_BYTES * math.prod(grid.prepared.shape)
    )
