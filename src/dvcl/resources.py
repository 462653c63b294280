"""What this process may use of the machine: cores and memory; who it shares a run with."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import NamedTuple

# Where a container's limit stands, in either version of Linux's control groups.
CGROUP_LIMITS = (
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
)
CGROUP_USED = ("memory.current", "memory.usage_in_bytes")


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor_name() -> str:
    """Such as "AMD EPYC"; empty where nothing tells."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    found = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return found[0] if found else platform.processor()


def installed_ram() -> int:
    """Bytes of the machine's memory, or a container's limit if that is less.

    Endless on Windows, where the standard library does not tell.
    """
    if not hasattr(os, "sysconf"):
        return sys.maxsize
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([installed, *_cgroup_limits()])


def available_ram() -> int:
    """Free memory and what the system would give up for it; all of it where nothing tells.

    Within the limits of a container and of this process (``ulimit -v``).
    """
    path = Path("/proc/meminfo")
    lines = path.read_text().splitlines() if path.exists() else []
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return max(0, min([installed_ram(), *found, *_cgroup_rests(), *_process_rest()]))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, of Python, numpy or torch, says that there is not enough memory."""
    told = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError)
        and (("memory" in told and "alloc" in told) or "size calculation overflowed" in told)
    )


def out_of_memory(what: str, error: BaseException) -> str:
    """A message: ``what`` took more memory than there is, and how much that is."""
    reason = " ".join(str(error).split())[:160] or type(error).__name__
    return (
        f"{what} needs more memory than there is ({in_words(available_ram())} of "
        f"{in_words(installed_ram())} are free; {reason}). Close other programs, or take a machine "
        "with more."
    )


def in_words(size: float) -> str:
    """Bytes as people write them: "1.5 GB"."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def peak_ram() -> int | None:
    """Most bytes of memory that this process has held so far; None where nothing tells."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _cgroup_limits() -> list[int]:
    return [limit for path in CGROUP_LIMITS if (limit := _number_in(Path(path))) is not None]


def _cgroup_rests() -> list[int]:
    """What is left of every limit; cached files, which count as used, would be given up."""
    rests = []
    for path in map(Path, CGROUP_LIMITS):
        limit = _number_in(path)
        if limit is None:
            continue
        used = next((n for name in CGROUP_USED if (n := _number_in(path.with_name(name)))), 0)
        statistics = path.with_name("memory.stat")
        lines = statistics.read_text().splitlines() if statistics.exists() else []
        cached = sum(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))
        rests.append(limit - max(0, used - cached))
    return rests


def _process_rest() -> list[int]:
    """What the process may still take under its own limit of address space, if it has one."""
    used = Path("/proc/self/statm")
    if not used.exists():
        return []
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return []
    return [limit - int(used.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")]


def _number_in(path: Path) -> int | None:
    text = path.read_text().strip() if path.exists() else ""
    return int(text) if text.isdecimal() else None


class Launch(NamedTuple):
    """Where this process stands among those that torchrun started for one run.

    Attributes:
        rank: Its number among all.
        world_size: All of them.
        local_rank: Its number among those of this machine.
        local_world_size: Those of this machine.
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    local_world_size: int = 1


def launch() -> Launch:
    """What torchrun says in the environment; one process alone without it."""
    told = [os.environ.get(name.upper()) for name in Launch._fields]
    numbers = [int(value) for value in told if value is not None]
    place = Launch(*numbers) if len(numbers) == len(told) else Launch()
    return place if place.world_size > 1 else Launch()
