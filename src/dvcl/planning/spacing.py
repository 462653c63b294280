"""How fine the prepared voxels are: as a patch with enough around it and the organs need."""

from __future__ import annotations

import math

from dvcl.planning.case_facts import Lengths
from dvcl.planning.choice import Choice, by
from dvcl.planning.effort import Effort
from dvcl.planning.fingerprint import Fingerprint

# What a patch should show. The paper's patches (64 x 128 x 128 voxels of 2.5 x 1.25 x 1.25 mm) and
# those of the recipe small-ct, which learned far better than smaller ones, are both 160 mm wide.
CONTEXT_MM = 160.0

# Across the thinnest organ, else it is lost between voxels. With two, the spinal cord was found.
VOXELS_ACROSS = 2

# Resampling for less than a fifth only blurs: the scans' own spacing is kept.
WORTH_RESAMPLING = 1.2

STEP_MM = 0.05  # a spacing that is easy to read


def choose_spacing(fingerprint: Fingerprint, effort: Effort) -> Choice:
    """Voxels as large as a patch of ``effort`` needs to show 160 mm, within two limits.

    No axis gets finer than the scans are, and the thinnest organ keeps two voxels across. Axes on
    which the scans are coarser leave their voxels of the patch to the others.
    """
    own = fingerprint.spacing_mm
    wanted = context_spacing_mm(fingerprint, effort.voxels)
    organ, across = fingerprint.thinnest
    finest_needed = across / VOXELS_ACROSS
    is_held_back = wanted > finest_needed
    target = min(wanted, finest_needed)
    spacing = tuple(mm if target < WORTH_RESAMPLING * mm else _readable(target) for mm in own)
    is_kept = spacing == own
    if is_kept and max(own) > finest_needed:
        reason = f"The scans' own, coarse as they are for {organ}, the thinnest organ."
    elif is_held_back:
        reason = f"{VOXELS_ACROSS} voxels across {organ}, the thinnest organ ({across:.1f} mm)."
    elif is_kept:
        reason = "The scans' own: coarser voxels would show no more, and blur."
    else:
        reason = f"A patch then shows {CONTEXT_MM:.0f} mm of the body, or all of it."
    return Choice(
        tuple(round(mm, 3) for mm in spacing),
        f"{reason} The scans have {by(own)} mm ({_of_what(fingerprint)}), and bodies of "
        f"{by(fingerprint.body_mm)} mm, of which a patch of {effort.voxels} voxels would show "
        f"enough at {wanted:.2g} mm. {organ} is {across:.1f} mm across"
        f"{_in_voxels(across, spacing)}",
    )


def context_mm(fingerprint: Fingerprint) -> Lengths:
    """What a patch should show along (z, y, x): 160 mm, or the whole body if it is less."""
    depth, height, width = (min(CONTEXT_MM, mm) for mm in fingerprint.body_mm)
    return depth, height, width


def context_spacing_mm(fingerprint: Fingerprint, voxels: int) -> float:
    """Spacing at which a patch of so many voxels shows the context.

    Axes whose own spacing is coarser have fewer voxels; the rest is shared by the other axes.
    """
    context = context_mm(fingerprint)
    free, left = [0, 1, 2], float(voxels)
    while True:
        target = (math.prod(context[axis] for axis in free) / left) ** (1 / len(free))
        coarse = [axis for axis in free if fingerprint.spacing_mm[axis] > target]
        if not coarse or len(coarse) == len(free):
            return target
        for axis in coarse:
            free.remove(axis)
            left /= max(1.0, context[axis] / fingerprint.spacing_mm[axis])


def _of_what(fingerprint: Fingerprint) -> str:
    cases = f"median of {len(fingerprint.cases)}"
    return f"{cases}, thin slices" if fingerprint.is_anisotropic else cases


def _in_voxels(across: float, spacing: tuple[float, ...]) -> str:
    count = across / max(spacing)
    if count < 1:
        return f": {count:.1f} voxels along the coarsest axis, so it may be missed."
    return f": {count:.1f} voxels along the coarsest axis."


def _readable(mm: float) -> float:
    return max(STEP_MM, math.floor(mm / STEP_MM + 1e-6) * STEP_MM)
