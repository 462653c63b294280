"""Orientation and spacing: exact axis moves, and the prepared grid over the file's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

from dvcl.preprocessing.interpolation import Taps, linear_taps, resampling_matrix
from dvcl.volume import Geometry, Volume

# Header round-off: a grid that drifts less than this from the requested one is left as it is.
NEGLIGIBLE_SHIFT_VOXELS = 1e-3


@dataclass(frozen=True)
class AxisMoves:
    """A transposition and flips of a (D, H, W) array: a view, no values change.

    Attributes:
        order: For every axis of the result, the axis of the source.
        flipped: For every axis of the result, whether it runs backwards along that source axis.
    """

    order: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]

    def apply(self, array: np.ndarray) -> np.ndarray:
        """View the source array along the new axes."""
        return array.transpose(self.order)[self._steps]

    def undo(self, array: np.ndarray) -> np.ndarray:
        """Exact inverse of `apply`."""
        return array[self._steps].transpose(np.argsort(self.order))

    @property
    def _steps(self) -> tuple[slice, ...]:
        return tuple(slice(None, None, -1 if flip else None) for flip in self.flipped)


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
        axes, inverse = _array_affine(self.prepared.affine), _array_affine(self.source.affine)
        directions = np.linalg.solve(inverse[:3, :3], axes[:3, :3])
        order = np.abs(directions).argmax(axis=0)
        flipped = directions[order, range(3)] < 0
        return AxisMoves(tuple(order.tolist()), tuple(flipped.tolist()))

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
    oriented = _oriented_geometry(source, orientation)
    axes = zip(oriented.shape, oriented.spacing_mm, spacing_mm, strict=True)
    shape, steps, starts = [], [], []
    for size, from_mm, to_mm in axes:
        step = 1.0 if _is_negligible(to_mm / from_mm, size) else to_mm / from_mm
        # A factor of exactly k + 1/2 voxels must not depend on the last bit of the spacing.
        shape.append(max(1, round(round(size / step, 9))))
        steps.append(step)
        starts.append(((size - 1) - (shape[-1] - 1) * step) / 2)
    affine = _array_affine(oriented.affine)
    affine[:3, 3] += affine[:3, :3] @ starts
    affine[:3, :3] *= steps
    depth, height, width = shape
    return Grid(source, Geometry((depth, height, width), _array_affine(affine)))


def axis_moves(affine: np.ndarray, codes: str) -> AxisMoves:
    """Find the moves that turn an array (D, H, W) with this affine to the orientation ``codes``."""
    transform = ornt_transform(io_orientation(affine), axcodes2ornt(tuple(codes)))
    # Rows are source axes (x, y, z) -> (target axis, sign); arrays count their axes from z.
    order, flipped = [0, 0, 0], [False, False, False]
    for axis, (target, sign) in enumerate(transform):
        order[2 - int(target)] = 2 - axis
        flipped[2 - int(target)] = sign < 0
    return AxisMoves((order[0], order[1], order[2]), (flipped[0], flipped[1], flipped[2]))


def orient(volume: Volume, codes: str) -> Volume:
    """Turn a volume to the orientation ``codes``, as "LPI"; values are moved, never changed.

    `Grid.moves` of a grid between both, or `orient` with the source's own codes, turns it back.
    """
    moves = axis_moves(volume.affine, codes)
    geometry = _oriented_geometry(volume.geometry, codes)
    return Volume(np.ascontiguousarray(moves.apply(volume.array)), geometry.affine)


def _is_negligible(step: float, size: int) -> bool:
    return abs(step - 1) * (size - 1) / 2 < NEGLIGIBLE_SHIFT_VOXELS


def _array_affine(affine: np.ndarray) -> np.ndarray:
    """Swap between (x, y, z) and (z, y, x) columns."""
    return affine[:, [2, 1, 0, 3]]


def _oriented_geometry(source: Geometry, codes: str) -> Geometry:
    moves = axis_moves(source.affine, codes)
    columns = _array_affine(source.affine)
    depth, height, width = (source.shape[axis] for axis in moves.order)
    oriented = columns[:, [*moves.order, 3]]
    for axis, (size, flip) in enumerate(zip((depth, height, width), moves.flipped, strict=True)):
        if flip:
            oriented[:3, 3] += oriented[:3, axis] * (size - 1)
            oriented[:3, axis] *= -1
    return Geometry((depth, height, width), _array_affine(oriented))
