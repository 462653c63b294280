"""Segment new scans with a trained run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import torch

from dvcl.datasets.checks import Finding
from dvcl.datasets.pairing import channel_suffix, folders_without_slices
from dvcl.errors import InputError
from dvcl.files import require_writable, write_json
from dvcl.inference.doubts import mask_doubts, scan_doubts
from dvcl.inference.memory import peak_bytes
from dvcl.inference.predict import segment
from dvcl.inference.seen import Seen, look_at_organs, look_at_scan, organs_json
from dvcl.inference.sliding_window import Window
from dvcl.methods import Method
from dvcl.records import Name, read_record
from dvcl.report.figures import save_png
from dvcl.report.overlays import overlay_sheet
from dvcl.resources import available_ram, in_words, is_out_of_memory, out_of_memory
from dvcl.store import open_store
from dvcl.studies.project import Progress
from dvcl.studies.run import Run
from dvcl.studies.seen import read_seen
from dvcl.volume import (
    Volume,
    is_volume,
    read_geometry,
    read_label,
    read_volume,
    volume_stem,
    write_volume,
)
from dvcl.volume.names import files_below, is_dicom, own_suffix

DOUBTS_TOLD = 3  # about one scan before its network runs, and as many after; the file has all

Tell = Callable[[str], None]


class DoubtRecord(TypedDict):
    """A doubt in NAME.doubts.json."""

    code: Name
    where: str
    text: str
    remedy: str
    case: str | None
    numbers: dict[str, Any]


class PredictionRecord(TypedDict):
    """NAME.doubts.json, as far as it is read back."""

    doubts: list[DoubtRecord]


@dataclass(frozen=True)
class Prediction:
    """A label map that is there now.

    Attributes:
        mask: The file; ``<name>.doubts.json`` lies beside it.
        doubts: About the scan and about the mask.
        is_new: Whether this call made it.
    """

    mask: Path
    doubts: tuple[Finding, ...]
    is_new: bool = True


def predict_files(
    run: Run,
    targets: Mapping[Path, Path],
    *,
    device: torch.device,
    window: Window | None = None,
    pictures: bool = False,
    skip_existing: bool = False,
    progress: Progress | None = None,
    tell: Tell | None = None,
) -> list[Prediction]:
    """Write a label map for every image, on the image's own voxels, and what is doubtful about it.

    Args:
        run: Trained.
        targets: {image: label map}, as `choose_targets` names them; files there are replaced one by
            one.
        device: Where to predict.
        window: Instead of the recipe's.
        pictures: Also write ``<name>.png``, the organs over three planes.
        skip_existing: Leave out images whose label map is there, with the doubts about it; a
            picture that lacks is made of the label map.
        progress: Called with (windows done, windows in all, case) along each case.
        tell: Called with each doubt, those about a scan before its network runs.

    Raises:
        InputError: When a result would take the place of a scan or of a reference; or, after all
            others are written, with every image that could not be segmented.
    """
    _spare_sources(run, targets)
    for folder in {target.parent for target in targets.values()}:
        require_writable(folder)
    tell = tell or (lambda line: None)
    seen = read_seen(run)
    if not seen.numbers:
        tell(
            f"{run.folder}: has no record of what it was trained on, so scans are hardly doubted. "
            "Where its study is still there, the command that trained it adds the record."
        )
    predictor = _Predictor(
        run, run.trained_method(device), device, window or run.recipe.window, pictures, seen,
        progress, tell,
    )  # fmt: skip
    done: list[Prediction] = []
    problems: list[str] = []
    for path, target in targets.items():
        try:
            kept = predictor.kept(path, target) if skip_existing else None
            done.append(kept or predictor.predict(path, target))
        except InputError as error:
            problems += error.problems
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            problems.append(out_of_memory(f"{path}: segmenting it", error))
    if problems:
        raise InputError(problems, f"{len(done)} of {len(targets)} images are segmented; not so:")
    return done


def choose_targets(images: Sequence[Path], out: Path, own_format: bool = False) -> dict[Path, Path]:
    """{image: ``out/<name>.nii.gz``}; where all names end with "_0000", the results leave it out.

    Args:
        images: Files or folders of DICOM slices, or folders of these (their images/ where they have
            one).
        out: Folder for the label maps.
        own_format: .nrrd and .mha for images of these formats.

    Raises:
        InputError: As `find_images`.
    """
    found = find_images(images)
    suffix = channel_suffix([volume_stem(path) for path in found])
    return {
        path: out / f"{volume_stem(path).removesuffix(suffix)}{_ending(path, own_format)}"
        for path in found
    }


def find_images(paths: Sequence[Path]) -> list[Path]:
    """Files and folders of DICOM slices as they are, other folders replaced by their volumes.

    Raises:
        InputError: When a path does not exist, a folder has no volume, or two results would have
            the same name.
    """
    found: list[Path] = []
    problems = []
    for path in paths:
        folder = path / "images" if (path / "images").is_dir() else path
        inside = _volumes_in(folder)
        if not path.exists():
            problems.append(f"{path}: no such file or folder; a scan or a folder was expected.")
        elif not inside:
            problems.append(
                f"{folder}: holds no scan; volumes or DICOM slices were expected there."
            )
        else:
            found += inside
            problems += folders_without_slices(folder) if inside != [folder] else []
    # Not every disk tells upper from lower case.
    names = [volume_stem(path).casefold() for path in found]
    counts = Counter(names)
    problems += [
        f"{path}: another image is called {volume_stem(path)!r} too, so their results would "
        "overwrite each other. Predict them into different folders."
        for path, name in zip(found, names, strict=True)
        if counts[name] > 1
    ]
    if problems:
        raise InputError(problems)
    return found


def _volumes_in(path: Path) -> list[Path]:
    if not path.is_dir() or any(is_dicom(entry) for entry in path.iterdir()):
        return [path]
    return sorted(filter(is_volume, path.iterdir()))


def _spare_sources(run: Run, targets: Mapping[Path, Path]) -> None:
    """Refuse to replace what was put in: scans, and the label maps that people have drawn."""
    targets = {path: target for path, target in targets.items() if target.exists()}
    if not targets:
        return
    sources = {
        file.resolve()
        for source in (*targets, *_sources(run))
        for file in (files_below(source) if source.is_dir() else (source,))
    }
    problems = [
        f"{target}: is an image to segment, or a file of the study; the result for {path} would "
        "take its place. Choose another folder with --out."
        for path, target in targets.items()
        if target.resolve() in sources
    ]
    if problems:
        raise InputError(problems)


def _sources(run: Run) -> list[Path]:
    """The files that the run's study was prepared from; none where the study is gone."""
    with suppress(InputError):
        store = open_store(run.store)
        cases = [store.case(case_id) for case_id in store.ids]
        return [path for case in cases for path in (case.source, case.label_source) if path]
    return []


def _ending(path: Path, own_format: bool) -> str:
    return own_suffix(path) if own_format else ".nii.gz"


def _beside(mask: Path, ending: str) -> Path:
    return mask.with_name(f"{volume_stem(mask)}{ending}")


def refuse_too_large(path: Path, run: Run, window: Window) -> None:
    """Refuse a scan that takes more memory than is free, before it takes it.

    Raises:
        InputError: Says how much it takes and what can be done.
    """
    grid = run.recipe.preprocessing.grid(read_geometry(path))
    needed, free = peak_bytes(grid, window, run.labels.classes), available_ram()
    if needed > free:
        raise InputError(
            f"{path}: segmenting its {math.prod(grid.source.shape) / 1e6:.0f} million voxels takes "
            f"about {in_words(needed)} of memory, {in_words(free)} are free. Close other programs, "
            "cut the scan to the body's part that the run knows, or take a machine with more."
        )


@dataclass(frozen=True)
class _Predictor:
    """What all images of one call have in common."""

    run: Run
    method: Method
    device: torch.device
    window: Window
    pictures: bool
    seen: Seen
    progress: Progress | None
    tell: Tell

    def kept(self, path: Path, mask: Path) -> Prediction | None:
        """The label map of an earlier call; None where it or what was doubtful is missing."""
        record_file = _beside(mask, ".doubts.json")
        if not mask.exists() or not record_file.exists():
            return None
        with read_record(record_file, PredictionRecord, "Delete it and predict again.") as record:
            doubts = tuple(Finding.from_json(doubt) for doubt in record["doubts"])
        if self.pictures and not _beside(mask, ".png").exists():
            image, result = read_volume(path), read_label(mask)
            if image.shape != result.shape or not np.allclose(
                image.affine, result.affine, atol=1e-3
            ):
                raise InputError(
                    f"{mask}: is there already, but does not lie on the voxels of {path}; its own "
                    "result was expected. Delete it, or choose another folder with --out."
                )
            self._draw(image, result, mask)
        return Prediction(mask, doubts, is_new=False)

    def predict(self, path: Path, mask: Path) -> Prediction:
        """Segment one image and write what belongs to it."""
        name, progress = volume_stem(mask), self.progress
        refuse_too_large(path, self.run, self.window)
        image = read_volume(path)
        scan = look_at_scan(path, image, self.run.modality)
        before = scan_doubts(path, scan, self.seen)
        self._tell(before, mask)
        try:
            result = segment(
                image,
                self.method.predict,
                self.run.recipe.preprocessing,
                self.window,
                self.run.labels,
                self.device,
                (lambda done, total: progress(done, total, name)) if progress else None,
            )
        except InputError as error:
            raise InputError([f"{path}: {problem}" for problem in error.problems]) from error
        classes = self.run.labels.encode(result.array, mask)
        organs = look_at_organs(classes, result.geometry, self.run.labels)
        after = mask_doubts(mask, organs, self.seen)
        self._tell(after, mask)
        doubts = (*before, *after)
        record = {
            "image": str(path.absolute()),
            "run": str(self.run.folder.absolute()),
            "doubts": [doubt.to_json() for doubt in doubts],
            "scan": dict(scan.numbers),
            "organs": organs_json(organs),
        }
        # Before the label map: where that is, nothing is missing.
        write_json(_beside(mask, ".doubts.json"), record)
        if self.pictures:
            self._draw(image, result, mask)
        write_volume(mask, result)
        return Prediction(mask, doubts)

    def _draw(self, image: Volume, result: Volume, mask: Path) -> None:
        columns = {self.run.method: result}
        sheet = overlay_sheet(image, None, columns, self.run.labels, self.run.modality)
        save_png(sheet, _beside(mask, ".png"))

    def _tell(self, doubts: Sequence[Finding], mask: Path) -> None:
        for doubt in doubts[:DOUBTS_TOLD]:
            self.tell(f"Doubt: {doubt.problem}")
        if len(doubts) > DOUBTS_TOLD:
            more = len(doubts) - DOUBTS_TOLD
            self.tell(f"Doubt: {more} more, in {_beside(mask, '.doubts.json')}")
