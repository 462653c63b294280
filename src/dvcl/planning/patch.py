"""Patch, depth of the network, and window of the prediction."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dvcl.planning.case_facts import Lengths
from dvcl.planning.choice import Choice, by
from dvcl.planning.effort import Effort
from dvcl.planning.fingerprint import Fingerprint
from dvcl.planning.spacing import context_mm

Size = tuple[int, int, int]

MOST_LEVELS, FEWEST_LEVELS = 5, 2
COARSEST_SIDE = 4  # voxels of a typical patch side that the deepest level still tells apart
MOST_PADDING = 1.5  # voxels of a patch for one of the median scan

# Uniform patches are good enough where one holds half of the scan.
SEES_MOST = 0.5
ORGAN_SHARE = 0.7

# In-plane, of windows in long runs, as in the paper. In short ones windows are the patches: the
# network normalises over what it sees, and larger windows cost points (docs/experiments.md).
LONG_GROWTH = 1.25
FEW_WINDOWS = 2


def voxels_along(extent_mm: Lengths, spacing_mm: Lengths) -> Size:
    """Prepared voxels of something so large."""
    extents = zip(extent_mm, spacing_mm, strict=True)
    depth, height, width = (max(1, round(extent / mm)) for extent, mm in extents)
    return depth, height, width


def choose_patch(
    fingerprint: Fingerprint, spacing_mm: Lengths, effort: Effort
) -> tuple[Choice, Choice]:
    """The patch, and the deepest network of 2 to 5 levels that fits it.

    The patch is no larger than the median body, rounded up to what the network can halve, and has
    at most the voxels of ``effort``; axes lose voxels in turn, so that each shows the same share of
    what it should.
    """
    body = voxels_along(fingerprint.body_mm, spacing_mm)
    context = zip(context_mm(fingerprint), spacing_mm, strict=True)
    useful = [min(n, mm / step) for n, (mm, step) in zip(body, context, strict=True)]
    for levels in range(MOST_LEVELS, FEWEST_LEVELS - 1, -1):
        patch = _fitted(body, useful, 2 ** (levels - 1), effort.voxels)
        if fits(patch, body, levels):
            break
    shown = by(tuple(side * mm for side, mm in zip(patch, spacing_mm, strict=True)))
    reason = (
        f"Shows {shown} mm. Bodies have {by(body)} voxels of this spacing; at most "
        f"{effort.voxels} voxels of them, in multiples of {2 ** (levels - 1)}, which the network "
        "halves."
    )
    return Choice(patch, reason), Choice(
        levels,
        f"The deepest level then tells {by(tuple(side // 2 ** (levels - 1) for side in patch))} "
        "places apart; a further one would leave too few.",
    )


def fits(patch: Size, body: Size, levels: int) -> bool:
    """Whether the deepest level keeps four voxels of a typical side, and thin scans little padding.

    A scan of few slices allows few levels: a deeper network would learn from padding.
    """
    typical = math.prod(patch) ** (1 / 3) / 2 ** (levels - 1)
    padding = math.prod(max(1.0, side / n) for side, n in zip(patch, body, strict=True))
    return round(typical) >= COARSEST_SIDE and padding <= MOST_PADDING


def choose_organ_share(fingerprint: Fingerprint, patch: Size, spacing_mm: Lengths) -> Choice:
    """Whether labelled patches are centred on organs, which uniform ones would miss."""
    body = voxels_along(fingerprint.body_mm, spacing_mm)
    seen = math.prod(min(side, n) / n for side, n in zip(patch, body, strict=True))
    if seen >= SEES_MOST:
        return Choice(0.0, f"A patch shows {seen:.0%} of a body: no organ is missed for long.")
    organs = fingerprint.typical_organs
    least = min(organs, key=lambda name: organs[name].volume_ml)
    return Choice(
        ORGAN_SHARE,
        f"A patch shows {seen:.0%} of a body, and the smallest organ, {least}, has "
        f"{organs[least].volume_ml:.2g} ml: uniform patches would rarely meet it.",
    )


def choose_window(
    fingerprint: Fingerprint, patch: Size, levels: int, spacing_mm: Lengths, is_short: bool
) -> tuple[Choice, Choice]:
    """Size and stride of the sliding window."""
    scan, multiple = voxels_along(fingerprint.field_mm, spacing_mm), 2 ** (levels - 1)
    depth, height, width = patch
    tall, wide = (
        max(side, min(_up(n, multiple), _down(LONG_GROWTH * side, multiple)))
        for side, n in zip((height, width), scan[1:], strict=True)
    )
    size = patch if is_short else (depth, tall, wide)
    count = math.prod(max(1, n / side) for n, side in zip(scan, size, strict=True))
    is_few = count <= FEW_WINDOWS or not is_short
    stride = tuple(side // 2 if is_few else 5 * side // 8 for side in size)
    overlap = "half" if is_few else "three eighths"
    why = "few windows hold a scan" if count <= FEW_WINDOWS else "a GPU has the time"
    return (
        Choice(
            size,
            "The patch, larger in-plane where the scans are, as in the paper: fewer borders."
            if size != patch
            else "The patch: the network normalises over what it sees.",
        ),
        Choice(
            stride,
            f"Windows overlap by {overlap}, "
            + (f"since {why}." if is_few else "in half the time of a half."),
        ),
    )


def _fitted(scan: Size, useful: Sequence[float], multiple: int, voxels: int) -> Size:
    sides = [max(2 * multiple, _up(n, multiple)) for n in scan]
    while math.prod(sides) > voxels:
        shares = [
            side / seen if side > 2 * multiple else 0.0
            for side, seen in zip(sides, useful, strict=True)
        ]
        if not any(shares):
            break
        sides[shares.index(max(shares))] -= multiple
    depth, height, width = sides
    return depth, height, width


def _up(length: float, multiple: int) -> int:
    return math.ceil(length / multiple - 1e-9) * multiple


def _down(length: float, multiple: int) -> int:
    return int(length / multiple + 1e-9) * multiple
