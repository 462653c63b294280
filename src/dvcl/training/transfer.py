"""Weights of another training as a start: by their names, and in heads by the organs' names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dvcl.methods import Method
from dvcl.networks import SegmentationNetwork

Axes = Mapping[str, int]


@dataclass(frozen=True)
class Taken:
    """What a method took over.

    Attributes:
        tensors: How many weights it took, whole or in part.
        kept: Organs whose rows of the heads came along.
        new: Organs whose rows are as they were initialised.
        left: Parts of the method that are as they were initialised, with their number of weights.
    """

    tensors: int
    kept: tuple[str, ...]
    new: tuple[str, ...]
    left: Mapping[str, int]

    def in_words(self) -> str:
        """One line for people and for run.json."""
        every = self.tensors + sum(self.left.values())
        organs = f"the head's rows of {', '.join(self.kept) or 'no organ'}"
        new = f"; new organs: {', '.join(self.new)}" if self.new else ""
        parts = ", ".join(f"{part} ({count})" for part, count in self.left.items())
        left = f"; as initialised: {parts}" if parts else ""
        return f"{self.tensors} of {every} weights, with {organs}{new}{left}"


def class_axes(method: Method, wider: Method) -> dict[str, int]:
    """{weight: its axis of classes}, found by what one more class changes.

    Args:
        method: With K classes.
        wider: The same with K + 1.
    """
    sizes = {name: weight.shape for name, weight in wider.named_parameters()}
    return {
        name: axis
        for name, weight in method.named_parameters()
        for axis, pair in enumerate(zip(weight.shape, sizes[name], strict=True))
        if pair[0] != pair[1]
    }


@torch.no_grad()
def take_weights(
    method: Method,
    donor: Method,
    axes: Axes,
    names: Sequence[str],
    donor_names: Sequence[str],
) -> Taken:
    """Put a donor's weights in the place of those with the same name and shape.

    The networks of another method have other names: its first one then is the start of the first
    network, and of teachers; a second network keeps its own start, since two equal ones would
    teach each other nothing. What a method remembers of its batches (queues, banks) is not taken.

    Args:
        method: Freshly initialised; changed in place.
        donor: With its weights.
        axes: Of ``method``, by `class_axes`.
        names: Of its classes, the background first.
        donor_names: Of the donor's.
    """
    theirs = dict(donor.named_parameters())
    sources = _sources(method, donor)
    tensors, left = 0, Counter[str]()
    for name, weight in method.named_parameters():
        source = theirs.get(_source_name(name, sources))
        if source is not None and _took(weight, source, axes.get(name), names, donor_names):
            tensors += 1
        else:
            left[_part(name)] += 1
    kept = tuple(name for name in names[1:] if name in donor_names)
    new = tuple(name for name in names[1:] if name not in donor_names)
    return Taken(tensors, kept, new, left)


def _took(
    weight: Tensor,
    source: Tensor,
    axis: int | None,
    names: Sequence[str],
    donor_names: Sequence[str],
) -> bool:
    """Copy a weight where it fits: whole, or along the axis of classes those of the same name."""
    if axis is None:
        if weight.shape != source.shape:
            return False
        weight.copy_(source)
        return True
    mine, other = names[-weight.shape[axis] :], donor_names[-source.shape[axis] :]
    fits = len(mine) == weight.shape[axis] and len(other) == source.shape[axis]
    # Both heads have a row for the background, or neither.
    if not fits or ("background" in mine) != ("background" in other):
        return False
    rows = [(row, other.index(name)) for row, name in enumerate(mine) if name in other]
    if _other_sides(weight, axis) != _other_sides(source, axis):
        return False
    for row, place in rows:
        weight.select(axis, row).copy_(source.select(axis, place))
    return bool(rows)


def _other_sides(weight: Tensor, axis: int) -> list[int]:
    return [size for place, size in enumerate(weight.shape) if place != axis]


def _sources(method: Method, donor: Method) -> dict[str, str]:
    """{network of the method: network of the donor that it starts from}."""
    mine, theirs = _networks(method), _networks(donor)
    first = next(name for name, network in mine.items() if network.is_trained)
    donors_first = next(name for name, network in theirs.items() if network.is_trained)
    return {
        name: name if name in theirs else donors_first
        for name, network in mine.items()
        if name in theirs or name == first or not network.is_trained
    }


def _networks(method: Method) -> dict[str, SegmentationNetwork]:
    parts = method.named_modules()
    return {name: part for name, part in parts if isinstance(part, SegmentationNetwork)}


def _source_name(name: str, sources: Mapping[str, str]) -> str:
    for network, source in sources.items():
        if name.startswith(f"{network}."):
            return f"{source}{name.removeprefix(network)}"
    return name


def _part(name: str) -> str:
    """Of "networks.1.encoder.0.weight" the part that people know: "networks.1"."""
    first, second, *_ = f"{name}.".split(".")
    return f"{first}.{second}" if second.isdecimal() else first
