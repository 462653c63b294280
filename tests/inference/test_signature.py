"""A scan's row of numbers: weighed means over classes, as a loop makes them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dvcl.inference.signature import signature
from dvcl.inference.sliding_window import Window
from dvcl.methods.method import Representation

WINDOW = Window((16, 16, 16), (16, 16, 16))


def represent(images: Tensor) -> Representation:
    """Two classes by intensity; features are intensity, its square and 1."""
    logits = torch.cat([1 - images, 3 * images], 1)
    rows = torch.stack([images, images**2, torch.ones_like(images)], -1).reshape(-1, 3)
    return Representation(logits.log_softmax(1), lambda voxels: rows[voxels])


def looped(image: Tensor) -> list[float]:
    kept = [value for value in image[::4, ::4, ::4].flatten() if value > 0.02]
    found: list[float] = []
    for index in range(2):
        total, weights = torch.zeros(3, dtype=torch.float64), 0.0
        for value in kept:
            weight = float(torch.stack([1 - value, 3 * value]).softmax(0)[index])
            row = torch.stack([value, value**2, torch.tensor(1.0)]).double()
            total += weight * row / row.norm()
            weights += weight
        found += (total / weights).tolist()
    return found


def test_it_is_the_weighed_mean_of_a_loop() -> None:
    image = torch.rand((20, 16, 24), generator=torch.Generator().manual_seed(0))
    image[:, :8] = 0
    found = signature(represent, image, WINDOW, torch.device("cpu"))
    assert found == pytest.approx(looped(image), abs=1e-6)


def test_air_around_a_scan_changes_nothing() -> None:
    image = torch.rand((16, 16, 16), generator=torch.Generator().manual_seed(1))
    found = [
        signature(represent, part, WINDOW, torch.device("cpu"))
        for part in (image, F.pad(image, (8, 8, 8, 8, 8, 8)))
    ]
    assert found[0] == pytest.approx(found[1], abs=1e-6)


def test_a_scan_of_nothing_has_numbers_too() -> None:
    found = signature(represent, torch.zeros(16, 16, 16), WINDOW, torch.device("cpu"))
    assert np.isfinite(found).all()
