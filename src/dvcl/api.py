"""What `import dvcl` offers: a trained run that segments volumes in memory, and their scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dvcl.commands.clean_up import cleaned, to_clean
from dvcl.datasets.dataset import LabelTable
from dvcl.datasets.organs import segments_of
from dvcl.errors import InputError
from dvcl.evaluation.cases import TOLERANCE_MM, evaluate_case
from dvcl.inference.doubts import mask_doubts, scan_doubts
from dvcl.inference.ensemble import Ensemble
from dvcl.inference.predict import segment
from dvcl.inference.seen import Seen, look_at_scan
from dvcl.studies.device import usable_device
from dvcl.studies.finding import find_run
from dvcl.studies.members import Members
from dvcl.studies.run import Run
from dvcl.studies.seen import read_seen
from dvcl.volume import Volume, read_label, read_segments, read_volume, write_volume

IN_MEMORY = Path("volume")  # named in messages about an array
LABELS = ("case", "organ")  # of a score: what it is of


@dataclass(frozen=True)
class LabelMap:
    """Organs on the voxels of a scan.

    Attributes:
        array: (D, H, W) integers; 0 is the background.
        affine: (4, 4), voxel index (x, y, z) to world millimetres, RAS+, as NIfTI.
        organs: {integer: name}.
        doubts: What is unlike the scans and label maps of the training, one sentence each.
    """

    array: np.ndarray
    affine: np.ndarray
    organs: Mapping[int, str]
    doubts: tuple[str, ...] = ()

    def mask(self, organ: str) -> np.ndarray:
        """One organ, boolean (D, H, W).

        Raises:
            InputError: When there is none of this name.
        """
        values = [value for value, name in self.organs.items() if name == organ]
        if not values:
            names = ", ".join(self.organs.values())
            raise InputError(f"organ {organ!r} found, one of these expected: {names}.")
        return np.asarray(self.array == values[0])

    def save(self, path: Path | str) -> None:
        """Write NIfTI or seg.nrrd with the organs' names and colours, atomically."""
        segments = segments_of(LabelTable.from_mapping(self.organs))
        write_volume(path, Volume(self.array, self.affine), segments)


@dataclass(frozen=True)
class Model:
    """A trained run, ready to segment.

    Attributes:
        run: Its record: method, recipe, split, labels.
        device: Where it predicts.
    """

    run: Run
    device: torch.device

    @property
    def organs(self) -> dict[int, str]:
        """{integer in the label maps: name}."""
        return _organs(self.run.labels)

    def predict(
        self,
        volume: Path | str | np.ndarray,
        *,
        affine: np.ndarray | None = None,
        spacing_mm: Sequence[float] | None = None,
        keep_largest: Sequence[str] | None = None,
        fast: bool = False,
    ) -> LabelMap:
        """Segment one scan, as `dvcl predict` does, on its own voxels.

        Args:
            volume: A file or a folder of DICOM slices; or an array (D, H, W), HU for a CT.
            affine: Of an array: (4, 4), voxel index (x, y, z) to world millimetres, RAS+.
            spacing_mm: Instead, (z, y, x), of an array whose x grows to the patient's left, y to
                the back and z to the head, as most CT are stored.
            keep_largest: Organs of which only the largest part is kept; None for those that were
                in one part in every label map of the training.
            fast: Little window overlap, air skipped: faster, less exact.

        Raises:
            InputError: When the scan cannot be read or segmented.
        """
        path = Path(volume) if isinstance(volume, Path | str) else IN_MEMORY
        image = _volume(volume, affine, spacing_mm)
        doubts = scan_doubts(path, look_at_scan(path, image, self.run.modality), self._seen)
        window = self.run.recipe.window.fast() if fast else self.run.recipe.window
        result = segment(
            image, self._ensemble, self.run.recipe.preprocessing, window, self.run.labels,
            self.device,
        ).mask  # fmt: skip
        chosen = to_clean(self.run, self._seen, keep_largest, lambda line: None)
        result, organs, _ = cleaned(result, path, chosen, self.run.labels)
        doubts += mask_doubts(path, organs, self._seen)
        told = tuple(f"{doubt.text} {doubt.remedy}".rstrip() for doubt in doubts)
        return LabelMap(result.array, result.affine, self.organs, told)

    @cached_property
    def _ensemble(self) -> Ensemble:
        return Members.of(self.run).ensemble(self.device)

    @cached_property
    def _seen(self) -> Seen:
        return read_seen(self.run)


def load(run: Path | str, device: str = "auto") -> Model:
    """Open a trained run.

    Args:
        run: Its folder; or a study and as much of the run's path as makes it unique.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".

    Raises:
        InputError: When there is no such run or device, or several runs fit.
    """
    return Model(find_run(Path(run)), usable_device(device))


def evaluate(
    prediction: Path | str | np.ndarray | LabelMap,
    reference: Path | str | np.ndarray | LabelMap,
    organs: Mapping[int, str] | None = None,
    *,
    affine: np.ndarray | None = None,
    spacing_mm: Sequence[float] | None = None,
    tolerance_mm: float = TOLERANCE_MM,
) -> dict[str, dict[str, float]]:
    """Score a label map against a reference on the same voxels.

    Args:
        prediction: File, label map, or array (D, H, W) of integers.
        reference: Likewise.
        organs: {integer: name} of both; else what they say themselves, or the reference's integers.
        affine: Of arrays, as for `Model.predict`.
        spacing_mm: Of arrays, likewise.
        tolerance_mm: Of the normalised surface Dice.

    Returns:
        {organ: {"dice": 0..1, "hd95_mm": ..., "nsd": 0..1, "reference_ml": ..., ...}}, the columns
        of cases.csv; NaN where a score is not defined.

    Raises:
        InputError: When grids, names or integers do not fit each other.
    """
    expected, found = (_label_volume(v, affine, spacing_mm) for v in (reference, prediction))
    table = LabelTable.from_mapping(organs or _common_organs(prediction, reference, expected))
    scores = evaluate_case("volume", expected, found, table, tolerance_mm)
    return {
        score.organ: {key: value for key, value in asdict(score).items() if key not in LABELS}
        for score in scores
    }


def _organs(labels: LabelTable) -> dict[int, str]:
    return dict(zip(labels.values[1:], labels.organs, strict=True))


def _volume(
    given: Path | str | np.ndarray, affine: np.ndarray | None, spacing_mm: Sequence[float] | None
) -> Volume:
    if isinstance(given, Path | str):
        if affine is not None or spacing_mm is not None:
            raise InputError(f"{given}: affine and spacing_mm go with an array; files have theirs.")
        return read_volume(given)
    return _placed(np.asarray(given, np.float32), affine, spacing_mm)


def _placed(
    array: np.ndarray, affine: np.ndarray | None, spacing_mm: Sequence[float] | None
) -> Volume:
    """An array at its place in the patient."""
    if array.ndim != 3:
        raise InputError(f"an array of shape {array.shape} found; (D, H, W) was expected.")
    if (affine is None) == (spacing_mm is None):
        raise InputError(
            "an array needs either affine or spacing_mm, which say where its voxels lie."
        )
    if spacing_mm is not None:
        if len(spacing_mm) != 3:
            raise InputError(f"spacing_mm {spacing_mm} found; 3 numbers (z, y, x) were expected.")
        depth, height, width = spacing_mm
        affine = np.diag([-width, -height, depth, 1.0])
    return Volume(np.ascontiguousarray(array), np.asarray(affine, np.float64))


def _label_volume(
    given: Any, affine: np.ndarray | None, spacing_mm: Sequence[float] | None
) -> Volume:
    if isinstance(given, LabelMap):
        return Volume(given.array, given.affine)
    if isinstance(given, Path | str):
        return read_label(given)
    return _placed(np.asarray(given), affine, spacing_mm)


def _common_organs(prediction: Any, reference: Any, shown: Volume) -> Mapping[int, str]:
    """What both sides say, or one of them; where neither does, the reference's integers."""
    sides = [_own_organs(given) for given in (prediction, reference)]
    known = [side for side in sides if side]
    if len(known) == 2 and known[0] != known[1]:
        raise InputError(
            f"the prediction has the organs {known[0]}, the reference {known[1]}; the same "
            "integers and names were expected. Give those of both with organs={integer: name}."
        )
    if known:
        return known[0]
    values = [int(value) for value in np.unique(shown.array) if value]
    if not values:
        raise InputError(
            "the reference shows no organ; give their names with organs={integer: name}."
        )
    return {value: f"label {value}" for value in values}


def _own_organs(given: Any) -> dict[int, str]:
    if isinstance(given, LabelMap):
        return dict(given.organs)
    segments = read_segments(Path(given)) if isinstance(given, Path | str) else ()
    return {segment.value: segment.name for segment in segments}
