"""Whether an image's numbers are what they are said to be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dvcl.datasets.checks.finding import Finding
from dvcl.datasets.dataset import Modality
from dvcl.errors import counted

# So many voxels, evenly spread, tell the peaks of a histogram.
SAMPLE = 200_000
PERCENTILES = (0.5, 50.0, 99.5)

AIR_HU = (-1100.0, -800.0)
TISSUE_HU = (-200.0, 200.0)  # fat about -100, muscle and organs 0 to 80
SCANNER_OFFSET = 1024.0  # CT as scanners store it: HU + 1024
FROM_AIR = 500.0  # tissue is that much brighter than air
BIN_HU = 20.0


@dataclass(frozen=True)
class Intensities:
    """An image's histogram in a few numbers.

    Attributes:
        low: The 0.5 percentile.
        middle: The median.
        high: The 99.5 percentile.
        tissue: The most frequent intensity among voxels at least 500 above ``low``, which in a CT
            is soft tissue; NaN where there are none.
    """

    low: float
    middle: float
    high: float
    tissue: float


def value_findings(path: Path, array: np.ndarray) -> Iterator[Finding]:
    """NaN, infinity, or one value everywhere."""
    lowest, highest = float(array.min()), float(array.max())
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        count = array.size - int(np.isfinite(array).sum())
        share = count / array.size
        in_words = f"{share:.2%}" if share >= 1e-4 else "under 0.01%"
        yield Finding(
            "not-finite",
            str(path),
            f"{counted(count, 'voxel')} ({in_words}) {'is' if count == 1 else 'are'} NaN or "
            "infinite; finite numbers were expected.",
            "Replace them (for CT with -1024, air; --fix does it with --fill-nan) or leave the "
            "case out.",
            numbers={"voxels": count, "share": share},
        )
    elif lowest == highest:
        yield Finding(
            "constant",
            str(path),
            f"every voxel has the value {lowest:g}; an image was expected.",
            "Export it again or leave the case out.",
            numbers={"value": lowest},
        )


def measure_intensities(array: np.ndarray) -> Intensities:
    """Percentiles and the tissue peak of an image with finite voxels, from an even sample."""
    flat = array.reshape(-1)
    sample = flat[:: max(1, flat.size // SAMPLE)].astype(np.float64)
    low, middle, high = (float(value) for value in np.percentile(sample, PERCENTILES))
    bright = sample[(sample > low + FROM_AIR) & (sample <= max(high, low + FROM_AIR))]
    return Intensities(low, middle, high, _peak(bright))


def unit_findings(path: Path, found: Intensities, modality: Modality) -> Iterator[Finding]:
    """A CT whose air and soft tissue are not where HU have them, and an MR where they are."""
    numbers = {"low": found.low, "tissue": found.tissue, "high": found.high}
    if modality == "MR":
        if _within(found.low, AIR_HU) and _within(found.tissue, TISSUE_HU):
            yield Finding(
                "looks-like-ct",
                str(path),
                f"air near {found.low:.0f} and soft tissue near {found.tissue:.0f}, as in CT; the "
                "modality is said to be MR.",
                "If it is CT, give --modality CT.",
                numbers=numbers,
            )
    elif _is_shifted(found):
        offset = SCANNER_OFFSET if found.tissue > 0 else -SCANNER_OFFSET
        yield Finding(
            "hu-offset",
            str(path),
            f"the darkest voxels are near {found.low:.0f} and soft tissue near {found.tissue:.0f}; "
            "HU have air near -1000 and soft tissue near 40.",
            f"If {offset:g} was added, subtract it; the header's intercept may have been lost. "
            "If it is MR, give --modality MR.",
            numbers=numbers,
        )
    elif found.low > -BIN_HU:
        yield Finding(
            "not-hu",
            str(path),
            f"has no negative values (nearly all from {found.low:.4g} to {found.high:.4g}); a CT "
            "in HU has air near -1000 and fat near -100.",
            "Export it in HU; if it is MR, give --modality MR.",
            numbers=numbers,
        )


def _is_shifted(found: Intensities) -> bool:
    # Where no air is in the picture the darkest voxels are tissue themselves, and say nothing.
    has_air = found.high - found.low > 2 * FROM_AIR
    return has_air and not np.isnan(found.tissue) and not _within(found.tissue, TISSUE_HU)


def _within(value: float, limits: tuple[float, float]) -> bool:
    return limits[0] <= value <= limits[1]


def _peak(values: np.ndarray) -> float:
    """The most frequent value, in steps of `BIN_HU`, smoothed over three steps."""
    if not values.size:
        return float("nan")
    first = np.floor(values.min() / BIN_HU)
    # Metal and wrong units reach far; the first bins hold all that can be tissue.
    steps = np.minimum(values / BIN_HU - first, 500).astype(np.int64)
    counts = np.convolve(np.bincount(steps), [1, 1, 1], mode="same")
    return (
        float((first + counts[:-1].argmax() + 0.5) * BIN_HU)
        if len(counts) > 1
        else float(values[0])
    )
