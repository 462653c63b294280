"""The phantom's scanner: how a patient lies in it, its table, its blur and its noise."""

from __future__ import annotations

import numpy as np
from nibabel.affines import from_matvec
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, ornt_transform
from scipy import ndimage
from scipy.spatial.transform import Rotation

from dvcl.datasets.phantom_shapes import Points
from dvcl.volume import Geometry

EXTENT_MM = (310.0, 375.0, 390.0)  # field of view (z, y, x)
ORIENTATIONS = ("RAS", "LAS", "LPS", "RPI", "LPI", "PLI")
LARGEST_TILT = 5.0  # degrees, about each axis

PAD_HU, PAD_MM = -150, 10  # the pad on the table
LOWEST_HU, HIGHEST_HU = -1024, 3071  # 12 bits
WEAK_NOISE_BELOW_HU = -600


def draw_grid(random: np.random.Generator, spacing_mm: tuple[float, float, float]) -> Geometry:
    """A scan's grid, tilted a little and stored in one of the usual orders of the axes.

    Args:
        random: Gives place, extent, tilt, order of axes, and spacing by up to a tenth.
        spacing_mm: About (z, y, x).
    """
    spacing = np.array(spacing_mm[::-1]) * random.uniform(0.9, 1.1, 3)
    extent = np.array(EXTENT_MM[::-1]) * random.uniform(0.92, 1.06, 3)
    size = np.round(extent / spacing).astype(int).clip(1)
    tilt = Rotation.from_euler("xyz", random.uniform(-LARGEST_TILT, LARGEST_TILT, 3), degrees=True)
    centre = np.array([0, 0, 12]) + random.uniform(-10, 10, 3)
    matrix = tilt.as_matrix() * spacing
    upright = from_matvec(matrix, centre - matrix @ ((size - 1) / 2))
    stored = axcodes2ornt(tuple(random.choice(ORIENTATIONS)))
    turn = ornt_transform(axcodes2ornt(tuple("RAS")), stored)
    width, height, depth = (int(size[turn[:, 0] == axis][0]) for axis in range(3))
    return Geometry((depth, height, width), upright @ inv_ornt_aff(turn, tuple(size)))


def world_points(grid: Geometry) -> Points:
    """World mm of all voxels, (3, D * H * W) float32."""
    z, y, x = (axis.ravel() for axis in np.indices(grid.shape, dtype=np.float32))
    affine = grid.affine.astype(np.float32)
    return affine[:3, :3] @ np.stack([x, y, z]) + affine[:3, 3:]


def paint_table(hu: np.ndarray, world: Points, back_mm: float) -> None:
    """The hollow pad under the patient, level in the scanner; ``back_mm`` is its top's world y."""
    depth = back_mm + 0.0009 * world[0] ** 2 - world[1]
    air = hu == hu.min()
    hu[(depth > 0) & (depth < PAD_MM) & air] = PAD_HU


def scan(
    hu: np.ndarray, spacing_mm: tuple[float, float, float], random: np.random.Generator
) -> np.ndarray:
    """What the scanner makes of (D, H, W) HU: blur, and noise with grain. Returns int16.

    The blur holds the scanner's own and the size of the voxel, so that borders show partial
    volume. The noise lacks long waves, as that of filtered back projection does; it is weak at
    high dose, strong at low dose, and falls off in air.
    """
    sharpness_mm = random.uniform(0.8, 1.6)
    voxel = 12**-0.5  # standard deviation of a box of width 1
    blurred = ndimage.gaussian_filter(hu, [np.hypot(sharpness_mm / mm, voxel) for mm in spacing_mm])
    noise = random.standard_normal(hu.shape, dtype=np.float32)
    fine, coarse = ([mm / voxel_mm for voxel_mm in spacing_mm] for mm in (1.6, 4.5))
    grain = ndimage.gaussian_filter(noise, fine) - 0.7 * ndimage.gaussian_filter(noise, coarse)
    grain *= random.uniform(7, 22) / grain.std()
    grain[hu < WEAK_NOISE_BELOW_HU] *= 0.5
    return np.asarray((blurred + grain).round().clip(LOWEST_HU, HIGHEST_HU), dtype=np.int16)
