"""Turning volumes by whole axes: their order and direction change, no value and no place does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

from dvcl.volume.grid import Geometry, Volume


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
    def is_none(self) -> bool:
        """Whether everything stays where it is."""
        return self == AxisMoves((0, 1, 2), (False, False, False))

    @property
    def _steps(self) -> tuple[slice, ...]:
        return tuple(slice(None, None, -1 if flip else None) for flip in self.flipped)


def axis_moves(affine: np.ndarray, codes: str) -> AxisMoves:
    """Find the moves that turn an array (D, H, W) with this affine to the orientation ``codes``."""
    transform = ornt_transform(io_orientation(affine), axcodes2ornt(tuple(codes)))
    # Rows are source axes (x, y, z) -> (target axis, sign); arrays count their axes from z.
    order, flipped = [0, 0, 0], [False, False, False]
    for axis, (target, sign) in enumerate(transform):
        order[2 - int(target)] = 2 - axis
        flipped[2 - int(target)] = sign < 0
    return AxisMoves((order[0], order[1], order[2]), (flipped[0], flipped[1], flipped[2]))


def moves_between(source: Geometry, target: Geometry) -> AxisMoves:
    """Find the moves that turn a grid's array to the axes of another grid.

    Of two grids between whose axes there is no such turn (at 45 degrees), nothing is moved.
    """
    directions = np.linalg.solve(_unit_axes(source), _unit_axes(target))
    order = np.abs(directions).argmax(axis=0)
    if len({*order.tolist()}) < 3:
        return AxisMoves((0, 1, 2), (False, False, False))
    flipped = directions[order, range(3)] < 0
    return AxisMoves(tuple(order.tolist()), tuple(flipped.tolist()))


def orient(volume: Volume, codes: str) -> Volume:
    """Turn a volume to the orientation ``codes``, as "LPI"; values are moved, never changed.

    `orient` with the source's own codes turns it back.
    """
    return _moved(volume, axis_moves(volume.affine, codes))


def turned_like(volume: Volume, grid: Geometry) -> Volume:
    """Turn a volume to the axes of another grid; as it is where they agree."""
    moves = moves_between(volume.geometry, grid)
    return volume if moves.is_none else _moved(volume, moves)


def turned(source: Geometry, moves: AxisMoves) -> Geometry:
    """The grid of an array after moves: every voxel stays where it is in the patient."""
    columns = array_affine(source.affine)
    depth, height, width = (source.shape[axis] for axis in moves.order)
    oriented = columns[:, [*moves.order, 3]]
    for axis, (size, flip) in enumerate(zip((depth, height, width), moves.flipped, strict=True)):
        if flip:
            oriented[:3, 3] += oriented[:3, axis] * (size - 1)
            oriented[:3, axis] *= -1
    return Geometry((depth, height, width), array_affine(oriented))


def array_affine(affine: np.ndarray) -> np.ndarray:
    """Swap between (x, y, z) and (z, y, x) columns."""
    return affine[:, [2, 1, 0, 3]]


def _unit_axes(grid: Geometry) -> np.ndarray:
    axes = array_affine(grid.affine)[:3, :3]
    return axes / np.linalg.norm(axes, axis=0)


def _moved(volume: Volume, moves: AxisMoves) -> Volume:
    array = np.ascontiguousarray(moves.apply(volume.array))
    return Volume(array, turned(volume.geometry, moves).affine)
