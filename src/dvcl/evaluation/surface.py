"""Distances between the surfaces of two label maps, and the scores read off them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

Spacing = tuple[float, float, float]

# On a regular grid many distances equal a round tolerance exactly; round-off must not decide them.
ROUNDING_MM = 1e-6


@dataclass(frozen=True)
class SurfaceDistances:
    """How far the surfaces of one class lie apart.

    A surface is made of the voxels of the class that have a neighbour across a face that is not,
    or lie at the border of the volume; distances are those between voxel centres.

    Attributes:
        to_prediction: (R,) mm, from every surface voxel of the reference to the nearest of the
            prediction; infinite where the prediction has none.
        to_reference: (P,) mm, the other way round.
    """

    to_prediction: np.ndarray
    to_reference: np.ndarray

    @property
    def hd95(self) -> float:
        """95 % Hausdorff distance in mm: the larger of the two directions' 95th percentiles.

        As MONAI has it; Huttenlocher et al., TPAMI 1993, https://doi.org/10.1109/34.232073.
        """
        return max(_percentile95(self.to_prediction), _percentile95(self.to_reference))

    @property
    def hd95_pooled(self) -> float:
        """95th percentile in mm of both directions' distances together, as medpy has it."""
        return _percentile95(self._both)

    @property
    def average(self) -> float:
        """Average symmetric surface distance in mm: the mean of both directions' distances.

        Heimann et al., TMI 2009, https://doi.org/10.1109/TMI.2009.2013851.
        """
        return float(self._both.mean()) if self._both.size else np.nan

    def within(self, tolerance_mm: float) -> float:
        """Normalised surface Dice, 0..1: the share of both surfaces within the tolerance.

        Nikolov et al., JMIR 2021, https://doi.org/10.2196/26151; surface voxels are counted, as in
        MONAI, not weighted by area.
        """
        within = self._both <= tolerance_mm + ROUNDING_MM
        return float(within.mean()) if within.size else np.nan

    @property
    def _both(self) -> np.ndarray:
        return np.concatenate([self.to_prediction, self.to_reference])


def surface_distances(
    reference: np.ndarray, prediction: np.ndarray, classes: int, spacing_mm: Spacing
) -> Iterator[SurfaceDistances]:
    """Measure every class but the background, 0.

    One pass over each volume finds the surfaces of all classes. Voxels on both surfaces of a class
    have the distance 0; only the others are looked up, in a k-d tree.

    Args:
        reference: Class indices (D, H, W).
        prediction: Class indices (D, H, W).
        classes: K.
        spacing_mm: Of the voxels, along (z, y, x).

    Yields:
        Class 1 to K - 1 in turn.
    """
    sides = (_surfaces(volume, classes) for volume in (reference, prediction))
    for expected, found in zip(*sides, strict=True):
        yield SurfaceDistances(
            *(
                _distances(start, end, reference.shape, spacing_mm)
                for start, end in ((expected, found), (found, expected))
            )
        )


def _surfaces(classes_map: np.ndarray, classes: int) -> list[np.ndarray]:
    """Places of the surface voxels of class 1 to K - 1: ascending indices into the flat volume."""
    places = [np.empty(0, np.int64)]
    names = [np.empty(0, classes_map.dtype)]
    for depth in range(len(classes_map)):
        middle = classes_map[depth]
        if not middle.any():
            continue
        surface = np.ones(middle.shape, dtype=bool)
        if 0 < depth < len(classes_map) - 1:
            surface[:] = (classes_map[depth - 1] != middle) | (classes_map[depth + 1] != middle)
            _mark_edges_within(surface, middle)
        surface &= middle > 0
        found = np.flatnonzero(surface)
        places.append(found + depth * middle.size)
        names.append(middle.ravel()[found])
    place, name = np.concatenate(places), np.concatenate(names)
    order = name.argsort(kind="stable")
    ends = np.bincount(name, minlength=classes).cumsum()
    return np.split(place[order], ends[:-1])[1:]


def _mark_edges_within(surface: np.ndarray, plane: np.ndarray) -> None:
    """Mark the voxels of a slice that have another class beside them, and its border."""
    down, across = plane[1:] != plane[:-1], plane[:, 1:] != plane[:, :-1]
    surface[1:] |= down
    surface[:-1] |= down
    surface[:, 1:] |= across
    surface[:, :-1] |= across
    surface[[0, -1]] = True
    surface[:, [0, -1]] = True


def _distances(
    start: np.ndarray, end: np.ndarray, shape: tuple[int, ...], spacing_mm: Spacing
) -> np.ndarray:
    """From each of the places ``start`` to the nearest of ``end``, in mm."""
    from scipy.spatial import cKDTree

    if not end.size:
        return np.full(len(start), np.inf)
    distances = np.zeros(len(start))
    apart = ~np.isin(start, end, assume_unique=True)
    if apart.any():
        # For points on a grid large leaves and no balancing are fastest.
        tree = cKDTree(
            _points(end, shape, spacing_mm), 24, compact_nodes=False, balanced_tree=False
        )
        distances[apart], _ = tree.query(_points(start[apart], shape, spacing_mm))
    return distances


def _points(places: np.ndarray, shape: tuple[int, ...], spacing_mm: Spacing) -> np.ndarray:
    return np.stack(np.unravel_index(places, shape), axis=1) * np.array(spacing_mm)


def _percentile95(distances: np.ndarray) -> float:
    if not distances.size:
        return np.nan
    return float(np.percentile(distances, 95)) if np.isfinite(distances).all() else np.inf
