"""One whole case, from .nii.gz to the store, against MONAI, TorchIO, SimpleITK and nnU-Net.

Claim: a CT of 512 x 512 x 110 voxels with its label is prepared at order 1 in at most 0.2 of
MONAI's time and not slower than by SimpleITK, at order 3 in at most 0.15 of nnU-Net's, with a peak
under 250 MiB and less than 0.001 HU from scipy's interpolation in float64.

    python benchmarks/preparation.py [--quick]

The store's hashes, 16-bit integers and places of organs are included in dvcl's time. "Reading" is
the same two files through each one's own reader, most of it gunzip: the floor of every whole. Peers
that are not installed are left out and named; they may want an environment of their own
(PYTHONPATH=src OTHER/bin/python benchmarks/preparation.py).
"""

from __future__ import annotations

import importlib.util
import statistics
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from measuring import in_fresh_process, options, peak_mib, print_table, timed, verdict
from preparation_peers import ORIENTATION, PEERS, PERCENTILES, SPACING_MM, WINDOW
from scipy import ndimage

from dvcl.datasets.dataset import Case, LabelTable
from dvcl.preprocessing.prepare import Preprocessing
from dvcl.preprocessing.resampling import resample
from dvcl.store.task import CaseTask
from dvcl.store.writing import write_case
from dvcl.volume import Volume, read_label, read_volume, write_volume

SHAPE, QUICK_SHAPE, TINY_SHAPE = (110, 512, 512), (40, 192, 192), (12, 24, 24)
SOURCE_MM = (2.27, 0.8, 0.8)
CLASSES = 14
LABELS = LabelTable(tuple(range(CLASSES)), tuple(f"organ {k}" for k in range(CLASSES)))


def write_scan(folder: Path, shape: tuple[int, int, int]) -> None:
    """An elliptic body of soft tissue with noise, bones, and blobs of 13 organs."""
    random = np.random.default_rng(0)
    y, x = (np.linspace(-1, 1, size) for size in shape[1:])
    coarse = random.normal(size=(8, 16, 16))
    ratios = [n / m for n, m in zip(shape, coarse.shape, strict=True)]
    smooth = ndimage.zoom(coarse, ratios, order=1, grid_mode=True, mode="nearest")
    inside = np.hypot(y[:, None] / 0.7, x / 0.85) < 1
    tissue = 40 + 60 * smooth + 500 * (smooth > 1.8)
    image = np.where(inside, tissue, -1000) + random.normal(size=shape) * np.where(inside, 20, 8)
    organs = np.where(inside & (smooth > 0.4), 1 + smooth * 4, 0).clip(0, CLASSES - 1)
    affine = np.diag([-SOURCE_MM[2], -SOURCE_MM[1], SOURCE_MM[0], 1.0])
    write_volume(folder / "image.nii.gz", Volume(image.round().astype(np.int16), affine))
    write_volume(folder / "label.nii.gz", Volume(organs.astype(np.uint8), affine))


def ours(image: Path, label: Path, out: Path, order: int) -> None:
    settings = Preprocessing(ORIENTATION, SPACING_MM, WINDOW, PERCENTILES, order)
    write_case(CaseTask(Case("case", image, label), LABELS, settings, out, {}))


def ours_read(image: Path, label: Path) -> None:
    read_volume(image, dtype=None)
    read_label(label)


VARIANTS = {"dvcl": ("dvcl", ours, ours_read), **PEERS}


def measure(name: str, folder: Path, order: int, threads: int, peak: bool) -> tuple[float, ...]:
    """MiB of a whole case; or its seconds, and those of reading alone."""
    torch.set_num_threads(threads)
    _, prepare, read = VARIANTS[name]
    files = folder / "image.nii.gz", folder / "label.nii.gz"
    with tempfile.TemporaryDirectory() as out:
        # Whatever is loaded on first use is loaded by a tiny case.
        tiny = [folder / "tiny" / path.name for path in files]
        (Path(out) / "tiny").mkdir()
        prepare(*tiny, Path(out) / "tiny", order)
        read(*tiny)
        whole = partial(prepare, *files, Path(out), order)
        return (peak_mib(whole),) if peak else (timed(whole), timed(partial(read, *files)))


def difference_hu(folder: Path, order: int) -> float:
    """Largest distance to scipy in float64, before the scale."""
    volume = read_volume(folder / "image.nii.gz", dtype=None)
    grid = Preprocessing(ORIENTATION, SPACING_MM).grid(volume.geometry)
    expected = ndimage.affine_transform(
        grid.moves.apply(volume.array).clip(*WINDOW).astype(np.float64),
        grid.steps, grid.starts, grid.prepared.shape, order=order, mode="nearest",
    )  # fmt: skip
    return float(np.abs(resample(volume.array, grid, order, WINDOW) - expected).max())


def compare(names: list[str], folder: Path, order: int, threads: int, repeats: int) -> dict:
    """Print the table of one order; medians of whole seconds, reading and MiB by name."""
    rounds = {name: [] for name in names}
    for turn in range(repeats):
        # One look at nnU-Net is enough: a factor is at stake, not percents.
        for name in names if turn == 0 else [name for name in names if name != "nnU-Net"]:
            call = partial(in_fresh_process, measure, name, folder, order, threads)
            (peak,) = call(True)
            rounds[name].append((*call(False, gives_back=False), peak))
    found = {
        name: tuple(statistics.median(column) for column in zip(*values, strict=True))
        for name, values in rounds.items()
    }
    whole, reading, _ = found["dvcl"]
    rows = [
        (name, s, whole / s, r, s - r, (whole - reading) / (s - r), mib)
        for name, (s, r, mib) in found.items()
    ]
    head = (f"order {order}", "s", "dvcl / it", "reading", "the rest", "dvcl / it", "MiB")
    print_table(head, rows)
    return found


def main() -> None:
    chosen = options(__doc__, repeats=3)
    names = [name for name, (module, *_) in VARIANTS.items() if importlib.util.find_spec(module)]
    for name in VARIANTS.keys() - set(names):
        print(f"{name} is not installed here and is left out")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_scan(folder, QUICK_SHAPE if chosen.quick else SHAPE)
        write_scan(folder / "tiny", TINY_SHAPE)
        sizes = [(folder / name).stat().st_size / 1e6 for name in ("image.nii.gz", "label.nii.gz")]
        print(f"image {sizes[0]:.1f} MB, label {sizes[1]:.1f} MB, compressed")
        found = {o: compare(names, folder, o, chosen.threads, chosen.repeats) for o in (1, 3)}
        for order, peer, limit in ((1, "MONAI", 0.2), (1, "SimpleITK", 1.0), (3, "nnU-Net", 0.15)):
            if peer in names:
                ratio = found[order]["dvcl"][0] / found[order][peer][0]
                verdict(f"order {order}: time relative to {peer}", ratio, limit)
        for order in (1, 3):
            verdict(f"order {order}: peak memory, MiB", found[order]["dvcl"][2], 250)
            verdict(f"order {order}: HU from scipy", difference_hu(folder, order), 1e-3)


if __name__ == "__main__":
    main()
