"""Parts that methods share: what they remember between steps, and co-trained pairs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from dvcl.errors import InputError


class FeatureQueue(nn.Module):
    """First in, first out: detached rows of a fixed width, oldest overwritten first.

    Args:
        capacity: Rows kept.
        width: Numbers per row.
    """

    rows: Tensor
    filled: Tensor
    cursor: Tensor

    def __init__(self, capacity: int, width: int) -> None:
        super().__init__()
        self.capacity = capacity
        self.register_buffer("rows", torch.zeros(capacity, width))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))
        self.register_buffer("cursor", torch.zeros((), dtype=torch.int64))

    def push(self, rows: Tensor) -> None:
        """Store ``rows`` (N, width); only the last ``capacity`` of them fit."""
        rows = rows.detach()[-self.capacity :] if self.capacity else rows[:0].detach()
        places = (self.cursor + torch.arange(len(rows), device=rows.device)) % max(self.capacity, 1)
        self.rows[places] = rows.float()
        self.cursor.add_(len(rows)).remainder_(max(self.capacity, 1))
        self.filled.add_(len(rows)).clamp_(max=self.capacity)

    def content(self) -> Tensor:
        """What is stored, (filled, width), in no particular order."""
        return self.rows[: int(self.filled)]


class ClassQueues(nn.ModuleList):
    """One `FeatureQueue` per class, in the order of the classes."""

    def __init__(self, classes: int, capacity: int, width: int) -> None:
        super().__init__(FeatureQueue(capacity, width) for _ in range(classes))

    def __iter__(self) -> Iterator[FeatureQueue]:
        return cast("Iterator[FeatureQueue]", super().__iter__())


def mean_probabilities(logits: Sequence[Tensor], use: str) -> Tensor:
    """Prediction of co-trained networks: the mean of their softmax maps, or one of them.

    Args:
        logits: One (B, K, D, H, W) per network, in the order A, B.
        use: "mean", "A" or "B". Papers rarely say which they test; official codes differ.
    """
    maps = [network.softmax(1) for network in logits]
    return torch.stack(maps).mean(0) if use == "mean" else maps["AB".index(use)]


def check_choice(name: str, value: str, allowed: Sequence[str]) -> None:
    """Refuse a setting outside its list."""
    if value not in allowed:
        raise InputError(f"method.{name}: {value!r} found, one of {list(allowed)} expected.")


def check_finite(**settings: float) -> None:
    """Refuse settings that are infinite or not a number."""
    _refuse(settings, math.isfinite, "a finite number")


def check_at_least(smallest: float, **settings: float) -> None:
    """Refuse settings that are smaller than ``smallest``, infinite or not a number."""
    check_finite(**settings)
    _refuse(settings, lambda value: value >= smallest, f"at least {smallest:g}")


def check_at_most(largest: float, **settings: float) -> None:
    """Refuse settings that are larger than ``largest``, infinite or not a number."""
    check_finite(**settings)
    _refuse(settings, lambda value: value <= largest, f"at most {largest:g}")


def check_start(**settings: float) -> None:
    """Refuse a progress at which a term would never begin; training ends before 1."""
    check_at_least(0, **settings)
    remedy = " Training ends at 1; a weight of 0 switches a term off."
    _refuse(settings, lambda value: value < 1, "less than 1", remedy)


def _refuse(
    settings: Mapping[str, float], fits: Callable[[float], bool], expected: str, remedy: str = ""
) -> None:
    problems = [
        f"method.{name}: {value} found, {expected} expected.{remedy}"
        for name, value in settings.items()
        if not fits(value)
    ]
    if problems:
        raise InputError(problems)
