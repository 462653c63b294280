"""The same scan in two parts of a split makes results too good: found under any name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dvcl.errors import InputError


def check_split(parts: Mapping[str, Sequence[str]], hashes: Mapping[str, str]) -> None:
    """Make sure that no scan serves two purposes, under whatever names and orientations.

    Args:
        parts: Case ids by role, as `Split.parts` returns them.
        hashes: Case id -> hash of its voxel content; ids without a hash are compared by id alone.

    Raises:
        InputError: When an id or the same voxels occur in two parts; lists every such pair.
    """
    first_seen: dict[str, tuple[str, str]] = {}
    problems = []
    for role, ids in parts.items():
        for case_id in ids:
            other_role, other = first_seen.setdefault(hashes.get(case_id, case_id), (role, case_id))
            if other_role != role:
                problems.append(f"{other} ({other_role}) and {case_id} ({role})")
    if problems:
        raise InputError(
            problems,
            heading="the same voxels occur in two parts of the split, so results would be too "
            "good; remove one case of each pair from the data set:",
        )
