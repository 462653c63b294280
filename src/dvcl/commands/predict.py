"""Segment new scans with a trained run."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import torch

from dvcl.commands.project import Progress
from dvcl.commands.run import Run
from dvcl.errors import InputError
from dvcl.files import require_writable
from dvcl.inference.predict import segment
from dvcl.inference.sliding_window import Window
from dvcl.methods import Method
from dvcl.report.figures import save_png
from dvcl.report.overlays import overlay_sheet
from dvcl.store import open_store
from dvcl.volume import is_volume, read_volume, volume_stem, write_volume


def predict_files(
    run: Run,
    images: Sequence[Path],
    out: Path,
    *,
    device: torch.device,
    window: Window | None = None,
    pictures: bool = False,
    progress: Progress | None = None,
) -> list[Path]:
    """Write ``out/<name>.nii.gz`` for every image, on the image's own voxels.

    Args:
        run: Trained.
        images: Files, or folders of files (their images/ where they have one).
        out: Folder for the label maps; files there are replaced one by one.
        device: Where to predict.
        window: Instead of the recipe's.
        pictures: Also write ``<name>.png``, the organs over three planes.
        progress: Called with (windows done, windows in all, case) along each case.

    Raises:
        InputError: When no image is found, or a result would take the place of a scan or of a
            reference; or, after all others are written, with every image that could not be
            segmented.
    """
    files = find_images(images)
    _spare_sources(run, files, out)
    require_writable(out)
    method = run.trained_method(device)
    written, problems = [], []
    for path in files:
        try:
            written.append(
                _predict_file(run, method, path, out, device, window, pictures, progress)
            )
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems, f"{len(written)} of {len(files)} images are segmented; not so:")
    return written


def find_images(paths: Sequence[Path]) -> list[Path]:
    """Files as they are, folders replaced by their volumes.

    Raises:
        InputError: When a path does not exist, a folder has no volume, or two results would have
            the same name.
    """
    found: list[Path] = []
    problems = []
    for path in paths:
        folder = path / "images" if (path / "images").is_dir() else path
        inside = sorted(filter(is_volume, folder.iterdir())) if folder.is_dir() else [path]
        if not path.exists():
            problems.append(f"{path}: no such file or folder; a scan or a folder was expected.")
        elif not inside:
            problems.append(f"{folder}: no .nii or .nii.gz file there; at least one was expected.")
        else:
            found += inside
    # Not every disk tells upper from lower case.
    names = [volume_stem(path).casefold() for path in found]
    problems += [
        f"{path}: another image is called {volume_stem(path)!r} too, so their results would "
        "overwrite each other. Predict them into different folders."
        for path, name in zip(found, names, strict=True)
        if names.count(name) > 1
    ]
    if problems:
        raise InputError(problems)
    return found


def _spare_sources(run: Run, files: Sequence[Path], out: Path) -> None:
    """Refuse to replace what was put in: scans, and the label maps that people have drawn."""
    targets = {path: _target(path, out) for path in files if _target(path, out).exists()}
    if not targets:
        return
    sources = {source.resolve() for source in (*files, *_sources(run))}
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


def _target(path: Path, out: Path) -> Path:
    return out / f"{volume_stem(path)}.nii.gz"


def _predict_file(
    run: Run,
    method: Method,
    path: Path,
    out: Path,
    device: torch.device,
    window: Window | None,
    pictures: bool,
    progress: Progress | None,
) -> Path:
    name = volume_stem(path)
    image = read_volume(path)
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
    target = _target(path, out)
    write_volume(target, result)
    if pictures:
        sheet = overlay_sheet(image, None, {run.method: result}, run.labels, run.modality)
        save_png(sheet, out / f"{name}.png")
    return target
