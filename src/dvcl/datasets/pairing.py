"""Finding volumes in folders and pairing each image with its label by name."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from dvcl.datasets.channels import (
    CHANNEL_SUFFIX,
    channel_suffix,
    further_channel,
    further_channels,
)
from dvcl.datasets.dataset import Case, Role
from dvcl.datasets.masks import MASK_FOLDER, mask_folder
from dvcl.volume import VOLUME_SUFFIXES, is_volume, volume_stem
from dvcl.volume.names import files_below, is_dicom

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".rar", ".7z")


def paired_cases(
    images_folder: Path,
    labels_folder: Path,
    role: Role | None,
    problems: list[str],
    masks: bool = False,
    ending: str = "",
) -> list[Case]:
    """Cases whose label has the image's name, or the image's name without "_0000".

    What is missing or left over is appended to ``problems``. With ``masks`` a label may also be a
    folder with one mask per organ. Names that do not end with ``ending`` are left aside.
    """
    images = volumes_by_stem(images_folder, problems, ending=ending)
    problems += folders_without_slices(images_folder)
    labels = volumes_by_stem(labels_folder, problems, masks, ending)
    if not images or not labels:
        return []
    cases: list[Case] = []
    for stem, image in images.items():
        id = stem if stem in labels else stem.removesuffix(CHANNEL_SUFFIX)
        if id in labels:
            cases.append(Case(id, image, labels[id], role))
        elif _is_further_channel(stem, images, labels):
            problems.append(further_channel(image, images[stem[:-5] + CHANNEL_SUFFIX]))
        else:
            expected = labels_folder / f"{id}.nii.gz"
            problems.append(
                f"{image}: has no label; expected {expected}. "
                "Add the label, or move the image to a folder of unlabelled images."
            )
    used = {case.id for case in cases}
    problems += [
        f"{label}: has no image; expected {images_folder / f'{stem}.nii.gz'}. "
        "Add the image or remove the label."
        for stem, label in labels.items()
        if stem not in used
    ]
    return cases


def unlabelled_cases(folder: Path, problems: list[str]) -> list[Case]:
    """Every volume of a folder, without a label; "_0000" leaves the ids when all names end so."""
    images = volumes_by_stem(folder, problems)
    problems += folders_without_slices(folder)
    further = further_channels(images.values())
    problems += further.values()
    images = {stem: image for stem, image in images.items() if image not in further}
    suffix = channel_suffix(images)
    return [
        Case(stem.removesuffix(suffix), image, None, "unlabelled") for stem, image in images.items()
    ]


def case_folders(folder: Path, role: Role | None, problems: list[str]) -> list[Case]:
    """Cases kept as TotalSegmentator's data set: CASE/ct.nii.gz and CASE/segmentations/*.nii.gz.

    The image has any name; it is the only volume in the case's folder.
    """
    cases = []
    for path in visible_folders(folder):
        images = [entry for entry in sorted(path.iterdir()) if is_volume(entry)]
        if len(images) != 1 or mask_folder(path) != path / MASK_FOLDER:
            found = ", ".join(image.name for image in images) or "no image"
            problems.append(
                f"{path}: holds {found} and {contents(path)}; one image and {MASK_FOLDER}/ with "
                "one mask per organ were expected. Complete the case or move it away."
            )
        else:
            cases.append(Case(path.name, images[0], path / MASK_FOLDER, role))
    return cases


def are_case_folders(folder: Path) -> bool:
    """Whether some folder in it has segmentations/."""
    return any((path / MASK_FOLDER).is_dir() for path in visible_folders(folder))


def visible_folders(folder: Path) -> list[Path]:
    """Folders inside, sorted, without hidden ones."""
    inside = (path for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")
    return sorted(inside)


def duplicate_ids(cases: Sequence[Case]) -> list[str]:
    """One problem per id that several cases share; upper and lower case count as the same."""
    shared: dict[str, list[Case]] = {}
    for case in cases:
        shared.setdefault(case.id.casefold(), []).append(case)
    return [
        f"{', '.join(dict.fromkeys(str(case.image) for case in group))}: the id {group[0].id!r} "
        f"occurs {len(group)} times ({', '.join(case.role or 'no role' for case in group)}); each "
        "case needs its own id, upper and lower case not counting. "
        + (
            "Rename or remove the copies."
            if len({case.image.resolve() for case in group}) > 1
            else "It is one file: name its folder once."
        )
        for group in shared.values()
        if len(group) > 1
    ]


def volumes_by_stem(
    folder: Path, problems: list[str], masks: bool = False, ending: str = ""
) -> dict[str, Path]:
    """Volumes of a folder, and folders of masks if asked, by their stem in composed Unicode."""
    if not folder.is_dir():
        found = "is a file" if folder.exists() else "no such folder"
        problems.append(f"{folder}: {found}; a folder of volumes was expected.")
        return {}
    volumes: dict[str, Path] = {}
    for entry in sorted(entry for entry in folder.iterdir() if entry.name.endswith(ending)):
        path = entry if is_volume(entry) else mask_folder(entry) if masks else None
        if path is None:
            continue
        # The same name may be composed (Linux, Windows) or decomposed (copied from macOS).
        stem = unicodedata.normalize("NFC", volume_stem(entry))
        if stem in volumes:
            problems.append(
                f"{path}: {volumes[stem].name} is the same case; one file per case was expected. "
                "Remove one of them."
            )
        volumes.setdefault(stem, path)
    if not volumes:
        problems.append(_nothing_there(folder, masks))
    return volumes


def folders_without_slices(folder: Path) -> list[str]:
    """One problem per folder among scans that is none: nothing is passed over in silence."""
    inside = visible_folders(folder) if folder.is_dir() else []
    return [
        f"{path}: is a folder without DICOM slices, found {contents(path)}; one folder per scan "
        "was expected among images. Convert its files, or move it away."
        for path in inside
        if any(files_below(path)) and not is_volume(path)
    ]


def archive_notes(cases: Sequence[Case]) -> list[str]:
    """Archives in the folders of cases: what is inside them is not used."""
    files = (path for case in cases for path in (case.image, case.label) if path)
    folders = dict.fromkeys(path.parent for path in files)
    return [
        f"{path}: is an archive beside unpacked cases, and is not opened. Unpack it if its cases "
        "are to be used too."
        for folder in folders
        for path in sorted(folder.iterdir())
        if is_archive(path)
    ]


def is_archive(path: Path) -> bool:
    """Whether a file has the name of an archive."""
    return path.name.lower().endswith(ARCHIVES) and not path.is_dir()


def _nothing_there(folder: Path, masks: bool) -> str:
    kinds = f"files ({', '.join(VOLUME_SUFFIXES)}) or folders of DICOM slices"
    if masks:
        kinds = f"files ({', '.join(VOLUME_SUFFIXES)}) or folders of masks"
    hint = "Check the path or convert the files."
    if any(is_dicom(path) for path in folder.iterdir()):
        hint = f"Put the DICOM slices of each case into a folder of their own, {folder}/CASE/."
    return f"{folder}: holds no volumes, found {contents(folder)}; {kinds} were expected. {hint}"


def contents(folder: Path) -> str:
    """Say what a folder holds, by kind: "3 .gz, 1 folder", or "nothing"."""
    kinds = Counter(
        "folder" if path.is_dir() else path.suffix or "file without suffix"
        for path in folder.iterdir()
        if not path.name.startswith(".")
    )
    return ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(5)) or "nothing"


def _is_further_channel(stem: str, images: Mapping[str, Path], labels: Mapping[str, Path]) -> bool:
    """Whether this is "X_0001" where "X_0000" is a labelled case."""
    parts = re.fullmatch(r"(.+)_\d{4}", stem)
    return parts is not None and parts[1] in labels and parts[1] + CHANNEL_SUFFIX in images
