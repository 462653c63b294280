"""What this process may use of the machine: cores and memory."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Where a container's limit stands, in either version of Linux's control groups.
CGROUP_LIMITS = (
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
)


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
