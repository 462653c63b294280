"""Files in each other's place: label maps among the scans, images among the label maps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dvcl.datasets.checks.finding import Finding
from dvcl.volume import volume_stem

LABEL_NAME = re.compile(
    r"(^|[_.\-])(seg|segmentation|label|labels|labelmap|mask|gt)$", re.IGNORECASE
)
SAMPLE = 200_000  # voxels, evenly spread
FEW_VALUES = 32  # a scan of any kind has many more
SAME = 0.99  # correlation between an image and the same image in other units


def label_map_findings(path: Path, array: np.ndarray) -> Iterator[Finding]:
    """An unlabelled scan that has the name or the values of a label map."""
    values = np.unique(_sample(array))
    are_few = 1 < len(values) <= FEW_VALUES and bool((values == np.rint(values)).all())
    is_named = LABEL_NAME.search(volume_stem(path)) is not None
    if are_few or is_named:
        said = f"holds {len(values)} whole numbers" if are_few else "has the name of one"
        yield Finding(
            "looks-like-labels",
            str(path),
            f"is taken as an unlabelled scan, but looks like a label map: it {said}.",
            "If it is one, move it away: networks would learn from it as from a scan.",
            numbers={"values": len(values)},
        )


def image_findings(path: Path, label: np.ndarray, image: np.ndarray) -> Iterator[Finding]:
    """A label map that is its image, perhaps in other units; both (D, H, W) of one shape."""
    if label.shape != image.shape:
        return
    labels, intensities = (_sample(array).astype(np.float64) for array in (label, image))
    values = len(np.unique(labels))
    if 1 < values <= FEW_VALUES and np.array_equal(labels, intensities):
        yield Finding(
            "label-is-image",
            str(path),
            f"has the voxels of its scan, {values} whole numbers: a label map lies in the place of "
            "the scan too.",
            "Put the scan there.",
            numbers={"values": values, "correlation": 1.0},
        )
    if values <= FEW_VALUES or np.ptp(intensities) == 0 or not np.isfinite(intensities).all():
        return
    likeness = float(np.corrcoef(labels, intensities)[0, 1])
    if abs(likeness) > SAME:
        yield Finding(
            "label-is-image",
            str(path),
            f"is an image and no label map: {values} values that go with the intensities of its "
            f"scan (correlation {likeness:.3f}); organs were expected.",
            "Put the label map there.",
            numbers={"values": values, "correlation": likeness},
        )


def _sample(array: np.ndarray) -> np.ndarray:
    flat = array.reshape(-1)
    return flat[:: max(1, flat.size // SAMPLE)]
