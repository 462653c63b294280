"""The record of what a run has seen, ``seen.json``: taken at its training, read at prediction."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NotRequired, TypedDict, TypeVar

import numpy as np

from dvcl.datasets.dataset import Modality
from dvcl.errors import InputError
from dvcl.files import write_json
from dvcl.inference.largest import in_one_part
from dvcl.inference.seen import Organs, Seen, SeenScan, gather, look_at_organs, look_at_scan
from dvcl.methods import METHODS
from dvcl.records import Amount, Count, Positive, read_record
from dvcl.resources import usable_cores
from dvcl.store import Store
from dvcl.store.reading import StoredCase
from dvcl.studies.run import Run
from dvcl.volume import read_volume

# Labelled scans, and as many unlabelled ones: more hardly move the limits of what is expected.
LOOKED_AT = 50
MAX_WORKERS = 4  # each holds one scan

RECORD = "seen.json"

T = TypeVar("T")


class OrganRecord(TypedDict):
    """An organ of a label map in seen.json."""

    volume_ml: Positive
    centre_mm: list[float]
    scattered: Amount
    at_border: bool
    border_mm: NotRequired[Amount]


class SeenRecord(TypedDict):
    """seen.json."""

    modality: Modality
    of: Count
    codes: dict[str, Count]
    scans: list[dict[str, float]]
    label_maps: list[dict[str, OrganRecord]]
    one_part: NotRequired[list[str]]


def record_seen(run: Run, store: Store) -> None:
    """Look at what a run is to learn from and write it beside its weights, where it is not there.

    Scans whose files are gone or no longer fit are left out: a prepared study is trained without.
    """
    path = run.folder / RECORD
    if path.exists():
        return
    learns_unlabelled = METHODS[run.method].needs_unlabelled
    labelled = [store.case(case) for case in run.split.labelled]
    unlabelled = [store.case(case) for case in run.split.unlabelled if learns_unlabelled]
    chosen = [*_evenly(labelled), *_evenly(unlabelled)]

    def look(case: StoredCase) -> SeenScan | None:
        with suppress(InputError):
            return look_at_scan(case.source, read_volume(case.source), run.modality)
        return None

    with ThreadPoolExecutor(min(MAX_WORKERS, usable_cores())) as pool:
        scans = [scan for scan in pool.map(look, chosen) if scan is not None]
        # All of them: an organ in two parts in a single one is in two parts.
        organs = [*pool.map(lambda case: _organs(case, run), labelled)]
    count = len(labelled) + len(unlabelled)
    one_part = in_one_part(organs, run.labels)
    seen = gather(run.modality, count, scans, [*_evenly(organs)], one_part)
    write_json(path, seen.to_json())


def read_seen(run: Run) -> Seen:
    """What a run has seen; nothing for one of an earlier version, which wrote no such record.

    Raises:
        InputError: When the record is damaged.
    """
    path = run.folder / RECORD
    if not path.exists():
        return gather(run.modality, 0, [], [])
    with read_record(
        path, SeenRecord, "Delete it and give the run's training command again."
    ) as record:
        return Seen.from_json(record)


def _organs(case: StoredCase, run: Run) -> Organs:
    assert case.label is not None, f"{case.id} is a labelled case"
    return look_at_organs(np.asarray(case.label), case.grid.prepared, run.labels)


def _evenly(every: Sequence[T]) -> Sequence[T]:
    step = max(1, -(-len(every) // LOOKED_AT))
    return every[::step]
