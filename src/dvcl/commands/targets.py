"""Which scans are to be segmented, and where their label maps go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from glob import escape
from pathlib import Path

from dvcl.datasets.channels import CHANNEL_SUFFIX, further_channels
from dvcl.datasets.folders import image_folder
from dvcl.datasets.pairing import folders_without_slices
from dvcl.errors import InputError
from dvcl.store import open_store
from dvcl.studies.finding import names_some_run
from dvcl.studies.run import Run
from dvcl.volume import is_volume, volume_stem
from dvcl.volume.names import DICOM_SUFFIXES, MASK_SUFFIXES, files_below, is_dicom, mask_suffix


def choose_targets(images: Sequence[Path], out: Path, form: str = "nifti") -> dict[Path, Path]:
    """{image: ``out/<name>.nii.gz``}, or with the suffix of the form.

    The results leave out nnU-Net's "_0000" at the end of a name, but where it is a number.

    Args:
        images: Files or folders of DICOM slices, or folders of these (their images/ where they have
            one).
        out: Folder for the label maps.
        form: Of the label maps, one of `MASK_SUFFIXES`.

    Raises:
        InputError: As `find_images`; or when there is no such form, or images are not of the kind
            that it refers to.
    """
    found = find_images(images)
    _check_form(form, found)
    return {path: out / f"{_mask_name(path)}{mask_suffix(path, form)}" for path in found}


def _mask_name(image: Path) -> str:
    stem = volume_stem(image)
    short = stem.removesuffix(CHANNEL_SUFFIX)
    return stem if short != stem and _is_numbered(image, short) else short


def _is_numbered(image: Path, name: str) -> bool:
    """Whether "X_0000" is the first of numbered scans: a scan "X_0001" is beside it, given or not.

    A further channel of "X_0000" is no scan.
    """
    second = f"{name}_0001"
    beside = image.parent.glob(f"{escape(second)}*")
    seconds = [path for path in beside if volume_stem(path) == second and is_volume(path)]
    return len(seconds) > len(further_channels(seconds))


def _check_form(form: str, images: Sequence[Path]) -> None:
    if form not in MASK_SUFFIXES:
        raise InputError(f"--format {form!r}: expected one of {', '.join(MASK_SUFFIXES)}.")
    if MASK_SUFFIXES[form].endswith(DICOM_SUFFIXES):
        problems = [
            f"{path}: is no folder of DICOM slices, to which --format {form} refers. Give the "
            "series, or choose nifti or seg.nrrd."
            for path in images
            if not path.is_dir()
        ]
        if problems:
            raise InputError(problems)


def tell_apart(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """What names a run as the first argument does, and all else: scans.

    Raises:
        InputError: When there are no scans.
    """
    runs = [path for path in paths if names_some_run(path) and not _scans_at(path)]
    scans = [path for path in paths if path not in runs]
    if not scans:
        raise InputError(
            f"predict: the runs {', '.join(map(str, paths))} found and no scan; scans, or folders "
            "of scans, were expected behind the runs."
        )
    return runs, scans


def find_images(paths: Sequence[Path]) -> list[Path]:
    """Files and folders of DICOM slices as they are, other folders replaced by their volumes.

    Raises:
        InputError: When a path does not exist, a folder has no volume, an image is a further
            channel of another one, or two results would have the same name.
    """
    found: list[Path] = []
    problems = []
    for path in paths:
        folder, inside = image_folder(path), _scans_at(path)
        if not path.exists():
            problems.append(f"{path}: no such file or folder; a scan or a folder was expected.")
        elif not inside:
            problems.append(
                f"{folder}: holds no scan; volumes or DICOM slices were expected there."
            )
        else:
            found += inside
            problems += folders_without_slices(folder) if inside != [folder] else []
    problems += further_channels(found).values()
    # Not every disk tells upper from lower case.
    names = [_mask_name(path).casefold() for path in found]
    counts = Counter(names)
    problems += [
        f"{path}: another image is called {_mask_name(path)!r} too, so their results would "
        "overwrite each other. Leave one out, or predict them into different folders."
        for path, name in zip(found, names, strict=True)
        if counts[name] > 1
    ]
    if problems:
        raise InputError(problems)
    return found


def _scans_at(path: Path) -> list[Path]:
    """A file or folder of slices as it is, of another folder its volumes; none where none is."""
    folder = image_folder(path)
    if not folder.is_dir():
        return [folder] if folder.exists() else []
    if any(is_dicom(entry) for entry in folder.iterdir()):
        return [folder]
    return sorted(filter(is_volume, folder.iterdir()))


def spare_sources(run: Run, targets: Mapping[Path, Path]) -> None:
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
