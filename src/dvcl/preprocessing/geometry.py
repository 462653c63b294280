"""Orientation and spacing: the prepared grid over the file's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from dvcl.preprocessing.interpolation import Taps, linear_taps, resampling_matrix
from dvcl.volume import Geometry
from dvcl.volume.turning import AxisMoves, array_affine, axis_moves, moves_between, turned

# Header round-off: a grid that drifts less than this from the requested one is left as it is.
NEGLIGIBLE_SHIFT_VOXELS = 1e-3


@dataclass(frozen=True)
class Grid:
    """A file's own voxel grid and the prepared grid laid over it; their centres coincide.

    Along every axis of the prepared grid, voxel i lies at ``start + step * i`` on the source
    axis after `moves`.

    Attributes:
        source: The grid of the file.
        prepared: The oriented and resampled grid.
    """

    source: Geometry
    prepared: Geometry

    @cached_property
    def moves(self) -> AxisMoves:
        """The axis moves from the source array to the oriented one."""
        return moves_between(self.source, self.prepared)

    @property
    def oriented_shape(self) -> tuple[int, int, int]:
        """Voxels of the source along the prepared (D, H, W) axes."""
        depth, height, width = (self.source.shape[axis] for axis in self.moves.order)
        return depth, height, width

    @cached_property
    def steps(self) -> tuple[float, float, float]:
        """Prepared spacing in source voxels, per axis; 1 where an axis is not resampled."""
        source, prepared = self.source.spacing_mm, self.prepared.spacing_mm
        ratios = [prepared[a] / source[axis] for a, axis in enumerate(self.moves.order)]
        depth, height, width = (
            1.0 if _is_negligible(ratio, size) else ratio
            for ratio, size in zip(ratios, self.oriented_shape, strict=True)
        )
        return depth, height, width

    @property
    def starts(self) -> tuple[float, float, float]:
        """Position of prepared voxel 0 on the oriented source axes, in source voxels."""
        sizes = zip(self.oriented_shape, self.prepared.shape, self.steps, strict=True)
        depth, height, width = (((n - 1) - (m - 1) * step) / 2 for n, m, step in sizes)
        return depth, height, width

    def matrices(self, order: int) -> list[torch.Tensor | None]:
        """Per axis the operator (prepared, source) of `resampling_matrix`; None where identical."""
        axes = zip(self.oriented_shape, self.prepared.shape, self.starts, self.steps, strict=True)
        return [
            None if (n, step) == (m, 1.0) else resampling_matrix(n, m, start, step, order)
            for n, m, start, step in axes
        ]

    def taps(self) -> tuple[Taps, Taps, Taps]:
        """Per oriented axis the linear interpolation of the prepared voxels."""
        axes = zip(self.oriented_shape, self.prepared.shape, self.starts, self.steps, strict=True)
        depth, height, width = (linear_taps(n, m, start, step) for n, m, start, step in axes)
        return depth, height, width

    def inverse_taps(self) -> tuple[Taps, Taps, Taps]:
        """Per oriented axis the linear interpolation of the way back."""
        axes = zip(self.prepared.shape, self.oriented_shape, self.starts, self.steps, strict=True)
        depth, height, width = (
            linear_taps(m, n, -start / step, 1 / step) for m, n, start, step in axes
        )
        return depth, height, width

    def to_json(self) -> dict[str, Any]:
        """Shapes (D, H, W) and affines of both grids; floats survive exactly."""
        return {
            name: {"shape": list(grid.shape), "affine": grid.affine.tolist()}
            for name, grid in (("source", self.source), ("prepared", self.prepared))
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Grid:
        """Inverse of `to_json`."""
        source, prepared = (
            Geometry(tuple(value[name]["shape"]), np.array(value[name]["affine"]))
            for name in ("source", "prepared")
        )
        return cls(source, prepared)


def make_grid(source: Geometry, orientation: str, spacing_mm: tuple[float, float, float]) -> Grid:
    """Lay a grid of the requested orientation and spacing over a file's grid, centre on centre.

    Args:
        source: The file's grid.
        orientation: Axis codes of (x, y, z), as "LPI".
        spacing_mm: (z, y, x) along the oriented axes. An axis whose spacing already agrees, up
            to a thousandth of a voxel over its whole length, keeps the file's.
    """
    oriented = turned(source, axis_moves(source.affine, orientation))
    axes = zip(oriented.shape, oriented.spacing_mm, spacing_mm, strict=True)
    shape, steps, starts = [], [], []
    for size, from_mm, to_mm in axes:
        step = 1.0 if _is_negligible(to_mm / from_mm, size) else to_mm / from_mm
        # A factor of exactly k + 1/2 voxels must not depend on the last bit of the spacing.
        shape.append(max(1, round(round(size / step, 9))))
        steps.append(step)
        starts.append(((size - 1) - (shape[-1] - 1) * step) / 2)
    affine = array_affine(oriented.affine)
    affine[:3, 3] += affine[:3, :3] @ starts
    affine[:3, :3] *= steps
    depth, height, width = shape
    return Grid(source, Geometry((depth, height, width), array_affine(affine)))


def _is_negligible(step: float, size: int) -> bool:
    return abs(step - 1) * (size - 1) / 2 < NEGLIGIBLE_SHIFT_VOXELS
