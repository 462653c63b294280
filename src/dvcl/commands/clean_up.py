"""Of which organs `dvcl predict` keeps the largest part alone, and what that removes, in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from dvcl.datasets.dataset import LabelTable
from dvcl.errors import InputError
from dvcl.inference.largest import keep_largest
from dvcl.inference.seen import Organs, Seen, look_at_organs
from dvcl.studies.run import Run
from dvcl.volume import Volume


def to_clean(
    run: Run, seen: Seen, asked: Sequence[str] | None, tell: Callable[[str], None]
) -> tuple[str, ...]:
    """The organs to clean up, in class order; tells which, and why.

    Args:
        run: That predicts.
        seen: By the run.
        asked: Organs; None for those that are in one part in every label map of the training.
        tell: Called with a line, but where none are asked for.

    Raises:
        InputError: When an organ is none of the run's.
    """
    if asked is not None:
        if unknown := [name for name in asked if name not in run.labels.organs]:
            raise InputError(
                f"--keep-largest {', '.join(unknown)}: not among the organs of {run.folder}; "
                f"{', '.join(run.labels.organs)} were expected."
            )
        chosen = tuple(name for name in run.labels.organs if name in asked)
        if chosen:
            tell(f"Keeping the largest part of: {', '.join(chosen)}.")
        return chosen
    if seen.one_part is None:
        tell(
            f"{run.folder}: has no record of which organs were in one part in training, so all "
            "parts are kept. --keep-largest ORGAN chooses organs to clean up."
        )
    elif seen.one_part:
        tell(
            f"Keeping the largest part of: {', '.join(seen.one_part)}; in one part in every "
            "training label map. --no-keep-largest keeps all."
        )
    return seen.one_part or ()


def cleaned(
    result: Volume, mask: Path, chosen: Sequence[str], labels: LabelTable
) -> tuple[Volume, Organs, dict[str, float]]:
    """A label map without what is not kept.

    Args:
        result: Label integers.
        mask: Named in errors.
        chosen: The organs to clean up.
        labels: The meaning of the integers.

    Returns:
        The label map; its organs, of which ``scattered`` is as it was before; and how many ml of
        each are gone, where some are.
    """
    classes = labels.encode(result.array, mask)
    organs = look_at_organs(classes, result.geometry, labels)
    removed = keep_largest(classes, chosen, labels)
    if not removed:
        return result, organs, {}
    result = replace(result, array=labels.decode(classes))
    kept = look_at_organs(classes, result.geometry, labels)
    organs = {name: replace(kept[name], scattered=organs[name].scattered) for name in organs}
    voxel_ml = math.prod(result.spacing_mm) / 1000
    return result, organs, {name: count * voxel_ml for name, count in removed.items()}


def removed_in_words(name: str, removed_ml: Mapping[str, float]) -> str:
    """What has been removed from a mask."""
    listed = ", ".join(f"{organ} {volume:.3g} ml" for organ, volume in removed_ml.items())
    return f"{name}: removed outside the largest part: {listed}."
