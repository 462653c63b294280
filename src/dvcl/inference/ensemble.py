"""Networks that predict together: the mean of what they believe, and how far they disagree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from dvcl.inference.sliding_window import Predict
from dvcl.inference.uncertainty import share_of_entropy
from dvcl.sampling.flips import AXES


@dataclass(frozen=True)
class Beliefs:
    """What an ensemble believes of a volume, on the prepared grid.

    Attributes:
        probabilities: (K, d, h, w) float32, the mean of all members.
        disagreement: (d, h, w) in 0..1, where it was asked for and there are several members.
        members: (K, d, h, w) of each, where they were kept apart.
    """

    probabilities: Tensor
    disagreement: Tensor | None = None
    members: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class Ensemble:
    """Predicts window by window like one network; `read` tells what its channels mean.

    The disagreement of a voxel is the members' mutual information within a window, the entropy of
    their mean less the mean of their entropies, as a share of ln K; over windows it is averaged
    as probabilities are.

    Attributes:
        members: Each from (B, 1, d, h, w) to class probabilities (B, K, d, h, w).
        classes: K.
        apart: Keep what each member believes, in as many times the memory.
        disagreement: Measure it.
    """

    members: tuple[Predict, ...]
    classes: int
    apart: bool = False
    disagreement: bool = False

    @property
    def measures_disagreement(self) -> bool:
        """Whether its last channel is the disagreement."""
        return self.disagreement and len(self.members) > 1

    @property
    def background(self) -> tuple[int, ...]:
        """Channels that are 1 where there is nothing but air."""
        maps = len(self.members) if self.apart else 1
        return tuple(range(0, maps * self.classes, self.classes))

    @property
    def maps_held(self) -> int:
        """Values per prepared voxel at the peak; the mean of kept members comes beside them."""
        maps = len(self.members) + 1 if self.apart else 1
        return maps * self.classes + self.measures_disagreement

    def __call__(self, images: Tensor) -> Tensor:
        """(B, channels, d, h, w): what may be averaged over windows."""
        first, *others = self.members
        found = first(images)
        kept, total = [found], found
        entropies = share_of_entropy(found, 1) if self.measures_disagreement else None
        for predict in others:
            found = predict(images)
            total = total + found
            if self.apart:
                kept.append(found)
            if entropies is not None:
                entropies += share_of_entropy(found, 1)
        mean = total / len(self.members)
        channels = kept if self.apart else [mean]
        if entropies is not None:
            more = share_of_entropy(mean, 1) - entropies / len(self.members)
            channels = [*channels, more.clamp_(min=0)[:, None]]
        return torch.cat(channels, 1) if len(channels) > 1 else channels[0]

    def read(self, channels: Tensor) -> Beliefs:
        """Take the averaged channels (channels, d, h, w) of a volume apart."""
        disagreement = channels[-1] if self.measures_disagreement else None
        if not self.apart:
            return Beliefs(channels[: self.classes], disagreement)
        members = channels[: len(self.members) * self.classes].split(self.classes)
        mean = members[0].clone()
        for member in members[1:]:
            mean += member
        return Beliefs(mean.div_(len(members)), disagreement, members)


def mirrored(predict: Predict, axes: Sequence[str]) -> Predict:
    """The mean over windows as they are and mirrored along every choice of ``axes``.

    Args:
        predict: (B, 1, d, h, w) to class probabilities (B, K, d, h, w).
        axes: Of "D", "H", "W", those that the training has mirrored; 2 ** axes passes.
    """
    places = [AXES[axis] + 2 for axis in axes]
    choices = [chosen for size in range(len(places) + 1) for chosen in combinations(places, size)]

    def mean(images: Tensor) -> Tensor:
        found = (predict(images.flip(chosen)).flip(chosen) for chosen in choices)
        total = next(found)
        for probabilities in found:
            total = total + probabilities
        return total / len(choices)

    return mean
