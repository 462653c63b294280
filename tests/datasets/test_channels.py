"""Which files are further channels of one case, as nnU-Net names them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from dvcl.commands.targets import choose_targets
from dvcl.datasets import load_folders
from dvcl.datasets.addition import load_addition
from dvcl.datasets.channels import further_channels
from dvcl.errors import InputError

SHAPE, OTHER = (4, 5, 6), (5, 5, 6)


@pytest.mark.parametrize(
    ("shapes", "further"),
    [
        ({"a_0000": SHAPE, "a_0001": SHAPE, "b_0000": SHAPE, "b_0001": SHAPE}, "a_0001 b_0001"),
        ({"a_0000": SHAPE, "a_0001": OTHER, "a_0002": SHAPE}, "a_0002"),
        ({"a_0001": SHAPE, "a_0002": SHAPE}, ""),
        ({"a_0000": SHAPE, "b_0001": SHAPE, "0001": SHAPE}, ""),
        ({f"a_{number:04d}": SHAPE for number in range(9)}, ""),
    ],
)
def test_a_further_channel_has_the_name_and_the_grid_of_the_first(
    shapes: dict[str, tuple[int, int, int]], further: str, tmp_path: Path, write_image
) -> None:
    images = [
        write_image(tmp_path / f"{name}.nii.gz", np.zeros(shape, np.int16))
        for name, shape in shapes.items()
    ]
    found = [tmp_path / f"{name}.nii.gz" for name in further.split()]
    assert [*further_channels(images)] == found
    assert [*chain.from_iterable(further_channels([image]) for image in images)] == found


def test_files_that_cannot_be_read_are_not_judged(tmp_path: Path) -> None:
    for name in ("a_0000", "a_0001"):
        (tmp_path / f"{name}.nii.gz").write_bytes(b"no volume")
    assert not further_channels(tmp_path.iterdir())


@pytest.mark.parametrize(
    "find",
    [
        lambda folder: load_folders(folder / "few", [folder / "many"]),
        lambda folder: load_addition(load_folders(folder / "few"), [folder / "many"]),
        lambda folder: choose_targets([folder / "many"], folder / "masks"),
        lambda folder: choose_targets([folder / "many" / "a_0001.nii.gz"], folder / "masks"),
    ],
    ids=["check and prepare", "prepare --add", "predict a folder", "predict a file"],
)
def test_a_further_channel_is_no_scan_of_its_own(
    find: Callable[[Path], object], tmp_path: Path, write_case, write_image
) -> None:
    write_case(tmp_path / "few", "x")
    for name in ("a_0000", "a_0001"):
        write_image(tmp_path / "many" / f"{name}.nii.gz")
    with pytest.raises(InputError) as error:
        find(tmp_path)
    (problem,) = error.value.problems
    assert "many/a_0001.nii.gz: is a further channel of the case of a_0000.nii.gz" in problem


@pytest.mark.parametrize(("shape", "mask"), [(SHAPE, "a"), (OTHER, "a_0000")])
def test_a_mask_has_a_number_where_another_scan_is_beside_and_no_channel(
    shape: tuple[int, int, int], mask: str, tmp_path: Path, write_image
) -> None:
    first = write_image(tmp_path / "a_0000.nii.gz", np.zeros(SHAPE, np.int16))
    write_image(tmp_path / "a_0001.nii.gz", np.zeros(shape, np.int16))
    assert [*choose_targets([first], tmp_path).values()] == [tmp_path / f"{mask}.nii.gz"]
