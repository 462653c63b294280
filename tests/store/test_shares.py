"""Cases that other processes prepare: the same store, and the same words about what is wrong."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dvcl.commands.shares import prepare_share
from dvcl.datasets.dataset import Case, Dataset, LabelTable
from dvcl.errors import InputError
from dvcl.locks import folder_lock
from dvcl.preprocessing.prepare import Preprocessing
from dvcl.store import build_store
from dvcl.store.shares import read_problems, read_share, share_folder, write_share
from dvcl.store.task import CaseTask
from dvcl.volume import Volume, write_volume

LABELS = LabelTable((0, 5), ("background", "liver"), ((7, 5),))
SETTINGS = Preprocessing(spacing_mm=(3.0, 2.5, 2.5), window=None)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Three labelled scans and one without labels."""
    cases = []
    for seed, name in enumerate("abcd"):
        random = np.random.default_rng(seed)
        image, label = tmp_path / f"{name}.nii", tmp_path / f"{name}-label.nii"
        affine = np.diag([2.0, 2.0, 3.0, 1.0])
        write_volume(image, Volume(random.integers(0, 400, (9, 8, 7)).astype(np.int16), affine))
        write_volume(label, Volume((5 * random.integers(0, 2, (9, 8, 7))).astype(np.uint8), affine))
        cases.append(Case(name, image, label))
    cases[3] = replace(cases[3], label=None, role="unlabelled")
    return Dataset("small", "CT", tuple(cases), LABELS)


class InShares:
    """Prepares two shares, one after the other, as two machines would."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.given: list[str] = []

    def __call__(self, tasks: Sequence[CaseTask]) -> Iterator[tuple[CaseTask, InputError | None]]:
        self.given = [task.case.id for task in tasks]
        for number in range(2 if tasks else 0):
            folder = share_folder(self.root, number)
            write_share(folder, tasks[number::2])
            assert read_share(folder) == tasks[number::2]
            assert prepare_share(folder, workers=1) == len(tasks[number::2])
            # A job that was queued again after its last case.
            assert prepare_share(folder, workers=1) == len(tasks[number::2])
            problems = read_problems(folder)
            yield from ((task, problems.get(task.case.id)) for task in tasks[number::2])


def test_a_store_that_is_made_in_shares_is_the_same_store(dataset, tmp_path):
    whole = build_store(dataset, SETTINGS, tmp_path / "whole", workers=1)
    shares = InShares(tmp_path / "shared")
    shared = build_store(dataset, SETTINGS, tmp_path / "shared", shares)
    assert shared.ids == whole.ids
    for file in whole.folder.glob("*/*"):
        assert (shared.folder / file.relative_to(whole.folder)).read_bytes() == file.read_bytes()
    build_store(dataset, SETTINGS, tmp_path / "shared", shares)
    assert shares.given == []


def test_cases_that_cannot_be_prepared_are_listed_as_ever(dataset, tmp_path):
    dataset.cases[1].image.write_bytes(b"no volume")
    told = []
    for name, workers in (("whole", 1), ("shared", InShares(tmp_path / "shared"))):
        with pytest.raises(InputError, match="1 of 4 cases could not be prepared") as raised:
            build_store(dataset, SETTINGS, tmp_path / name, workers)
        told.append(raised.value.problems)
    assert told[0] == told[1]


def test_nothing_is_prepared_beside_a_share_at_work(dataset, tmp_path):
    root = tmp_path / "store"
    build_store(dataset, SETTINGS, root, InShares(root))
    with (
        folder_lock(share_folder(root, 1)),
        pytest.raises(InputError, match=r"shares/1: in use by process \d+ on "),
    ):
        build_store(dataset, SETTINGS, root, workers=1)


def test_a_share_that_was_not_worked_on_has_no_word_of_its_cases(dataset, tmp_path):
    folder = share_folder(tmp_path, 0)
    write_share(folder, [CaseTask(dataset.cases[0], LABELS, SETTINGS, tmp_path / "x", {})])
    with pytest.raises(InputError, match="problems.json: no such file"):
        read_problems(folder)
