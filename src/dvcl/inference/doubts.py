"""Doubts about a prediction: a scan, and then its mask, held against what the run has seen."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from dvcl.datasets.checks import Finding
from dvcl.inference.expectation import expected_range
from dvcl.inference.seen import Organs, Seen, SeenScan

LOOK = "Look at scan and mask before you use them."


@dataclass(frozen=True)
class Quantity:
    """A number of a scan.

    Attributes:
        code: Of a finding about it.
        words: What it is.
        unit: For messages.
        usual_spread: Standard deviation between scans of one kind; of the logarithm, but for HU,
            which have no ratios.
    """

    code: str
    words: str
    unit: str
    usual_spread: float

    @property
    def is_ratio(self) -> bool:
        """Whether it is compared by its logarithm."""
        return self.unit != "HU"


QUANTITIES = {
    "tissue": Quantity("unlike-intensities", "the most frequent intensity of tissue", "HU", 30.0),
    "body_low": Quantity("unlike-intensities", "the 5th percentile in the body", "HU", 200.0),
    "body_middle": Quantity("unlike-intensities", "the median in the body", "HU", 40.0),
    "body_high": Quantity("unlike-intensities", "the 95th percentile in the body", "HU", 100.0),
    "spacing_z": Quantity("unlike-spacing", "the spacing along the body", "mm", 0.3),
    "spacing_y": Quantity("unlike-spacing", "the spacing from front to back", "mm", 0.3),
    "spacing_x": Quantity("unlike-spacing", "the spacing from side to side", "mm", 0.3),
    "field_z": Quantity("unlike-field", "the field of view along the body", "mm", 0.15),
    "field_y": Quantity("unlike-field", "the field of view from front to back", "mm", 0.15),
    "field_x": Quantity("unlike-field", "the field of view from side to side", "mm", 0.15),
    "section_small": Quantity("unlike-body", "the body's smallest cross-section", "cm²", 0.2),
    "section_middle": Quantity("unlike-body", "the body's median cross-section", "cm²", 0.15),
    "section_large": Quantity("unlike-body", "the body's largest cross-section", "cm²", 0.25),
}

# Standard deviation between people, of the logarithm of an organ's volume.
VOLUME_SPREAD = 0.35
# And of the place of one organ beside another: a share of their distance, and so much more.
PLACE_SPREAD, PLACE_SPREAD_MM = 0.15, 2.0
# An organ is scattered when this share of its volume lies outside its largest part, and twice that
# of any label map that was learned from.
SCATTERED = 0.25
# An order is certain when all label maps show it, by so much and half of the mean, along an axis
# that makes up half of their distance.
ORDERED_MM = 5.0
LISTED = 3

DIRECTIONS = (("left", "right"), ("back", "front"), ("feet", "head"))


def scan_doubts(path: Path, scan: SeenScan, seen: Seen) -> list[Finding]:
    """What is unlike the scans of the training; also what the check of a data set warns of.

    Args:
        path: Of the scan.
        scan: What it is like.
        seen: By the run.
    """
    doubts = [finding for finding in scan.findings if finding.code not in seen.usual_codes]
    for name, quantity in QUANTITIES.items():
        if name in scan.numbers and (values := seen.values(name)):
            doubts += _unexpected(path, quantity, scan.numbers[name], values)
    return doubts


def mask_doubts(path: Path, organs: Organs, seen: Seen) -> list[Finding]:
    """What is unlike the label maps of the training.

    Args:
        path: Of the mask.
        organs: That it shows.
        seen: By the run.
    """
    doubts = [*_missing(path, organs, seen)]
    for name in organs:
        doubts += _odd_volume(path, name, organs, seen)
        doubts += _in_pieces(path, name, organs, seen)
    return [*doubts, *_exchanged(path, organs, seen), *_far_away(path, organs, seen)]


def _unexpected(
    path: Path, quantity: Quantity, value: float, values: list[float]
) -> Iterator[Finding]:
    low, high = _range(values, quantity.usual_spread, quantity.is_ratio)
    if not low <= value <= high:
        yield Finding(
            quantity.code,
            str(path),
            f"{quantity.words} is {value:.4g} {quantity.unit}; the {len(values)} training scans "
            f"have {min(values):.4g} to {max(values):.4g}, and {low:.4g} to {high:.4g} was "
            "expected.",
            "Check that it is a scan of the kind that the run was trained on.",
            numbers={"value": value, "low": low, "high": high},
        )


def _missing(path: Path, organs: Organs, seen: Seen) -> Iterator[Finding]:
    shown = [set(label_map) for label_map in seen.organs]
    missing = sorted(set.intersection(*shown) - set(organs)) if shown else []
    if missing:
        yield Finding(
            "organ-missing",
            str(path),
            f"shows no {', no '.join(missing)}; all {len(shown)} training label maps do.",
            LOOK,
            numbers={"organs": missing},
        )


def _odd_volume(path: Path, name: str, organs: Organs, seen: Seen) -> Iterator[Finding]:
    volumes = [organ.volume_ml for organ in seen.of_organ(name)]
    if not volumes:
        return
    low, high = _range(volumes, VOLUME_SPREAD)
    volume = organs[name].volume_ml
    # Of an organ that the scan cuts any part may be seen.
    if volume > high or (volume < low and not organs[name].at_border):
        yield Finding(
            "organ-volume",
            str(path),
            f"{name} has {volume:.3g} ml; the {len(volumes)} training label maps have "
            f"{min(volumes):.3g} to {max(volumes):.3g}, and {low:.3g} to {high:.3g} was expected.",
            LOOK,
            numbers={"organ": name, "volume_ml": volume, "low": low, "high": high},
        )


def _in_pieces(path: Path, name: str, organs: Organs, seen: Seen) -> Iterator[Finding]:
    share = organs[name].scattered
    most = max((organ.scattered for organ in seen.of_organ(name)), default=0.0)
    if share > max(SCATTERED, 2 * most):
        yield Finding(
            "organ-parts",
            str(path),
            f"{name} is in pieces: {share:.0%} of its volume lies outside the largest one, in "
            f"training {'none' if most == 0 else f'at most {most:.1%}'}.",
            LOOK,
            numbers={"organ": name, "share": share},
        )


def _exchanged(path: Path, organs: Organs, seen: Seen) -> Iterator[Finding]:
    """Pairs of organs whose order is the other way round than in all label maps."""
    told = [
        f"{first} lies {abs(mm):.0f} mm nearer to the {DIRECTIONS[axis][int(mm > 0)]} than {second}"
        for first, second in combinations(organs, 2)
        for axis, mm in enumerate(_offset(organs, first, second))
        if _is_reversed(mm, _offsets(seen, first, second), axis)
    ]
    if told:
        more = f", and {len(told) - LISTED} more pairs" if len(told) > LISTED else ""
        yield Finding(
            "organs-exchanged",
            str(path),
            f"{'; '.join(told[:LISTED])}{more}; in every training label map it is the other way "
            "round.",
            f"Either organs are exchanged, or the scan's header mirrors it. {LOOK}",
            numbers={"pairs": len(told)},
        )


def _is_reversed(mm: float, trained: np.ndarray, axis: int) -> bool:
    if not trained.size:
        return False
    along, mean = trained[:, axis], float(trained[:, axis].mean())
    least = float((along * np.sign(mean)).min())
    leads = abs(mean) >= np.linalg.norm(trained.mean(axis=0)) / 2
    is_certain = leads and least > max(ORDERED_MM, abs(mean) / 2)
    return bool(is_certain and mm * np.sign(mean) < -least / 2)


def _far_away(path: Path, organs: Organs, seen: Seen) -> Iterator[Finding]:
    """Organs that lie elsewhere beside the others, the one that most pairs speak against first."""
    whole = [name for name, organ in organs.items() if not organ.at_border]
    astray = {pair: mm for pair in combinations(whole, 2) if (mm := _astray(organs, seen, *pair))}
    while astray:
        counts = {name: sum(name in pair for pair in astray) for name in whole}
        name = max(counts, key=lambda organ: counts[organ])
        pair, mm = max(((p, mm) for p, mm in astray.items() if name in p), key=lambda item: item[1])
        other = pair[pair[0] == name]
        yield Finding(
            "organ-far",
            str(path),
            f"{name} lies {mm:.0f} mm from where the training label maps have it beside {other}.",
            LOOK,
            numbers={"organ": name, "beside": other, "distance_mm": mm},
        )
        astray = {pair: mm for pair, mm in astray.items() if name not in pair}


def _astray(organs: Organs, seen: Seen, first: str, second: str) -> float:
    """How many mm an organ lies from its usual place beside another; 0 where that is believable."""
    trained = _offsets(seen, first, second)
    if not trained.size:
        return 0.0
    offset, mean = _offset(organs, first, second), trained.mean(axis=0)
    spread = PLACE_SPREAD * float(np.linalg.norm(mean)) + PLACE_SPREAD_MM
    ranges = [expected_range(axis.tolist(), spread) for axis in trained.T]
    if all(low <= mm <= high for mm, (low, high) in zip(offset, ranges, strict=True)):
        return 0.0
    return float(np.linalg.norm(offset - mean))


def _offset(organs: Organs, first: str, second: str) -> np.ndarray:
    """From the second organ's centre to the first one's: (x, y, z) in mm."""
    return np.subtract(organs[first].centre_mm, organs[second].centre_mm)


def _offsets(seen: Seen, first: str, second: str) -> np.ndarray:
    """The same in all label maps that show both: (n, 3)."""
    both = [organs for organs in seen.organs if first in organs and second in organs]
    return np.array([_offset(organs, first, second) for organs in both]).reshape(-1, 3)


def _range(values: list[float], usual_spread: float, is_ratio: bool = True) -> tuple[float, float]:
    if not is_ratio:
        return expected_range(values, usual_spread)
    low, high = expected_range([math.log(value) for value in values], usual_spread)
    return math.exp(low), math.exp(high)
