"""The same scan in two parts of a split makes results too good: found under any name."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dvcl.errors import InputError
from dvcl.leaks.fingerprint import ScanFingerprint
from dvcl.leaks.likeness import SAME_SCAN, Progress
from dvcl.leaks.search import alike_pairs

Parts = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Twins:
    """Two cases that look like one scan.

    Attributes:
        first: Case id.
        second: Case id.
        likeness: Of both, in [`ALIKE`, 1]; 1 for the same voxels.
        same_voxels: Whether their voxel values are equal.
    """

    first: str
    second: str
    likeness: float
    same_voxels: bool

    @property
    def is_certain(self) -> bool:
        """Whether this is to be refused, rather than looked at."""
        return self.same_voxels or self.likeness >= SAME_SCAN

    def in_words(self) -> str:
        """How they are alike: "the same voxels", or with the number."""
        return "the same voxels" if self.same_voxels else f"likeness {self.likeness:.2f}"


def find_twins(
    fingerprints: Mapping[str, ScanFingerprint], progress: Progress | None = None
) -> list[Twins]:
    """Find all pairs with the same voxels, or so alike that they may be one scan.

    Args:
        fingerprints: By case id; those without a coarse look are compared by their voxels alone.
        progress: Called with (scans done, scans in all, "").
    """
    ids = list(fingerprints)
    looks = {
        i: look for i, case in enumerate(ids) if (look := fingerprints[case].coarse) is not None
    }
    alike = alike_pairs(np.array([*looks.values()]), progress=progress)
    looked = list(looks)
    found = {(looked[i], looked[j]): likeness for (i, j), likeness in alike.items()}
    same = _same_voxels([fingerprints[case].voxels_sha256 for case in ids])
    return [
        Twins(ids[i], ids[j], 1.0 if (i, j) in same else found[i, j], (i, j) in same)
        for i, j in sorted(same | found.keys())
    ]


def _same_voxels(hashes: Sequence[str]) -> set[tuple[int, int]]:
    places: dict[str, list[int]] = {}
    for i, voxels in enumerate(hashes):
        places.setdefault(voxels, []).append(i)
    return {pair for equal in places.values() for pair in itertools.combinations(equal, 2)}


def check_split(parts: Parts, twins: Sequence[Twins], allow: bool = False) -> list[str]:
    """Make sure that no scan serves two purposes, under whatever names and orientations.

    Args:
        parts: Case ids by role, as `Split.parts` returns them.
        twins: Of `find_twins`.
        allow: Tell of overlaps instead of refusing them.

    Returns:
        What to tell: pairs that are alike without being surely one scan, and, with ``allow``, all.

    Raises:
        InputError: When an id, the same voxels or the same scan occur in two parts; lists every
            such pair.
    """
    role_of: dict[str, str] = {}
    problems: list[str] = []
    doubts: list[str] = []
    for role, ids in parts.items():
        double = [case_id for case_id in ids if role_of.setdefault(case_id, role) != role]
        problems += [f"{case} ({role_of[case]}) and {case} ({role})" for case in double]
    for pair in twins:
        roles = role_of.get(pair.first), role_of.get(pair.second)
        if None in roles or roles[0] == roles[1]:
            continue
        words = f"{pair.first} ({roles[0]}) and {pair.second} ({roles[1]}): {pair.in_words()}"
        (problems if pair.is_certain else doubts).append(words)
    if problems and not allow:
        raise InputError(
            problems,
            heading="the same scan occurs in two parts of the split, so results would be too "
            "good; remove one case of each pair from the data set, or take it as it is with "
            "--allow-overlap:",
        )
    return [
        *(f"Allowed overlap: {words}." for words in problems),
        *(f"Look at these, they are alike: {words}." for words in doubts),
    ]
