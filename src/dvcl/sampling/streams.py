"""Endless streams of labelled and unlabelled patches whose state can be saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dvcl.errors import InputError
from dvcl.sampling.augment import AXES, draw_flips
from dvcl.sampling.batch import Batch
from dvcl.sampling.distance_maps import signed_distance_maps
from dvcl.sampling.patches import (
    Start,
    centred_start,
    copy_patch,
    copy_scaled_patch,
    uniform_start,
)
from dvcl.store import StoredCase


@dataclass(frozen=True)
class Sampling:
    """How batches are drawn.

    Attributes:
        patch: Voxels along (D, H, W) of the prepared grid.
        labelled: Labelled patches per batch.
        unlabelled: Unlabelled patches per batch.
        flips: Axes that are reversed at random. "W" is left-right in the default orientation: it
            turns a left kidney into a right one without renaming it, so it is off by default; the
            paper's recipes switch it on, as the paper does.
        organ_share: Share of labelled patches centred on a voxel of a random organ; 0 crops
            uniformly, as the paper does.
    """

    patch: tuple[int, int, int] = (64, 128, 128)
    labelled: int = 4
    unlabelled: int = 4
    flips: tuple[str, ...] = ("H",)
    organ_share: float = 0.0

    def __post_init__(self) -> None:
        if not set(self.flips) <= set(AXES) or len(set(self.flips)) < len(self.flips):
            raise InputError(
                f"sampling.flips: {[*self.flips]} found, each of D, H, W at most once."
            )
        if min(self.patch) < 1:
            raise InputError(f"sampling.patch: {self.patch} found, positive sizes expected.")
        if self.labelled < 1 or self.unlabelled < 0 or not 0 <= self.organ_share <= 1:
            raise InputError(
                "sampling: labelled must be at least 1, unlabelled at least 0, organ_share between "
                f"0 and 1; found {self.labelled}, {self.unlabelled}, {self.organ_share}."
            )


class Stream:
    """Cases in a new random order each time all have been seen."""

    def __init__(self, cases: Sequence[StoredCase], random: np.random.Generator) -> None:
        self.cases = list(cases)
        self.random = random
        self.order: list[int] = []

    def next(self) -> StoredCase:
        """The next case."""
        if not self.order:
            self.order = self.random.permutation(len(self.cases)).tolist()
        return self.cases[self.order.pop()]


class Sampler:
    """Draws batches from prepared cases; one generator drives everything.

    Only images are read from unlabelled cases, whatever label files they may have.

    Args:
        labelled: Cases with labels.
        unlabelled: Cases whose images alone are used.
        settings: How patches are drawn.
        seed: Of the generator.
        map_classes: K, when batches shall carry signed distance maps of the labels.
    """

    def __init__(
        self,
        labelled: Sequence[StoredCase],
        unlabelled: Sequence[StoredCase],
        settings: Sampling,
        seed: int,
        map_classes: int | None = None,
    ) -> None:
        self.settings = settings
        self.map_classes = map_classes
        self.random = np.random.default_rng(seed)
        self.labelled = Stream(labelled, self.random)
        self.unlabelled = Stream(unlabelled, self.random)

    def draw(self) -> Batch:
        """The next batch, on the CPU."""
        settings = self.settings
        # Two tensors: at the usual sizes each is small enough for the allocator to hand out the
        # last batch's memory again, which saves the system from clearing new pages.
        labelled = torch.empty((settings.labelled, 1, *settings.patch))
        unlabelled = torch.empty((settings.unlabelled, 1, *settings.patch))
        labels = torch.empty((settings.labelled, *settings.patch), dtype=torch.uint8)
        places = [*zip(labelled, labels, strict=True), *((image, None) for image in unlabelled)]
        ids, shown = [], []
        for image, label in places:
            is_labelled = label is not None
            case = (self.labelled if is_labelled else self.unlabelled).next()
            start = self._start(case, is_labelled)
            flips = draw_flips(settings.flips, self.random)
            self._copy(case, start, flips, image[0], label)
            ids.append(case.id)
            shown += [case.annotated] if is_labelled else []
        maps = None
        if self.map_classes is not None:
            maps = torch.from_numpy(signed_distance_maps(labels.numpy(), self.map_classes))
        return Batch(labelled, labels, unlabelled, tuple(ids), maps, _joined(shown))

    def _start(self, case: StoredCase, is_labelled: bool) -> Start:
        shape, patch = case.image.shape, self.settings.patch
        if is_labelled and self.random.random() < self.settings.organ_share:
            voxels = case.organ_voxels
            organs = np.unique(voxels[:, 0])
            if len(organs):
                rows = np.flatnonzero(voxels[:, 0] == self.random.choice(organs))
                return centred_start(shape, patch, voxels[self.random.choice(rows), 1:])
        return uniform_start(shape, patch, self.random)

    def _copy(
        self,
        case: StoredCase,
        start: Start,
        flips: tuple[int, ...],
        image: torch.Tensor,
        label: torch.Tensor | None,
    ) -> None:
        # Written into the batch itself, through reversed views where an axis is flipped: copies on
        # the way would take longer than the reading.
        pixels = image.numpy()
        if min(start) < 0:
            # Padding is the lower end of the window (air), which is 0 after normalisation.
            pixels.fill(0)
        copy_scaled_patch(case.image, start, np.flip(pixels, flips), case.scale, case.offset)
        if label is not None:
            assert case.label is not None, f"{case.id} was given as a labelled case"
            if min(start) < 0:
                label.zero_()
            copy_patch(case.label, start, np.flip(label.numpy(), flips))

    def state_dict(self) -> dict[str, Any]:
        """Plain values: the generator's state and what is left of both streams."""
        return {
            "random": self.random.bit_generator.state,
            "labelled": list(self.labelled.order),
            "unlabelled": list(self.unlabelled.order),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where `state_dict` was taken."""
        self.random.bit_generator.state = state["random"]
        self.labelled.order = list(state["labelled"])
        self.unlabelled.order = list(state["unlabelled"])


def _joined(shown: Sequence[np.ndarray | None]) -> torch.Tensor | None:
    """(B, K) from the annotated classes of every patch; None where all show all."""
    partial = [classes for classes in shown if classes is not None]
    if not partial:
        return None
    everything = np.ones_like(partial[0])
    rows = [everything if classes is None else classes for classes in shown]
    return torch.from_numpy(np.stack(rows))
