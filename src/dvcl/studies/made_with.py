"""What made a run: versions and machine."""

from __future__ import annotations

import platform
from importlib import metadata

import torch

import dvcl
from dvcl.resources import processor_name

VERSIONED = ("torch", "numpy", "scipy", "nibabel", "safetensors")


def made_with(device: torch.device, processes: int = 1) -> dict[str, str]:
    """Versions and machine, for the record."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor_name()
    return {
        "dvcl": dvcl.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "device": f"{device.type} {name}".strip(),
        "processes": str(processes),
        "threads": str(torch.get_num_threads()),
        **{package: metadata.version(package) for package in VERSIONED},
    }
