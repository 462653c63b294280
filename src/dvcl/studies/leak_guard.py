"""Before a split is used: no scan in two of its parts, and a word about what looks like it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any, TypedDict

from dvcl.errors import InputError
from dvcl.files import sha256_of_json, write_json
from dvcl.leaks.likeness import ALIKE, Progress
from dvcl.leaks.overlap import Twins, check_split, find_twins
from dvcl.leaks.patients import shared_patients
from dvcl.records import read_record
from dvcl.splits import Split
from dvcl.store import Store


class TwinsRecord(TypedDict):
    """twins.json."""

    key: str
    twins: list[dict[str, Any]]


def guard_split(split: Split, store: Store, allow_overlap: bool = False) -> tuple[Split, list[str]]:
    """Look for the same scan, and for hints at the same patient, in two parts of a split.

    Args:
        split: To use.
        store: Prepared cases, with their fingerprints.
        allow_overlap: Tell of the same scan in two parts instead of refusing it.

    Returns:
        The split, whose note tells of allowed overlaps; and all that is to be told before training.

    Raises:
        InputError: When the same scan occurs in two parts and this is not allowed.
    """
    told = check_split(split.parts(), stored_twins(store), allow_overlap)
    allowed = [line for line in told if line.startswith("Allowed overlap")]
    for patient, places in shared_patients(split.parts()).items():
        cases = ", ".join(f"{case_id} ({role})" for role, case_id in places)
        told.append(f"Perhaps one patient in two parts, by the ids ({patient}): {cases}.")
    return replace(split, note=" ".join([split.note, *allowed]).strip()), told


def stored_twins(store: Store, progress: Progress | None = None) -> list[Twins]:
    """Pairs of the store's cases that look like one scan; found once, then kept beside them."""
    fingerprints = store.fingerprints()
    seen = {case: (f.voxels_sha256, f.coarse is not None) for case, f in fingerprints.items()}
    key = sha256_of_json([seen, ALIKE])
    path = store.folder / "twins.json"
    with suppress(InputError), read_record(path, TwinsRecord, "It is made anew.") as record:
        if record["key"] == key:
            return [Twins(**pair) for pair in record["twins"]]
    twins = find_twins(fingerprints, progress)
    # A store on a disk that is only read is no reason not to train.
    with suppress(InputError):
        write_json(path, {"key": key, "twins": [asdict(pair) for pair in twins]})
    return twins
