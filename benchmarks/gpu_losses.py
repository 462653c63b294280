"""Steps of every method on a device with the numbers that the CPU draws, to be compared."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import torch

from dvcl.training.engine import step
from dvcl.training.optimisation import build_optimisers

CPU = torch.device("cpu")
RECORD = Path(__file__).parents[1] / "tests" / "golden" / "record.py"


class HostGenerator(torch.Generator):
    """Draws on the CPU what is asked for on another device."""

    device = CPU  # where it says that it is


@contextlib.contextmanager
def _drawn_on_host() -> Iterator[None]:
    names = ("rand", "randn", "randint", "randperm")
    usual = {name: getattr(torch, name) for name in names}

    def draw(name: str) -> Callable[..., torch.Tensor]:
        return lambda *what, device=CPU, **how: usual[name](*what, **how).to(device)

    for name in names:
        setattr(torch, name, draw(name))
    try:
        yield
    finally:
        for name in names:
            setattr(torch, name, usual[name])


def _golden() -> ModuleType:
    """The tiny methods and batches of the tests' recorded steps."""
    spec = importlib.util.spec_from_file_location("golden", RECORD)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def curve(name: str, device: torch.device, steps: int) -> list[list[float]]:
    """Terms of every step; in float32, progress growing from 0 to 1."""
    golden = _golden()
    method, batches = golden._build(name).to(device), [golden._make_batch(name, n) for n in (0, 1)]
    method.random = HostGenerator().manual_seed(1)
    method.random.device = device
    optimisers = build_optimisers(method, golden.TRAINING)
    found = []
    with _drawn_on_host():
        for number in range(steps):
            batch = batches[number % 2]._each(lambda part: part.float())
            batch = replace(batch, labels=batch.labels.long()).to(device)
            progress = number / max(1, steps - 1)
            found.append([*step(method, optimisers, batch, progress, 0.01)[0].values()])
    return found
