"""Folders of scans and label maps that are written for others."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from dvcl.commands.pair_folder import new_folder, require_new, write_nnunet, write_plain
from dvcl.datasets import load_folders, load_nnunet
from dvcl.datasets.dataset import LabelTable
from dvcl.errors import InputError
from dvcl.volume import read_label, read_volume

TABLE = LabelTable.from_mapping({2: "liver", 1: "spleen", 40: "aorta"})


@pytest.fixture
def pairs(write_image, write_series, write_label, tmp_path: Path) -> dict[Path, Path]:
    """A file with nnU-Net's suffix and a folder of DICOM slices, with label maps of 0, 1 and 2."""
    image = write_image(tmp_path / "scans" / "a_0000.nii.gz")
    series = write_series(tmp_path / "scans" / "b", array=np.zeros((4, 5, 6), np.int16))
    affine = read_volume(series).affine
    return {
        image: write_label(tmp_path / "masks" / "a.nii.gz"),
        series: write_label(tmp_path / "masks" / "b.nii.gz", affine=affine),
    }


@pytest.mark.parametrize("form", ["plain", "nnunet"])
def test_what_is_written_is_read_back(form: str, pairs, tmp_path: Path) -> None:
    with new_folder(tmp_path / "out") as folder:
        if form == "plain":
            write_plain(folder, pairs, TABLE)
        else:
            write_nnunet(folder, pairs, TABLE, "MR")
    dataset = load_folders(tmp_path / "out") if form == "plain" else load_nnunet(tmp_path / "out")
    assert dataset.modality == ("CT" if form == "plain" else "MR")
    assert dataset.labels.organs == TABLE.organs
    for case, (scan, mask) in zip(dataset.cases, pairs.items(), strict=True):
        assert case.id == mask.name.removesuffix(".nii.gz")
        assert case.label
        classes = dataset.labels.encode(read_label(case.label).array)
        assert np.array_equal(classes, TABLE.encode(read_label(mask).array))
        there, here = read_volume(case.image), read_volume(scan)
        assert np.array_equal(there.array, here.array)
        assert there.affine == pytest.approx(here.affine, abs=1e-4)
        assert read_label(case.label).affine == pytest.approx(here.affine, abs=1e-4)


def test_a_folder_that_could_not_be_finished_is_not_there(tmp_path: Path) -> None:
    with suppress(KeyError), new_folder(tmp_path / "out") as folder:
        (folder / "half").write_text("")
        raise KeyError
    assert [*tmp_path.iterdir()] == []


def test_only_a_new_or_empty_folder_may_be_made(tmp_path: Path) -> None:
    require_new(tmp_path / "new", "")
    require_new(tmp_path, "")
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file"):
        with pytest.raises(InputError, match=r"is there already.*Move it\."):
            require_new(path, "Move it.")
