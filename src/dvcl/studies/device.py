"""The device that a person names, tried before anything else is done."""

from __future__ import annotations

import torch

from dvcl.errors import InputError
from dvcl.training.engine import choose_device

DEVICES = ("cpu", "cuda", "mps")


def usable_device(name: str) -> torch.device:
    """The device that a person names, tried.

    Raises:
        InputError: When this machine or this PyTorch has no such device.
    """
    try:
        device = choose_device(name)
        torch.empty(1, device=device)
        if device.type not in DEVICES:
            raise ValueError(f"{device.type} is not supported")
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"--device {name!r}: cannot be used here ({reason}). Take auto, or one that this "
            "machine has: cpu, cuda, cuda:1 or mps."
        ) from error
    return device
