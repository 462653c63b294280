"""All organs of a label map in space, seen from the front, shaded (DVCL, Figs. 5 to 7, row d).

Rays are cast through the smoothed organs; nothing but NumPy and SciPy draws, so that the same
labels give the same pixels on every machine, with a screen or without.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import to_rgb
from scipy import ndimage

from dvcl.datasets.organs import organ_colour

# The eye stands in front of the patient, a little to the right and above.
TURN_DEG, TILT_DEG = 20.0, 12.0

# Organs are smoothed on cells of so many pixels: what is smaller would not be seen.
CELL_PIXELS = 4
SMOOTHING = 0.9  # of a voxel's edge: steps of the voxels vanish, organs keep their shape

# (depth, down, right): from above, from the left of the picture, from the eye.
LIGHT = np.array([-0.72, -0.55, -0.42])
AMBIENT, DIFFUSE, GLOSS, SHININESS = 0.40, 0.62, 0.16, 24
# What lies deeper is paler, and darker right behind an edge (Luft et al., SIGGRAPH 2006).
FADE, SHADOW, SHADOW_MM, SHADOW_PIXELS = 0.35, 0.45, 25.0, 9.0


@dataclass(frozen=True)
class Camera:
    """Parallel rays through a box; views from one camera can be held side by side.

    Attributes:
        rotation: (3, 3), rows are the directions (depth, down, right) in (z, y, x) mm.
        start_mm: Least (depth, down, right) of the box.
        size_mm: Of the box.
        pixel_mm: Edge of a pixel.
    """

    rotation: np.ndarray
    start_mm: np.ndarray
    size_mm: np.ndarray
    pixel_mm: float

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels (down, right)."""
        _, down, right = np.ceil(self.size_mm / self.pixel_mm).astype(int).tolist()
        return down, right


def camera_for(organs: np.ndarray, spacing_mm: Sequence[float], pixels: int = 420) -> Camera:
    """The camera whose picture a mask fills.

    Args:
        organs: Boolean (D, H, W) in display orientation; one without a voxel counts as full.
        spacing_mm: (z, y, x).
        pixels: Along the longer edge of the picture.
    """
    turn, tilt = np.deg2rad((TURN_DEG, TILT_DEG))
    about_z = np.array([[0, np.cos(turn), np.sin(turn)], [1, 0, 0],
                        [0, -np.sin(turn), np.cos(turn)]])  # fmt: skip
    about_x = np.array([[np.cos(tilt), np.sin(tilt), 0], [-np.sin(tilt), np.cos(tilt), 0],
                        [0, 0, 1]])  # fmt: skip
    rotation = about_x @ about_z
    organs = organs if organs.any() else np.ones_like(organs)
    seen = np.argwhere(organs) * np.asarray(spacing_mm) @ rotation.T
    margin = 1.5 * max(spacing_mm)
    start, stop = seen.min(axis=0) - margin, seen.max(axis=0) + margin
    return Camera(rotation, start, stop - start, float((stop - start)[1:].max() / pixels))


def surface_view(classes: np.ndarray, spacing_mm: Sequence[float], camera: Camera) -> np.ndarray:
    """Draw the organs in their colours on white.

    Args:
        classes: (D, H, W) class indices in display orientation.
        spacing_mm: (z, y, x).
        camera: Of this label map, or of several.

    Returns:
        float32 (down, right, 3) in [0, 1].
    """
    depth = np.full(camera.shape, np.inf, np.float32)
    normals = np.zeros((*camera.shape, 3), np.float32)
    colours = np.ones((*camera.shape, 3), np.float32)
    for index in np.unique(classes[classes > 0]).tolist():
        part, near, normal = _first_hit(classes == index, spacing_mm, camera)
        nearer = near < depth[part]
        depth[part][nearer] = near[nearer]
        normals[part][nearer] = normal[nearer]
        colours[part][nearer] = to_rgb(organ_colour(index))
    return _shaded(colours, normals, depth, camera)


def _first_hit(
    organ: np.ndarray, spacing_mm: Sequence[float], camera: Camera
) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray]:
    """Where rays meet an organ: part of the picture, depth in mm (else inf), normals."""
    inside, corner = _inside_mm(organ, spacing_mm, camera)
    rows, columns = camera.shape
    top, left = corner[1:]
    # A frame of cells may reach over the picture's edge.
    inside = inside[:, max(0, -top) : rows - top, max(0, -left) : columns - left]
    top, left = max(0, top), max(0, left)
    part = (slice(top, top + inside.shape[1]), slice(left, left + inside.shape[2]))
    hit = (inside > 0).any(axis=0)
    row, column = np.nonzero(hit)
    first = np.maximum((inside > 0).argmax(axis=0)[hit], 1)
    after, before = inside[first, row, column], inside[first - 1, row, column]
    cell = CELL_PIXELS * camera.pixel_mm
    depth = np.full(hit.shape, np.inf, np.float32)
    place = corner[0] + first + 0.5 - after / np.maximum(after - before, 1e-6)
    depth[hit] = camera.start_mm[0] + cell * place
    normals = np.zeros((*hit.shape, 3), np.float32)
    normals[hit] = np.stack(list(_slopes(inside, first, row, column)), axis=-1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True) + 1e-6
    return part, depth, normals


def _inside_mm(
    organ: np.ndarray, spacing_mm: Sequence[float], camera: Camera
) -> tuple[np.ndarray, list[int]]:
    """How far inside the smoothed organ, in mm, cells in depth and pixels across; its corner."""
    spacing, cell = np.asarray(spacing_mm), CELL_PIXELS * camera.pixel_mm
    (box,) = ndimage.find_objects(organ.astype(np.uint8))
    start = np.array([part.start for part in box]) - 2
    mask = np.pad(organ[box], 2)
    distance = ndimage.distance_transform_edt(mask, spacing)
    distance -= ndimage.distance_transform_edt(~mask, spacing)
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(mask.shape) - 1) + start
    seen = (corners * spacing) @ camera.rotation.T - camera.start_mm
    low = np.floor(seen.min(axis=0) / cell).astype(int)
    high = np.ceil(seen.max(axis=0) / cell).astype(int) + 1
    to_voxels = camera.rotation.T / spacing[:, None]
    field = ndimage.affine_transform(
        distance.astype(np.float32), to_voxels * cell,
        to_voxels @ (camera.start_mm + cell * (low + 0.5)) - start,
        tuple((high - low).tolist()), order=1, mode="nearest",
    )  # fmt: skip
    field = ndimage.gaussian_filter(field, SMOOTHING * np.cbrt(spacing.prod()) / cell)
    # Smoothing would make thin organs vanish: the surface is where they keep their volume.
    count = max(1, min(field.size, round(mask.sum() * spacing.prod() / cell**3)))
    field -= np.partition(field, field.size - count, axis=None)[field.size - count]
    down, right = (_to_pixels(cells) for cells in field.shape[1:])
    return down @ field @ right.T, [low[0], CELL_PIXELS * low[1], CELL_PIXELS * low[2]]


def _to_pixels(cells: int) -> np.ndarray:
    """(pixels, cells) weights of the cubic spline through the cells of a line."""
    identity = np.eye(cells, dtype=np.float32)
    return ndimage.zoom(identity, (CELL_PIXELS, 1), order=3, grid_mode=True, mode="nearest")


def _slopes(
    field: np.ndarray, depth: np.ndarray, row: np.ndarray, column: np.ndarray
) -> Iterator[np.ndarray]:
    """Outward slope along each axis, over two cells."""
    places = (depth, row, column)
    for axis, step in enumerate((1, CELL_PIXELS, CELL_PIXELS)):
        back, forth = list(places), list(places)
        back[axis] = np.maximum(places[axis] - step, 0)
        forth[axis] = np.minimum(places[axis] + step, field.shape[axis] - 1)
        yield field[tuple(back)] - field[tuple(forth)]


def _shaded(
    colours: np.ndarray, normals: np.ndarray, depth: np.ndarray, camera: Camera
) -> np.ndarray:
    hit = np.isfinite(depth)
    light = LIGHT / np.linalg.norm(LIGHT)
    half = light - np.eye(3)[0]  # between the lamp and the eye
    facing = np.clip(normals @ light, 0, None)
    gloss = np.clip(normals @ (half / np.linalg.norm(half)), 0, None) ** SHININESS
    away = np.where(hit, (depth - camera.start_mm[0]) / camera.size_mm[0], 1)
    beyond = np.where(hit, depth, depth[hit].max(initial=0))
    sunk = (beyond - ndimage.gaussian_filter(beyond, SHADOW_PIXELS)) / SHADOW_MM
    bright = (AMBIENT + DIFFUSE * facing) * (1 - SHADOW * np.clip(sunk, 0, 1))
    lit = colours * bright[..., None] + GLOSS * gloss[..., None]
    lit += FADE * away[..., None] * (1 - lit)
    return np.where(hit[..., None], np.clip(lit, 0, 1), 1).astype(np.float32)
