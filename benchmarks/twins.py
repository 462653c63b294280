"""How surely one scan is known again: twins made in many ways against all pairs of different scans.

    python benchmarks/twins.py DIR [DIR ...] [--quick]

Every folder holds scans of one kind, one per patient. The most alike pair of different scans says
where the threshold must lie, the least alike twin of each kind what is missed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import ndimage

from dvcl.leaks.fingerprint import coarse_look
from dvcl.leaks.likeness import ALIKE, SAME_SCAN, likeness
from dvcl.volume import Volume, is_volume, read_volume

Change = Callable[[np.ndarray], np.ndarray]

RANDOM = np.random.default_rng(0)


def cropped(share: float) -> Change:
    """Take a share of every axis away at both ends."""

    def crop(array: np.ndarray) -> np.ndarray:
        ends = [max(1, round(size * share)) for size in array.shape]
        return array[tuple(slice(end, -end) for end in ends)]

    return crop


def noisy(array: np.ndarray) -> np.ndarray:
    """Add noise of a twentieth of the range."""
    low, high = np.percentile(array, (1, 99))
    return array + RANDOM.normal(0, 0.05 * (high - low), array.shape)


def zoomed(*factors: float) -> Change:
    """Resample linearly."""
    return lambda array: ndimage.zoom(array, factors, order=1, mode="nearest")


TWINS: dict[str, Change] = {
    "another unit (2 x + 1024)": lambda a: 2 * a + 1024,
    "gamma 0.6": lambda a: (a - a.min()) ** 0.6,
    "noise, 5 % of the range": noisy,
    "percentiles 5 to 95 kept": lambda a: np.clip(a, *np.percentile(a, (5, 95))),
    "-1000 to 400 HU in 8 bits": lambda a: np.rint((np.clip(a, -1000, 400) + 1000) / 1400 * 255),
    "-160 to 240 HU": lambda a: np.clip(a, -160, 240),
    "resampled by 0.6": zoomed(0.6, 0.6, 0.6),
    "resampled by 0.5, 0.7, 0.7": zoomed(0.5, 0.7, 0.7),
    "resampled by 1.4": zoomed(1.4, 1.4, 1.4),
    "mirrored, left to right": lambda a: a[:, :, ::-1],
    "turned by two axes": lambda a: a[::-1, ::-1],
    "padded by 10 voxels": lambda a: np.pad(a, 10, constant_values=a.min()),
    "cropped, 2 voxels each side": lambda a: a[2:-2, 2:-2, 2:-2],
    "cropped, 5 % each side": cropped(0.05),
    "cropped, 10 % each side": cropped(0.1),
    "top tenth gone": lambda a: a[: -(len(a) // 10)],
    "top fifth gone": lambda a: a[: -(len(a) // 5)],
    "all of: by 0.6, 5 % cropped, noise": lambda a: noisy(cropped(0.05)(zoomed(0.6, 0.6, 0.6)(a))),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--quick", action="store_true", help="twins of every tenth scan")
    arguments = parser.parse_args()
    for folder in arguments.folders:
        measure([read_volume(path) for path in sorted(folder.rglob("*")) if is_scan(path)],
                str(folder), 10 if arguments.quick else 3)  # fmt: skip


def is_scan(path: Path) -> bool:
    return is_volume(path) and "label" not in path.parent.name


def measure(scans: list[Volume], name: str, step: int) -> None:
    start = time.process_time()
    looks = np.stack([coarse_look(scan) for scan in scans])
    looked = time.process_time()
    alike = likeness(looks)
    compared = time.process_time()
    pairs = np.sort(alike[np.triu_indices(len(scans), 1)])
    sizes = (
        f"{1000 * (looked - start) / len(scans):.0f} ms each, {compared - looked:.1f} s to compare"
    )
    print(f"{name}: {len(scans)} scans, {sizes}")
    print(f"{len(pairs)} different pairs: median {np.median(pairs):.3f}", end=", ")
    print(f"99.9 % under {np.quantile(pairs, 0.999):.3f}, the most alike {pairs[-5:].round(3)}")
    print(f"at least {ALIKE}: {(pairs >= ALIKE).sum()}", end=", ")
    print(f"at least {SAME_SCAN}: {(pairs >= SAME_SCAN).sum()}")
    chosen = range(0, len(scans), step)
    print(f"twins of {len(chosen)}: least, median, share told ({ALIKE}), refused ({SAME_SCAN})")
    for title, change in TWINS.items():
        if "HU" in title and scans[0].array.min() >= 0:
            continue
        made = [
            Volume(np.ascontiguousarray(change(scans[i].array)), scans[i].affine) for i in chosen
        ]
        twins = np.stack([coarse_look(twin) for twin in made])
        found = np.diag(likeness(twins, looks[list(chosen)]))
        shares = [(found >= limit).mean() for limit in (ALIKE, SAME_SCAN)]
        print(f"  {title:36} {found.min():.2f} {np.median(found):.2f} "
              f"{shares[0]:4.0%} {shares[1]:4.0%}")  # fmt: skip


if __name__ == "__main__":
    main()
