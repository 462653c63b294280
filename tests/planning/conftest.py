"""Fingerprints made up from a few numbers, so that rules can be tried without files."""

from collections.abc import Callable

import pytest

from dvcl.planning.case_facts import CaseFacts, OrganFacts
from dvcl.planning.fingerprint import Fingerprint

MakeFingerprint = Callable[..., Fingerprint]


@pytest.fixture
def fingerprint() -> MakeFingerprint:
    """fingerprint(spacing_mm=..., shape=..., body_mm=..., organs={name: (across mm, HU)})."""

    def make(
        spacing_mm=(2.5, 0.8, 0.8),
        shape=(100, 512, 512),
        body_mm=None,
        organs=None,
        modality="CT",
        body_hu=(-900.0, -100.0, 30.0, 200.0, 900.0),
        counts=None,
        body_share=0.4,
    ) -> Fingerprint:
        organs = organs or {"liver": (60.0, 100.0), "left adrenal gland": (5.0, 60.0)}
        facts = {
            name: OrganFacts(across**3 / 1000, (across, across, across), (hu - 60,) * 2 + (hu,) * 3)
            for name, (across, hu) in organs.items()
        }
        field = tuple(n * mm for n, mm in zip(shape, spacing_mm, strict=True))
        case = CaseFacts(
            "a", "labelled", shape, spacing_mm, "LPI", -1000.0, body_share, body_mm or field,
            body_hu, facts,
        )  # fmt: skip
        counts = counts or {"labelled": 1}
        return Fingerprint("made up", modality, tuple(organs), counts, (case,))

    return make
