"""Which intensities the network sees."""

from __future__ import annotations

import math

from dvcl.planning.choice import Choice
from dvcl.planning.fingerprint import Fingerprint
from dvcl.preprocessing.prepare import Preprocessing

# With it head-and-neck scans were learned faster than with the paper's -325 to 325 HU.
SOFT_TISSUE_HU = (-160.0, 240.0)
# Brighter is bone or metal: it saturates, and stays apart from all soft tissue.
BONE_HU = 400.0
MARGIN_HU, STEP_HU = 50.0, 20.0
# Body tissue lies around water and fat; a median beyond that is not in HU.
PLAUSIBLE_BODY_HU = (-200.0, 200.0)
AIRY_SHARE = 0.8

MEDIAN = 2  # among `PERCENTILES`
LOW = 1


def choose_intensity_window(fingerprint: Fingerprint) -> Choice:
    """Soft tissue for CT, moved only for organs that would vanish; none for MR."""
    if fingerprint.modality == "MR":
        return Choice(None, "MR has no units: only the percentiles below make scans alike.")
    median = fingerprint.body_intensity[MEDIAN]
    if not is_in_hu(fingerprint):
        return Choice(
            None,
            f"The median inside the body is {median:.0f}: these are not HU, so no window fits. "
            "Convert the scans, or give --modality MR.",
        )
    low, high = SOFT_TISSUE_HU
    medians = {n: organ.intensity[MEDIAN] for n, organ in fingerprint.typical_organs.items()}
    airy = [n for n, hu in medians.items() if hu < low]
    bright = [n for n, hu in medians.items() if high - MARGIN_HU < hu <= BONE_HU]
    if airy:
        least = min(fingerprint.typical_organs[n].intensity[LOW] for n in airy)
        low = math.floor(least / STEP_HU) * STEP_HU
    if bright:
        high = math.ceil((max(medians[n] for n in bright) + MARGIN_HU) / STEP_HU) * STEP_HU
    return Choice((low, high), _why((low, high), medians, airy, bright))


def choose_percentiles(fingerprint: Fingerprint) -> Choice:
    """Those of the paper: they hold for all kinds of scans that were tried."""
    body = ", ".join(f"{value:.0f}" for value in fingerprint.body_intensity)
    return Choice(
        Preprocessing().percentiles,
        "Become 0 and 1 in every scan; as in the paper. Inside the body the percentiles 0.5, 5, "
        f"50, 95 and 99.5 are {body}.",
    )


def is_in_hu(fingerprint: Fingerprint) -> bool:
    """Whether a CT's body has the density of one."""
    low, high = PLAUSIBLE_BODY_HU
    return low <= fingerprint.body_intensity[MEDIAN] <= high


def skips_air(fingerprint: Fingerprint) -> Choice:
    """Whether windows without a body are worth leaving out."""
    share = fingerprint.body_share
    skip = fingerprint.modality == "CT" and share < AIRY_SHARE
    why = "windows of nothing but air need no network" if skip else "hardly a window has only air"
    if fingerprint.modality == "MR":
        why = "MR has no value that surely is air"
    return Choice(skip, f"The body fills {share:.0%} of a scan; {why}.")


def _why(
    window: tuple[float, float], medians: dict[str, float], airy: list[str], bright: list[str]
) -> str:
    low, high = window
    inside = [hu for hu in medians.values() if low <= hu <= high]
    reason = (
        f"Soft tissue, in HU: the medians of {len(inside)} of {len(medians)} organs lie inside"
        + (f", from {min(inside):.0f} to {max(inside):.0f}." if inside else ".")
    )
    if airy:
        reason += f" Lowered for {_listed(airy, medians)}, which would be black."
    if bright:
        reason += f" Raised for {_listed(bright, medians)}, which would be white as bone."
    beyond = [name for name, hu in medians.items() if hu > high]
    if beyond:
        reason += f" {_listed(beyond, medians)} saturates, and is apart from the rest by that."
    return reason


def _listed(names: list[str], medians: dict[str, float]) -> str:
    return ", ".join(f"{name} ({medians[name]:.0f})" for name in names)
