"""One scan after another: its label map and what belongs to it, or those of an earlier call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from dvcl.commands.clean_up import cleaned, removed_in_words
from dvcl.commands.mask_folder import read_mask
from dvcl.commands.predict_limits import organ_doubts
from dvcl.commands.predict_memory import refuse_too_large
from dvcl.commands.prediction_record import (
    REMEDY,
    Prediction,
    PredictionRecord,
    beside,
    forget,
    is_changed,
    mask_record,
    member_mask,
)
from dvcl.datasets.checks import Finding
from dvcl.datasets.organs import segments_of
from dvcl.errors import InputError
from dvcl.files import sha256_of_json, write_json
from dvcl.inference.doubts import mask_doubts, scan_doubts
from dvcl.inference.ensemble import Ensemble
from dvcl.inference.predict import Segmentation, segment
from dvcl.inference.seen import Seen, look_at_scan, organs_json
from dvcl.records import read_record
from dvcl.report.figures import save_png
from dvcl.resources import is_out_of_memory, out_of_memory
from dvcl.studies.calibration import Calibration
from dvcl.studies.members import Members
from dvcl.studies.project import Progress
from dvcl.studies.run import Run
from dvcl.volume import Volume, read_volume, volume_stem
from dvcl.volume.writing import require_source, write_mask, write_volume

if TYPE_CHECKING:
    from dvcl.commands.predict_page import PredictionPage

DOUBTS_TOLD = 3  # about one scan before its network runs, and as many after; the file has all

Tell = Callable[[str], None]


def _require_same_voxels(path: Path, image: Volume, mask: Path, result: Volume) -> None:
    if image.shape != result.shape or not np.allclose(image.affine, result.affine, atol=1e-3):
        raise InputError(
            f"{mask}: is there already, but does not lie on the voxels of {path}; its own result "
            "was expected. Delete it, or choose another folder with --out."
        )


@dataclass(frozen=True)
class Predictor:
    """What all images of one call have in common."""

    members: Members
    ensemble: Ensemble
    device: torch.device
    maps: bool
    apart: bool
    calibration: Calibration | None
    page: PredictionPage | None
    seen: Seen
    clean: tuple[str, ...]
    progress: Progress | None
    tell: Tell
    look: Callable[[Tensor], None] | None

    @property
    def run(self) -> Run:
        """For what all members have in common."""
        return self.members.first

    def predict_all(
        self, targets: Mapping[Path, Path], skip_existing: bool
    ) -> tuple[list[Prediction], list[str]]:
        """The label maps that are there now, and why others are not; one does not stop the rest."""
        done: list[Prediction] = []
        problems: list[str] = []
        for path, mask in targets.items():
            try:
                earlier = self.kept(path, mask) if skip_existing else None
                done.append(earlier or self.predict(path, mask))
            except InputError as error:
                problems += error.problems
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                problems.append(out_of_memory(f"{path}: segmenting it", error))
        return done, problems

    def kept(self, path: Path, mask: Path) -> Prediction | None:
        """The label map of an earlier call; None where there is none, whole and made of the same.

        Raises:
            InputError: When it does not say what it was made of, and is that of another scan.
        """
        record_file = beside(mask)
        if not mask.exists() or not all(file.exists() for file in self._extra_files(mask)):
            return None
        if not record_file.exists():
            _require_same_voxels(path, read_volume(path), mask, read_mask(mask, path, self.run))
            return None
        with read_record(record_file, PredictionRecord, REMEDY) as record:
            doubts = tuple(Finding.from_json(doubt) for doubt in record["doubts"])
            if record["made_of"] != self._made_of(path, mask):
                return None
        with suppress(InputError):  # one that is damaged is made again
            result = read_mask(mask, path, self.run)
            if is_changed(mask):
                self.tell(
                    f"{mask}: has been changed since it was predicted and is kept; its volumes and "
                    "doubts are those of the prediction."
                )
            if self.page and not beside(mask, ".png").exists():
                self._draw(read_volume(path), result, mask)
            return Prediction(mask, doubts, is_new=False)
        return None

    def _made_of(self, path: Path, mask: Path) -> str:
        """Hash of what decides a label map and what is said of it: scan, runs and their errors.

        And of its name, as label maps of one scan in several formats share a record.
        """
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        facts = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
        by, known = self.members, asdict(self.calibration) if self.calibration else {}
        return sha256_of_json([facts, by.identity, by.folders, self.clean, known, mask.name])

    def _extra_files(self, mask: Path) -> list[Path]:
        """What is written beside a label map: the maps, then the members' label maps."""
        named = ["uncertainty", "disagreement"][: 1 + self.ensemble.measures_disagreement]
        files = [beside(mask, f".{name}.nii.gz") for name in named if self.maps]
        count = len(self.ensemble.members) if self.apart else 0
        return [*files, *(member_mask(mask, number) for number in range(1, count + 1))]

    def predict(self, path: Path, mask: Path) -> Prediction:
        """Segment one image and write what belongs to it.

        Raises:
            InputError: When the image cannot be segmented, or somebody has changed the label map
                that is there.
        """
        self._require_unchanged(path, mask)
        refuse_too_large(path, self.members, self.ensemble, self.maps)
        require_source(mask, path)
        image = read_volume(path)
        for remark in image.remarks:
            self.tell(f"{path}: {remark.text}")
        scan = look_at_scan(path, image, self.run.modality)
        before = scan_doubts(path, scan, self.seen)
        self._tell(before, mask)
        found = self._segment(path, image, mask)
        result, organs, removed_ml = cleaned(found.mask, mask, self.clean, self.run.labels)
        if removed_ml:
            self.tell(removed_in_words(volume_stem(mask), removed_ml))
        own = [cleaned(each, mask, self.clean, self.run.labels)[0] for each in found.members]
        after = mask_doubts(mask, organs, self.seen)
        self._tell(after, mask)
        doubts = (*before, *after)
        known = organ_doubts(organs, found.sure, own, self.members, self.calibration)
        record = {
            "image": str(path.absolute()),
            "run": str(self.run.folder.absolute()),
            "members": self.members.folders,
            "made_of": self._made_of(path, mask),
            "doubts": [doubt.to_json() for doubt in doubts],
            "scan": dict(scan.numbers),
            "organs": {
                organ: {**facts, "removed_ml": removed_ml.get(organ, 0.0), **known[organ]}
                for organ, facts in organs_json(organs).items()
            },
        }
        forget(mask)
        # Before the label map: where that is, nothing is missing.
        write_json(beside(mask), record)
        self._write_extra(path, mask, found, own)
        if self.page:
            self._draw(image, result, mask)
            name, told = volume_stem(mask), [doubt.text for doubt in doubts]
            self.page.add(name, image, result, told, found.maps, known)
        self._write(mask, result, path)
        # Afterwards, as only what is written has a hash.
        write_json(beside(mask), {**record, "mask": mask_record(mask)})
        return Prediction(mask, doubts)

    def _require_unchanged(self, path: Path, mask: Path) -> None:
        if not is_changed(mask):
            return
        try:
            read_mask(mask, path, self.run)
        except InputError:
            return  # one that is damaged is no correction
        raise InputError(
            f"{mask}: has been changed since it was predicted, and would be overwritten. Move it "
            "to where corrected masks are kept, or choose another folder with --out."
        )

    def _write(self, mask: Path, result: Volume, path: Path) -> None:
        segments = segments_of(self.run.labels)
        write_mask(mask, result, segments, path, self.members.weights_in_short)

    def _write_extra(
        self, path: Path, mask: Path, found: Segmentation, own: Sequence[Volume]
    ) -> None:
        files = self._extra_files(mask)
        for file, values in zip(files, found.maps.values(), strict=False):
            write_volume(file, values)
        for file, result in zip(files[len(found.maps) :], own, strict=False):
            self._write(file, result, path)

    def _segment(self, path: Path, image: Volume, mask: Path) -> Segmentation:
        name, progress = volume_stem(mask), self.progress
        try:
            return segment(
                image,
                self.ensemble,
                self.run.recipe.preprocessing,
                self.members.window,
                self.run.labels,
                self.device,
                (lambda done, total: progress(done, total, name)) if progress else None,
                self.maps,
                self.look,
            )
        except InputError as error:
            raise InputError([f"{path}: {problem}" for problem in error.problems]) from error

    def _draw(self, image: Volume, result: Volume, mask: Path) -> None:
        from dvcl.report.overlays import overlay_sheet

        columns = {self.run.method: result}
        sheet = overlay_sheet(image, None, columns, self.run.labels, self.run.modality)
        save_png(sheet, beside(mask, ".png"))

    def _tell(self, doubts: Sequence[Finding], mask: Path) -> None:
        for doubt in doubts[:DOUBTS_TOLD]:
            self.tell(f"Doubt: {doubt.problem}")
        if len(doubts) > DOUBTS_TOLD:
            more = len(doubts) - DOUBTS_TOLD
            self.tell(f"Doubt: {more} more, in {beside(mask, '.doubts.json')}")
