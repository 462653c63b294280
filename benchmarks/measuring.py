"""What the benchmarks share: interleaved timing, peak memory in fresh processes, tables."""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import multiprocessing
import os
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from pathlib import Path
from typing import TypeVar

import torch

from dvcl.resources import processor_name

MIB = 2**20
Result = TypeVar("Result")


def options(description: str | None, threads: int = 1, repeats: int = 5) -> argparse.Namespace:
    """--quick, --threads, --repeats and --device, and the thread count set."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="smaller sizes, for a first look")
    parser.add_argument("--threads", type=int, default=threads, help=f"default {threads}")
    parser.add_argument("--repeats", type=int, default=repeats, help=f"default {repeats}")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    print(describe_machine(chosen))
    return chosen


def describe_machine(chosen: argparse.Namespace) -> str:
    """One line that belongs beside every number."""
    device = torch.cuda.get_device_name() if chosen.device == "cuda" else "no GPU used"
    return (
        f"{date.today()}, {processor_name() or 'unknown processor'}, {os.cpu_count()} cores, "
        f"{chosen.threads} threads used, {device}, "
        f"{'wall clock' if _is_parallel() else 'processor time'}, "
        f"torch {torch.__version__}, "
        f"load {os.getloadavg()[0]:.1f}"
        f"{', quick sizes' if chosen.quick else ''}"
    )


def timed(call: Callable[[], object]) -> float:
    """Seconds of one call.

    One thread on the CPU is timed by the processor's clock, which shows what a wall clock would if
    nobody else used the machine. Otherwise the wall clock runs, and waits for the GPU's queue.
    """
    clock = time.perf_counter if _is_parallel() else time.process_time
    _wait_for_gpu()
    began = clock()
    call()
    _wait_for_gpu()
    return clock() - began


def interleaved(calls: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of every call, taking turns, every other round backwards.

    A machine that slows down for a while slows all of them alike, so ratios are steadier than
    seconds. Warming up is the caller's matter.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(repeats):
        for name in list(calls)[:: -1 if turn % 2 else 1]:
            seconds[name].append(timed(calls[name]))
    return seconds


def median_ratio(numerators: Sequence[float], denominators: Sequence[float]) -> float:
    """Median of the rounds' ratios."""
    pairs = zip(numerators, denominators, strict=True)
    return statistics.median(a / b for a, b in pairs)


def in_fresh_process(
    call: Callable[..., Result], *arguments: object, gives_back: bool = True
) -> Result:
    """Run a module-level function in a process of its own, whose memory nobody else touched.

    Args:
        call: The function.
        arguments: Of the function.
        gives_back: What is freed in pieces of a mebibyte or more goes back to the system at once,
            so that the peak is what was in use, not how the allocator's leftovers happened to lie.
            That takes time wherever arrays are made one after another; False leaves it as it is.
    """
    if gives_back:
        os.environ["MALLOC_MMAP_THRESHOLD_"] = str(MIB)
    else:
        os.environ.pop("MALLOC_MMAP_THRESHOLD_", None)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(call, *arguments).result()


def peak_mib(call: Callable[[], object], device: str = "cpu") -> float:
    """Highest memory above the start during ``call``: resident (Linux), or allocated on the GPU."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        return (torch.cuda.max_memory_allocated() - before) / MIB
    # Freed memory goes back to the system, lest it serve the call unseen; then the high-water mark
    # of the resident set is set to what it is now (man 3 malloc_trim, man 5 proc).
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = _resident_kib("VmRSS")
    call()
    return (_resident_kib("VmHWM") - before) / 1024


@contextlib.contextmanager
def counted_waits(device: torch.device) -> Iterator[list[int]]:
    """Within the block the last number is how often the host has waited since it was appended."""
    counts = [0]

    def count(message: Warning | str, *_: object) -> None:
        counts[-1] += "synchronizing" in str(message)

    if device.type != "cuda":
        yield counts
        return
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = count  # type: ignore[assignment]
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield counts
        finally:
            torch.cuda.set_sync_debug_mode("default")


def print_table(header: Sequence[str], rows: Sequence[Sequence[str | float]]) -> None:
    """Aligned columns; floats with three significant digits."""
    table = [header, *([_shown(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = zip(row, widths, strict=True)
        print("  ".join(c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(cells)))


def verdict(claim: str, value: float, limit: float, higher: bool = False) -> None:
    """Print whether a measured value keeps a claim."""
    kept = value >= limit if higher else value <= limit
    print(f"{claim}: {value:.3g} ({'>=' if higher else '<='} {limit:g}: {'yes' if kept else 'NO'})")


def _shown(cell: str | float) -> str:
    if isinstance(cell, str):
        return cell
    return f"{cell:.0f}" if cell >= 100 else f"{cell:.3g}"


def _resident_kib(field: str) -> int:
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith(f"{field}:"))


def _is_parallel() -> bool:
    return torch.get_num_threads() > 1 or torch.cuda.is_available()


def _wait_for_gpu() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
