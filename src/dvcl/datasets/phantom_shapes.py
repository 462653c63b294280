"""Solids that the phantom's organs are made of, each evaluated only near itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.spatial.transform import Rotation

# (3, N) float32: x to the patient's right, y to the front, z up, in mm. As in RAS+ world space.
Points = np.ndarray


class Shape(Protocol):
    """A solid with a depth: 0 in its middle, 1 on its surface, above 1 outside."""

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest corner of a box that holds the solid, each (3,), in mm."""

    def depth(self, points: Points) -> np.ndarray:
        """(3, N) points -> (N,) depths."""


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid, perhaps with one flat face.

    Attributes:
        centre: In mm.
        axes: Half axes in mm.
        turn: Rotation vector, radians.
        cut: A point and a normal: what lies beyond that plane is cut off.
    """

    centre: Sequence[float] | np.ndarray
    axes: Sequence[float] | np.ndarray
    turn: Sequence[float] | np.ndarray = (0.0, 0.0, 0.0)
    cut: tuple[Sequence[float] | np.ndarray, Sequence[float] | np.ndarray] | None = None

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """As `Shape.bounds`."""
        reach = np.linalg.norm(Rotation.from_rotvec(self.turn).as_matrix() * self.axes, axis=1)
        return self.centre - reach, self.centre + reach

    def depth(self, points: Points) -> np.ndarray:
        """As `Shape.depth`."""
        upright = Rotation.from_rotvec(self.turn).as_matrix().T / np.reshape(self.axes, (3, 1))
        depth = np.linalg.norm(upright @ (points - np.reshape(self.centre, (3, 1))), axis=0)
        if self.cut is None:
            return depth
        point, normal = self.cut
        beyond = np.asarray(normal) @ (points - np.reshape(point, (3, 1)))
        return np.maximum(depth, 1 + beyond / (np.linalg.norm(normal) * np.min(self.axes)))


@dataclass(frozen=True)
class Tube:
    """A tube of changing radius along a polyline, with round ends.

    Attributes:
        path: Points in mm, at least two.
        radii: In mm, one per point.
    """

    path: Sequence[Sequence[float] | np.ndarray] | np.ndarray
    radii: Sequence[float] | np.ndarray

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """As `Shape.bounds`."""
        path, radii = np.array(self.path), np.reshape(self.radii, (-1, 1))
        return (path - radii).min(0), (path + radii).max(0)

    def depth(self, points: Points) -> np.ndarray:
        """As `Shape.depth`."""
        nearest = np.full(points.shape[1], np.inf)
        for index in range(len(self.path) - 1):
            start = np.asarray(self.path[index], dtype=np.float64)
            step = self.path[index + 1] - start
            offset = points - start[:, None]
            along = (step @ offset / (step @ step)).clip(0, 1)
            radius = self.radii[index] + along * (self.radii[index + 1] - self.radii[index])
            distance = np.linalg.norm(offset - step[:, None] * along, axis=0)
            np.minimum(nearest, distance / radius, out=nearest)
        return nearest


@dataclass(frozen=True)
class Waves:
    """A smooth random field of standard deviation 0.7 about 0, the sum of some plane waves.

    Attributes:
        vectors: (n, 3) in radians per mm.
        phases: (n,)
    """

    vectors: np.ndarray
    phases: np.ndarray

    @classmethod
    def draw(cls, random: np.random.Generator, length_mm: float, count: int = 4) -> Waves:
        """Waves of about ``length_mm`` in every direction."""
        directions = random.normal(size=(count, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        numbers = 2 * np.pi / (length_mm * random.uniform(0.7, 1.4, (count, 1)))
        return cls((directions * numbers).astype(np.float32), random.uniform(0, 2 * np.pi, count))

    def at(self, points: Points) -> np.ndarray:
        """(3, N) points -> (N,) values."""
        total = np.zeros(points.shape[1], dtype=np.float32)
        for vector, phase in zip(self.vectors, self.phases.astype(np.float32), strict=True):
            total += np.sin(vector @ points + phase)
        return total / np.float32(np.sqrt(len(self.phases)))


def near(points: Points, shape: Shape, margin_mm: float = 0.0) -> np.ndarray:
    """Indices of the points in the box around ``shape``; everything else is surely outside."""
    low, high = shape.bounds()
    found = np.flatnonzero((points[2] > low[2] - margin_mm) & (points[2] < high[2] + margin_mm))
    for axis in (0, 1):
        place = points[axis, found]
        found = found[(place > low[axis] - margin_mm) & (place < high[axis] + margin_mm)]
    return found


def paint(values: np.ndarray, points: Points, shape: Shape, value: float) -> None:
    """Set ``values`` (N,) inside ``shape``."""
    candidates = near(points, shape)
    values[candidates[shape.depth(points[:, candidates]) < 1]] = value
