"""Scans and label maps as a folder that other commands and programs take: plain, or nnU-Net's."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dvcl.commands.mask_folder import write_names
from dvcl.datasets.channels import CHANNEL_SUFFIX
from dvcl.datasets.dataset import LabelTable, Modality
from dvcl.errors import InputError
from dvcl.files import PARTIAL, refusals_named, write_json
from dvcl.volume import Volume, read_label, read_volume, volume_stem
from dvcl.volume.writing import write_volume

ENDING = ".nii.gz"


def require_new(folder: Path, why: str) -> None:
    """Refuse a folder that holds something.

    Args:
        folder: To be made.
        why: What would be lost, and what to do.

    Raises:
        InputError: When it is there and not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: is there already; a new folder was expected. {why}")


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``folder``; it takes its place when the block succeeds.

    Raises:
        InputError: When the disk is full or the system refuses.
    """
    with refusals_named(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=folder.parent))
        try:
            temporary.chmod(0o755)
            yield temporary
            os.replace(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def write_plain(folder: Path, pairs: Mapping[Path, Path], labels: LabelTable) -> None:
    """Copy scans into images/, their label maps into labels/, and write what the integers mean.

    Args:
        folder: To write into.
        pairs: {scan: label map}.
        labels: Of the label maps.
    """
    for name in ("images", "labels"):
        (folder / name).mkdir()
    for scan, mask in pairs.items():
        copy = shutil.copytree if scan.is_dir() else shutil.copy
        copy(scan, folder / "images" / scan.name)
        shutil.copy(mask, folder / "labels" / mask.name)
    write_names(folder, labels)


def write_nnunet(
    folder: Path, pairs: Mapping[Path, Path], labels: LabelTable, modality: Modality
) -> None:
    """Write nnU-Net's raw layout: imagesTr/X_0000.nii.gz, labelsTr/X.nii.gz, dataset.json.

    Its label integers are 0, 1, 2 and so on, in the order of ``labels``.

    Args:
        folder: To write into.
        pairs: {scan: label map}.
        labels: Of the label maps.
        modality: Of the scans.
    """
    for scan, mask in pairs.items():
        name = volume_stem(mask)
        write_volume(folder / "imagesTr" / f"{name}{CHANNEL_SUFFIX}{ENDING}", read_volume(scan))
        found = read_label(mask)
        classes = Volume(labels.encode(found.array, mask), found.affine)
        write_volume(folder / "labelsTr" / f"{name}{ENDING}", classes)
    names = {name: index for index, name in enumerate(labels.names)}
    write_json(
        folder / "dataset.json",
        {
            "channel_names": {"0": modality},
            "labels": names,
            "numTraining": len(pairs),
            "file_ending": ENDING,
        },
    )
