"""Segment new scans with a trained run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch

from dvcl.datasets.checks.grids import shear_findings
from dvcl.datasets.pairing import folders_without_slices
from dvcl.errors import InputError
from dvcl.files import require_writable
from dvcl.inference.memory import peak_bytes
from dvcl.inference.predict import segment
from dvcl.inference.sliding_window import Window
from dvcl.methods import Method
from dvcl.report.figures import save_png
from dvcl.report.overlays import overlay_sheet
from dvcl.resources import available_ram, in_words, is_out_of_memory, out_of_memory
from dvcl.store import open_store
from dvcl.studies.project import Progress
from dvcl.studies.run import Run
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


def predict_files(
    run: Run,
    images: Sequence[Path],
    out: Path,
    *,
    device: torch.device,
    window: Window | None = None,
    pictures: bool = False,
    own_format: bool = False,
    skip_existing: bool = False,
    progress: Progress | None = None,
) -> list[Path]:
    """Write ``out/<name>.nii.gz`` for every image, on the image's own voxels.

    Args:
        run: Trained.
        images: Files or folders of DICOM slices, or folders of these (their images/ where they have
            one).
        out: Folder for the label maps; files there are replaced one by one.
        device: Where to predict.
        window: Instead of the recipe's.
        pictures: Also write ``<name>.png``, the organs over three planes.
        own_format: Write .nrrd and .mha for images of these formats.
        skip_existing: Leave out images whose label map is there already, with its picture where
            pictures are asked for; a picture that lacks is made of the label map that is there.
        progress: Called with (windows done, windows in all, case) along each case.

    Raises:
        InputError: When no image is found, or a result would take the place of a scan or of a
            reference; or, after all others are written, with every image that could not be
            segmented.
    """
    targets = {path: _target(path, out, own_format) for path in find_images(images)}
    _spare_sources(run, targets)
    if skip_existing:
        targets = {
            path: target
            for path, target in targets.items()
            if not all(map(Path.exists, _belonging(target, pictures)))
        }
    require_writable(out)
    method = run.trained_method(device)
    written, problems = [], []
    for path, target in targets.items():
        try:
            if skip_existing and target.exists():
                _draw(run, path, target)
                continue
            _predict_file(run, method, path, target, device, window, pictures, progress)
            written.append(target)
        except InputError as error:
            problems += error.problems
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            problems.append(out_of_memory(f"{path}: segmenting it", error))
    if problems:
        raise InputError(
            problems, f"{len(written)} of {len(targets)} images are segmented; not so:"
        )
    return written


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


def _belonging(target: Path, pictures: bool) -> list[Path]:
    """What there is when a scan is done: its label map, and what lies beside it."""
    return [target, *([_picture(target)] if pictures else [])]


def _picture(target: Path) -> Path:
    return target.with_name(f"{volume_stem(target)}.png")


def _target(path: Path, out: Path, own_format: bool) -> Path:
    suffix = own_suffix(path) if own_format else ".nii.gz"
    return out / f"{volume_stem(path)}{suffix}"


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


def _predict_file(
    run: Run,
    method: Method,
    path: Path,
    target: Path,
    device: torch.device,
    window: Window | None,
    pictures: bool,
    progress: Progress | None,
) -> None:
    name = volume_stem(path)
    refuse_too_large(path, run, window or run.recipe.window)
    image = read_volume(path)
    # Training refused such scans too: preparation takes axes to be at right angles.
    if refused := [f for f in shear_findings(path, image.geometry) if f.severity == "error"]:
        raise InputError([finding.problem for finding in refused])
    try:
        result = segment(
            image,
            method.predict,
            run.recipe.preprocessing,
            window or run.recipe.window,
            run.labels,
            device,
            (lambda done, total: progress(done, total, name)) if progress else None,
        )
    except InputError as error:
        raise InputError([f"{path}: {problem}" for problem in error.problems]) from error
    if pictures:
        # Before the label map: where that is, nothing is missing.
        _save_picture(run, image, result, target)
    write_volume(target, result)


def _draw(run: Run, path: Path, target: Path) -> None:
    """Make the picture of a label map that is there."""
    image, mask = read_volume(path), read_label(target)
    if mask.shape != image.shape or not np.allclose(mask.affine, image.affine, atol=1e-3):
        raise InputError(
            f"{target}: is there already, but does not lie on the voxels of {path}; its own result "
            "was expected. Delete it, or choose another folder with --out."
        )
    _save_picture(run, image, mask, target)


def _save_picture(run: Run, image: Volume, result: Volume, target: Path) -> None:
    sheet = overlay_sheet(image, None, {run.method: result}, run.labels, run.modality)
    save_png(sheet, _picture(target))
