"""Which scans runs have in common: told by their voxels, as ids of two studies say nothing."""

from __future__ import annotations

from collections.abc import Iterable

from dvcl.store import StoredCase, open_store
from dvcl.studies.run import Run


def scans_of(run: Run, cases: Iterable[str]) -> dict[str, StoredCase]:
    """Prepared cases of a run by the hash of their voxels.

    Args:
        run: Whose study they belong to.
        cases: Their ids there.

    Raises:
        InputError: When the prepared cases are gone.
    """
    store = open_store(run.store)
    found = (store.case(case) for case in cases)
    return {case.fingerprint.voxels_sha256: case for case in found}
