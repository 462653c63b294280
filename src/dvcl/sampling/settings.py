"""How batches are drawn, as a recipe says it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dvcl.errors import InputError
from dvcl.sampling.flips import AXES
from dvcl.sampling.patches import Size

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
        if (self.grow_from is None) != (self.grow_until == 0):
            problems.append(
                f"sampling.grow_from: {self.grow_from} found with grow_until {self.grow_until}; "
                "patches grow with both, or with neither."
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

    def patch_at(self, progress: float) -> Size:
        """Patch at a share of the run; its sides grow by multiples of what divides them all."""
        if self.grow_from in (None, self.patch) or progress >= self.grow_until:
            return self.patch
        assert self.grow_from is not None
        sides = list(zip(self.grow_from, self.patch, strict=True))
        unit = math.gcd(*self.grow_from, *self.patch)
        stages = max((last - first) // unit for first, last in sides)
        stage = math.floor(progress / self.grow_until * stages)
        depth, height, width = (
            first + unit * ((last - first) // unit * stage // stages) for first, last in sides
        )
        return depth, height, width
