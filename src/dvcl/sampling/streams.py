"""Endless streams of labelled and unlabelled patches whose state can be saved."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dvcl.errors import InputError
from dvcl.sampling.augment import (
    AXES,
    Fill,
    Intensity,
    copy_warped,
    draw_flips,
    draw_intensity,
    draw_warp,
)
from dvcl.sampling.batch import Batch
from dvcl.sampling.distance_maps import signed_distance_maps
from dvcl.sampling.patches import (
    Size,
    Start,
    centred_start,
    copy_patch,
    copy_scaled_patch,
    is_padded,
    uniform_start,
)
from dvcl.store import StoredCase

SPATIAL = ("rotation_degrees", "scaling")
INTENSITY = ("contrast", "shift", "gamma", "noise", "blur")


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
        rotation_degrees: Largest turn of a patch about each axis; 0, like the amounts that follow,
            changes nothing, as in the paper.
        scaling: Patches are made larger or smaller by at most this share.
        contrast: Largest change of the contrast, 0.1 for ten percent more or as much less.
        shift: Largest change of all normalised intensities.
        gamma: Largest change of the exponent of normalised intensities, as for the contrast.
        noise: Largest standard deviation of white noise, in normalised intensities.
        blur: Largest standard deviation of a blur, in voxels.
        grow_from: Patch at the start of a run, which grows to ``patch`` (Fischer et al.,
            https://arxiv.org/abs/2510.23241): small ones take less time and show more organ. None
            for patches that do not grow.
        grow_until: Share of the run over which patches grow.
    """

    patch: tuple[int, int, int] = (64, 128, 128)
    labelled: int = 4
    unlabelled: int = 4
    flips: tuple[str, ...] = ("H",)
    organ_share: float = 0.0
    rotation_degrees: float = 0.0
    scaling: float = 0.0
    contrast: float = 0.0
    shift: float = 0.0
    gamma: float = 0.0
    noise: float = 0.0
    blur: float = 0.0
    grow_from: tuple[int, int, int] | None = None
    grow_until: float = 0.0

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
        amounts = {name: getattr(self, name) for name in (*SPATIAL, *INTENSITY)}
        problems = [
            f"sampling.{name}: {value} found, a number of at least 0 expected."
            for name, value in amounts.items()
            if not 0 <= value < math.inf
        ]
        if not 0 <= self.grow_until <= 1:
            problems.append(
                f"sampling.grow_until: {self.grow_until} found, a number in [0, 1] expected."
            )
        if self.grow_from and not all(
            1 <= first <= last for first, last in zip(self.grow_from, self.patch, strict=True)
        ):
            problems.append(
                f"sampling.grow_from: {self.grow_from} found, sides of at most those of the patch "
                f"{self.patch} expected."
            )
        if problems:
            raise InputError(problems)

    def patch_at(self, progress: float) -> tuple[int, int, int]:
        """Patch at a share of the run; its sides grow by multiples of what divides them all."""
        if self.grow_from is None or progress >= self.grow_until:
            return self.patch
        sides = list(zip(self.grow_from, self.patch, strict=True))
        unit = math.gcd(*self.grow_from, *self.patch)
        stages = max((last - first) // unit for first, last in sides)
        stage = math.floor(progress / self.grow_until * stages)
        depth, height, width = (
            first + unit * ((last - first) // unit * stage // stages) for first, last in sides
        )
        return depth, height, width


@dataclass(frozen=True)
class Cut:
    """One patch, drawn but not copied yet.

    Attributes:
        case: Where it is cut from.
        start: Its first voxel, see `sampling.patches`.
        flips: Axes that are reversed.
        warp: Turn and size, see `draw_warp`; None for neither.
        intensity: Change of the intensities, None for none.
    """

    case: StoredCase
    start: Start
    flips: tuple[int, ...]
    warp: np.ndarray | None = None
    intensity: Intensity | None = None


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

    def draw(self, progress: float = 1.0, unlabelled: bool = True) -> Batch:
        """The next batch, on the CPU.

        Args:
            progress: Share of the run, by which patches may grow.
            unlabelled: Whether it holds unlabelled patches; without, it has none at all.
        """
        settings, patch = self.settings, self.settings.patch_at(progress)
        labelled = torch.empty((settings.labelled, 1, *patch))
        others = torch.empty((settings.unlabelled if unlabelled else 0, 1, *patch))
        labels = torch.empty((settings.labelled, *patch), dtype=torch.uint8)
        cuts = [self._choose(patch, is_labelled=True) for _ in labelled]
        cuts += [self._choose(patch, is_labelled=False) for _ in others]
        # What is drawn is drawn by now; the threads only copy, which numpy lets them do at once.
        with ThreadPoolExecutor(torch.get_num_threads()) as threads:
            images = [*labelled[:, 0].numpy(), *others[:, 0].numpy()]
            list(threads.map(_copy_image, cuts, images))
            list(threads.map(_copy_label, cuts, labels.numpy()))
        maps = None
        if self.map_classes is not None:
            maps = torch.from_numpy(signed_distance_maps(labels.numpy(), self.map_classes))
        shown = _joined([cut.case.annotated for cut in cuts[: settings.labelled]])
        ids = tuple(cut.case.id for cut in cuts)
        return Batch(labelled, labels, others, ids, maps, shown)

    def _choose(self, patch: Size, is_labelled: bool) -> Cut:
        case = (self.labelled if is_labelled else self.unlabelled).next()
        start = self._start(case, patch, is_labelled)
        flips = draw_flips(self.settings.flips, self.random)
        return Cut(case, start, flips, self._warp(case), self._intensity())

    def _warp(self, case: StoredCase) -> np.ndarray | None:
        degrees, scaling = self.settings.rotation_degrees, self.settings.scaling
        if not degrees and not scaling:
            return None
        return draw_warp(degrees, scaling, case.grid.prepared.spacing_mm, self.random)

    def _intensity(self) -> Intensity | None:
        amounts = {name: getattr(self.settings, name) for name in INTENSITY}
        return draw_intensity(**amounts, random=self.random) if any(amounts.values()) else None

    def _start(self, case: StoredCase, patch: Size, is_labelled: bool) -> Start:
        shape = case.image.shape
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

    def fill(start: Start, target: np.ndarray) -> None:
        if is_padded(case.image.shape, start, target.shape):
            # Padding is the lower end of the window (air), which is 0 after normalisation.
            target.fill(0)
        copy_scaled_patch(case.image, start, target, case.scale, case.offset)

    _copy(cut, fill, pixels)
    if cut.intensity:
        cut.intensity.apply(pixels)


def _copy_label(cut: Cut, classes: np.ndarray) -> None:
    label = cut.case.label
    assert label is not None, f"{cut.case.id} was given as a labelled case"

    def fill(start: Start, target: np.ndarray) -> None:
        if is_padded(label.shape, start, target.shape):
            target.fill(0)
        copy_patch(label, start, target)

    _copy(cut, fill, classes)


def _copy(cut: Cut, fill: Fill, target: np.ndarray) -> None:
    flipped = np.flip(target, cut.flips)
    if cut.warp is None:
        fill(cut.start, flipped)
    else:
        copy_warped(fill, cut.start, cut.warp, flipped)


def _joined(shown: Sequence[np.ndarray | None]) -> torch.Tensor | None:
    """(B, K) from the annotated classes of every patch; None where all show all."""
    partial = [classes for classes in shown if classes is not None]
    if not partial:
        return None
    everything = np.ones_like(partial[0])
    rows = [everything if classes is None else classes for classes in shown]
    return torch.from_numpy(np.stack(rows))
