"""What tells a scan from another, whatever its file is called: exact voxels, and a coarse look."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from nibabel.orientations import apply_orientation, io_orientation
from scipy import ndimage

from dvcl.volume import Volume

CELLS = 24  # along each axis of the coarse look
BOX_CELLS = 64  # along each axis while the body is looked for
SMOOTHED_CELLS = 1.0  # standard deviation, for the same
SAMPLED = 96  # so many voxels of an axis, or up to twice as many, are enough for the above
RANGE_PERCENTILES = (1.0, 99.0)
BODY_LEVEL = 0.1  # of that range; what is brighter is body
BODY_SHARE = 0.1  # of the fullest plane's body: a plane with less is outside (table, noise)
DARK_LEVEL = 0.15  # of that range; darker cells are air with its noise, and count as equal
ROUND_OFF = 1e-5  # of float32 means over equal voxels
LEVELS = 4095  # intensities closer than the range divided by this count as equal


@dataclass(frozen=True)
class ScanFingerprint:
    """One scan's identity.

    Attributes:
        voxels_sha256: Of the values turned to RAS: the same in every orientation and dtype.
        coarse: uint8 (24, 24, 24) ranks of mean intensities in the body's box, turned to RAS.
            Ranks do not change with the unit or a gentle window, the box not with air around.
            None for cases prepared by a version that did not take it.
    """

    voxels_sha256: str
    coarse: np.ndarray | None

    def to_json(self) -> dict[str, str]:
        """Plain values."""
        if self.coarse is None:
            return {"voxels_sha256": self.voxels_sha256}
        packed = base64.b64encode(zlib.compress(self.coarse.tobytes())).decode()
        return {"voxels_sha256": self.voxels_sha256, "coarse_look": packed}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ScanFingerprint:
        """Inverse of `to_json`; other keys are left aside."""
        if "coarse_look" not in value:
            return cls(value["voxels_sha256"], None)
        packed = base64.b64decode(value["coarse_look"])
        try:
            unpacked = zlib.decompressobj().decompress(packed, CELLS**3 + 1)
        except zlib.error as error:
            raise ValueError(f"coarse_look: {error}") from error
        cells = np.frombuffer(unpacked, np.uint8)
        return cls(value["voxels_sha256"], cells.reshape(CELLS, CELLS, CELLS))


def fingerprint_scan(volume: Volume) -> ScanFingerprint:
    """Take both fingerprints of an image with finite voxels, of any real dtype."""
    return ScanFingerprint(voxels_sha256(volume), coarse_look(volume))


def voxels_sha256(volume: Volume) -> str:
    """Hash the voxel values turned to RAS: the same scan in another orientation has the same."""
    canonical = _canonical(volume)
    digest = hashlib.sha256(str(canonical.shape).encode())
    for part in canonical:
        # Adding zero turns -0.0, which some exporters write, into 0.0.
        digest.update(np.add(part, 0.0, dtype=np.float32, order="C").data)
    return digest.hexdigest()


def coarse_look(volume: Volume) -> np.ndarray:
    """Rank the mean intensities of 24 x 24 x 24 cells of the body's box: uint8, turned to RAS."""
    array = _canonical(volume)
    # A part of the voxels is enough for means, and keeps the memory small beside the volume.
    steps = (max(1, size // SAMPLED) for size in array.shape)
    sample = np.array(array[tuple(slice(None, None, step) for step in steps)], dtype=np.float32)
    coarse = cell_means(sample, (BOX_CELLS,) * 3)
    # The noise of a coarse scan must not count as body, nor as the darkest intensity.
    smooth = _along_axes(coarse, *[_smoothing_matrix()] * 3)
    low, high = (float(value) for value in np.percentile(smooth, RANGE_PERCENTILES))
    if not high - low > ROUND_OFF * max(abs(low), abs(high)):
        return np.zeros((CELLS,) * 3, dtype=np.uint8)
    box = _body_box(smooth > low + BODY_LEVEL * (high - low))
    cells = cell_means(coarse[box], (CELLS,) * 3)
    bright = np.clip((cells - low) / (high - low), DARK_LEVEL, None)
    return _ranks(np.rint(bright * LEVELS))


def cell_means(array: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Divide each axis into equal cells and take the mean of each: float32 of ``shape``."""
    depth, height, width = map(area_matrix, array.shape, shape)
    return _along_axes(array, depth, height, width)


def _along_axes(
    array: np.ndarray, depth: np.ndarray, height: np.ndarray, width: np.ndarray
) -> np.ndarray:
    """Multiply each axis of (D, H, W) by a matrix of its own; no axis is moved, nothing copied."""
    result: np.ndarray = height @ np.tensordot(depth, array, 1) @ width.T
    return result


@cache
def _smoothing_matrix() -> np.ndarray:
    """A Gaussian filter of a line as a matrix: products take a fifth of the filter's time."""
    line = np.eye(BOX_CELLS, dtype=np.float32)
    matrix: np.ndarray = ndimage.gaussian_filter1d(line, SMOOTHED_CELLS, axis=0, mode="nearest")
    return matrix


def area_matrix(size: int, cells: int, start: float = 0.0, stop: float = 1.0) -> np.ndarray:
    """Build the means of a line over equal cells between two shares of its length.

    Returns:
        (cells, size) float32; rows sum to 1, voxels cut by an edge count in part.
    """
    edges = np.linspace(start * size, stop * size, cells + 1)
    voxels = np.arange(size)
    overlap = np.minimum(edges[1:, None], voxels + 1) - np.maximum(edges[:-1, None], voxels)
    weights = np.clip(overlap, 0, None)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)


def _canonical(volume: Volume) -> np.ndarray:
    """The voxels as (D, H, W) with x to the right, y to the front, z to the head: a view."""
    return np.asarray(apply_orientation(volume.array.T, io_orientation(volume.affine))).T


def _body_box(mask: np.ndarray) -> tuple[slice, ...]:
    box = []
    for axis in range(3):
        share = mask.mean(axis=tuple(other for other in range(3) if other != axis))
        inside = np.flatnonzero(share > BODY_SHARE * share.max())
        box.append(slice(int(inside[0]), int(inside[-1]) + 1))
    return tuple(box)


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 0 to 255; equal values share their mean rank."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - counts / 2
    return np.rint(ranks[place].reshape(values.shape) / values.size * 255).astype(np.uint8)
