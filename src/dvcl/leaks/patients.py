"""The same patient in two parts: ids only hint at it, so this is never more than a warning."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

# "patient12_scan1", "sub-01_ses-02", "pat7-b": what stands before the patient's number and what
# follows it behind a mark.
_NAMED = re.compile(r"^(.*?(?:patient|pat|subject|subj|sub|pt)[-_ ]?0*\d+)[-_. ].+$")
# "case_07_visit2", "LIVER3-followup": anything with a number, then a word for one of several scans.
_VISIT = re.compile(
    r"^(.*\d.*?)[-_. ]?(?:scan|session|ses|visit|study|series|phase|timepoint|time|tp|exam"
    r"|baseline|followup|follow-up|pre|post|arterial|venous|portal|delayed|native)[-_ ]?\d*$"
)
# "case_07_20190312", "case_07_2019-03-12": a number, then a day.
_DAY = re.compile(r"^(.*\d)[-_. ](?:19|20)\d\d[-_.]?[01]\d[-_.]?[0-3]\d$")


def patient_of(case_id: str) -> str | None:
    """The part of an id that names the patient where another part names the scan; else None.

    >>> patient_of("patient12_scan1")
    'patient12'
    """
    name = case_id.casefold()
    for pattern in (_NAMED, _VISIT, _DAY):
        if found := pattern.match(name):
            return found[1]
    return None


def shared_patients(parts: Mapping[str, Sequence[str]]) -> dict[str, list[tuple[str, str]]]:
    """Patients with cases in several parts, by what the ids hint at.

    Args:
        parts: Case ids by role.

    Returns:
        Patient -> its (role, case id).
    """
    places: dict[str, list[tuple[str, str]]] = {}
    for role, ids in parts.items():
        for case_id in ids:
            # "patient12" beside "patient12_scan1" is the same patient too.
            patient = patient_of(case_id) or case_id.casefold()
            places.setdefault(patient, []).append((role, case_id))
    return {
        patient: found
        for patient, found in places.items()
        if len({role for role, _ in found}) > 1 and len({case_id for _, case_id in found}) > 1
    }
