"""What the machine offers: cores, memory, GPU, disk."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from dvcl.errors import counted
from dvcl.resources import available_ram, installed_ram, usable_cores

GIB = 2**30


@dataclass(frozen=True)
class Machine:
    """Where the training will run.

    Attributes:
        device: Type of the torch device: "cpu", "cuda" or "mps".
        cores: That this process may use.
        ram_bytes: Installed, or a container's limit if that is less.
        memory_bytes: That one training may take: free memory of the GPU, or of the machine.
        disk_bytes: Free where the plan is written.
        gpu: Name, empty without one.
        is_busy: Whether other programs want the cores.
    """

    device: str
    cores: int
    ram_bytes: int
    memory_bytes: int
    disk_bytes: int
    gpu: str = ""
    is_busy: bool = False

    @property
    def in_words(self) -> str:
        """One line for people."""
        gpu = f"{self.gpu}, " if self.gpu else "no GPU used, "
        return (
            f"{gpu}{counted(self.cores, 'core')}, {self.ram_bytes / GIB:.0f} GiB RAM, "
            f"{self.memory_bytes / GIB:.1f} GiB to train in, {self.disk_bytes / GIB:.0f} GiB free "
            "on the disk"
        )


def look_at_machine(device: torch.device, folder: Path, memory_gib: float | None = None) -> Machine:
    """Find out what there is; ``memory_gib`` limits what one training may take."""
    free, gpu = available_ram(), ""
    if device.type == "cuda":
        free, gpu = torch.cuda.mem_get_info(device)[0], torch.cuda.get_device_name(device)
    memory = free if memory_gib is None else round(memory_gib * GIB)
    existing = next(part for part in (folder, *folder.absolute().parents) if part.is_dir())
    disk = shutil.disk_usage(existing).free
    return Machine(device.type, usable_cores(), installed_ram(), memory, disk, gpu, is_busy())


def is_busy() -> bool:
    """Whether more programs were at work over the last minute than there are cores."""
    return hasattr(os, "getloadavg") and os.getloadavg()[0] > usable_cores()
