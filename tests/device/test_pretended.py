"""The pretended device refuses what a GPU refuses, and counts what a GPU makes wait."""

import pytest
import torch

PRETEND = torch.device("meta")


def here(*values):
    return torch.tensor(values).to(PRETEND, non_blocking=True)


REFUSED = {
    "tensors of two devices": lambda: here(1.0, 2.0) + torch.ones(2),
    "indices of another device": lambda: here(1.0, 2.0)[torch.tensor([0])],
    "numbers of another device": lambda: torch.rand(
        2, generator=torch.Generator().manual_seed(1), device=PRETEND
    ),
    "its numbers for another device": lambda: torch.rand(
        2, generator=torch.Generator(PRETEND).manual_seed(1)
    ),
}
WAITS = {
    "item": lambda: here(1.0).item(),
    "bool": lambda: bool(here(1.0)),
    "int": lambda: int(here(1)),
    "tolist": lambda: here(1.0, 2.0).tolist(),
    "cpu": lambda: here(1.0, 2.0).cpu(),
    "copy": lambda: torch.zeros(2).copy_(here(1.0, 2.0)),
    "nonzero": lambda: here(1, 0).nonzero(),
    "unique": lambda: here(1, 0).unique(),
    "bincount": lambda: here(1, 0).bincount(),
    "mask": lambda: here(1.0, 2.0)[here(True, False)],
    "assigned by mask": lambda: here(1.0, 2.0).__setitem__(here(True, True), here(3.0, 4.0)),
    "tensor": lambda: torch.tensor([1.0, 2.0], device=PRETEND),
}
FREE = {
    "sum": lambda: here(1.0, 2.0).sum() + torch.tensor(1.0),
    "sort": lambda: here(2, 1).sort().values[0],
    "filled by mask": lambda: here(1.0, 2.0).__setitem__(here(True, False), 0.0),
    "moved without waiting": lambda: torch.ones(2).to(PRETEND, non_blocking=True),
    "drawn": lambda: torch.rand(2, generator=torch.Generator(PRETEND), device=PRETEND),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_refuses_what_a_gpu_refuses(name, pretended):
    with pytest.raises(AssertionError, match=r"another device|two devices"):
        REFUSED[name]()


@pytest.mark.parametrize("name", [*WAITS, *FREE])
def test_it_counts_what_a_gpu_makes_wait(name, pretended):
    (WAITS | FREE)[name]()
    assert pretended.waits.total() == (name in WAITS), pretended.waits
