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
    """Free memory and what the system would give up for it; all of it where nothing tells."""
    path = Path("/proc/meminfo")
    lines = path.read_text().splitlines() if path.exists() else []
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return min([installed_ram(), *found])


def peak_ram() -> int | None:
    """Most bytes of memory that this process has held so far; None where nothing tells."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _cgroup_limits() -> list[int]:
    texts = [Path(path).read_text().strip() for path in CGROUP_LIMITS if Path(path).exists()]
    return [int(text) for text in texts if text.isdecimal()]


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
