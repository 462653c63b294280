"""What a mask's record says of each organ beyond its shape: how sure, and within which limits."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict

import numpy as np

from dvcl.inference.seen import Organs
from dvcl.inference.uncertainty import Sure
from dvcl.studies.calibration import Calibration, read_calibration
from dvcl.studies.members import Members
from dvcl.volume import Volume


def usable_calibration(
    members: Members, clean: Sequence[str], tell: Callable[[str], None]
) -> Calibration | None:
    """What is known of these runs' errors; tells where it is of something else.

    Args:
        members: That predict.
        clean: Organs of which the largest part is kept.
        tell: Called with a line.

    Raises:
        InputError: When the file is damaged.
    """
    calibration, problem = read_calibration(members, clean)
    if problem:
        tell(problem)
    return calibration


def organ_doubts(
    organs: Organs,
    sure: Sure,
    own: Sequence[Volume],
    members: Members,
    calibration: Calibration | None,
) -> dict[str, dict[str, float]]:
    """Numbers by organ: `Sureness`, and the limits that a calibration gives.

    Args:
        organs: That the mask shows.
        sure: How sure the networks are of them.
        own: Label maps of the runs, where the calibration is of a cross-validation.
        members: That have predicted.
        calibration: Of them, where there is one.
    """
    doubts = {}
    for index, name in enumerate(members.first.labels.organs, start=1):
        if name not in organs:
            continue
        doubts[name] = asdict(sure[name]) if name in sure else {}
        if calibration:
            volumes = {"": organs[name].volume_ml}
            if calibration.is_cross:
                volumes = _volumes(own, members, index)
            doubts[name] |= calibration.limits(name, volumes, sure.get(name))
    return doubts


def _volumes(own: Sequence[Volume], members: Members, index: int) -> dict[str, float]:
    """In ml of one organ by each run, by the hash of its weights."""
    value, voxel_ml = members.first.labels.values[index], math.prod(own[0].spacing_mm) / 1000
    return {
        weights: int(np.count_nonzero(mask.array == value)) * voxel_ml
        for weights, mask in zip(members.weights, own, strict=True)
    }
