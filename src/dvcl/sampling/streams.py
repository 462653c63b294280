"""Endless streams of labelled and unlabelled patches whose state can be saved."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
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
    is_padded,
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


@dataclass(frozen=True)
class Cut:
    """One patch, drawn but not copied yet.

    Attributes:
        case: Where it is cut from.
        start: Its first voxel, see `sampling.patches`.
        flips: Axes that are reversed.
    """

    case: StoredCase
    start: Start
    flips: tuple[int, ...]


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
        labelled = torch.empty((settings.labelled, 1, *settings.patch))
        unlabelled = torch.empty((settings.unlabelled, 1, *settings.patch))
        labels = torch.empty((settings.labelled, *settings.patch), dtype=torch.uint8)
        cuts = [self._choose(is_labelled=True) for _ in labelled]
        cuts += [self._choose(is_labelled=False) for _ in unlabelled]
        # What is drawn is drawn by now; the threads only copy, which numpy lets them do at once.
        with ThreadPoolExecutor(torch.get_num_threads()) as threads:
            images = [*labelled[:, 0].numpy(), *unlabelled[:, 0].numpy()]
            list(threads.map(_copy_image, cuts, images))
            list(threads.map(_copy_label, cuts, labels.numpy()))
        maps = None
        if self.map_classes is not None:
            maps = torch.from_numpy(signed_distance_maps(labels.numpy(), self.map_classes))
        shown = _joined([cut.case.annotated for cut in cuts[: settings.labelled]])
        ids = tuple(cut.case.id for cut in cuts)
        return Batch(labelled, labels, unlabelled, ids, maps, shown)

    def _choose(self, is_labelled: bool) -> Cut:
        case = (self.labelled if is_labelled else self.unlabelled).next()
        start = self._start(case, is_labelled)
        return Cut(case, start, draw_flips(self.settings.flips, self.random))

    def _start(self, case: StoredCase, is_labelled: bool) -> Start:
        shape, patch = case.image.shape, self.settings.patch
        if is_labelled and self.random.random() < self.settings.organ_share:
            voxels = case.organ_voxels
            organs = np.unique(voxels[:, 0])
            if len(organs):
                rows = np.flatnonzero(voxels[:, 0] == self.random.choice(organs))
                return centred_start(shape, patch, voxels[self.random.choice(rows), 1:])
        return uniform_start(shape, patch, self.random)

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


# Patches are written into the batch itself, through reversed views where an axis is flipped: copies
# on the way would take longer than the reading.


def _copy_image(cut: Cut, pixels: np.ndarray) -> None:
    case = cut.case
    if is_padded(case.image.shape, pixels.shape):
        # Padding is the lower end of the window (air), which is 0 after normalisation.
        pixels.fill(0)
    target = np.flip(pixels, cut.flips)
    copy_scaled_patch(case.image, cut.start, target, case.scale, case.offset)


def _copy_label(cut: Cut, classes: np.ndarray) -> None:
    label = cut.case.label
    assert label is not None, f"{cut.case.id} was given as a labelled case"
    if is_padded(label.shape, classes.shape):
        classes.fill(0)
    copy_patch(label, cut.start, np.flip(classes, cut.flips))


def _joined(shown: Sequence[np.ndarray | None]) -> torch.Tensor | None:
    """(B, K) from the annotated classes of every patch; None where all show all."""
    partial = [classes for classes in shown if classes is not None]
    if not partial:
        return None
    everything = np.ones_like(partial[0])
    rows = [everything if classes is None else classes for classes in shown]
    return torch.from_numpy(np.stack(rows))
