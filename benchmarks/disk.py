"""Patches per second from a memory-mapped store: in memory, and read from the disk each time.

    python benchmarks/disk.py [--quick] [--work DIR] [--cases 24] [--patches 200]

A store larger than the memory is met in random order, so that a case is gone from memory before
its turn comes again: that is imitated by dropping a case's pages before every patch
(posix_fadvise), which takes no memory from others. Patches of 64 x 128 x 128 are cut from CT of
FLARE22's usual size, 160 x 280 x 280 voxels of 16 bits.

Ways: as dvcl stores and reads; with MADV_RANDOM, which turns readahead off; with MADV_WILLNEED for
the slices of the patch, which asks for all of them at once; and in blocks of 32 x 32 x 32 voxels,
of which a patch reads those it touches. Beside the time: what a patch reads from the disk
(/proc/self/io), and in how many separate pieces of the file it lies.
"""

from __future__ import annotations

import argparse
import mmap
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from measuring import MIB, print_table

from dvcl.sampling.patches import Start, copy_scaled_patch, uniform_start

SHAPE, PATCH = (160, 280, 280), (64, 128, 128)
SIDE = 32
Cut = Callable[[Path, Start, np.ndarray], None]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="4 cases, 20 patches")
    parser.add_argument("--work", type=Path, help="on the disk that is to be measured")
    parser.add_argument("--cases", type=int, default=24, help="default %(default)s, 25 MB each")
    parser.add_argument("--patches", type=int, default=200, help="default %(default)s")
    given = parser.parse_args()
    cases, patches = (4, 20) if given.quick else (given.cases, given.patches)
    with tempfile.TemporaryDirectory(dir=given.work) as folder:
        plain, blocks = write_store(Path(folder), cases)
        rows = [
            row(name, cut, files, patches)
            for name, cut, files in (
                ("as dvcl reads", plain_cut(None), plain),
                ("MADV_RANDOM", plain_cut(mmap.MADV_RANDOM), plain),
                ("MADV_WILLNEED, slices", willing_cut, plain),
                ("blocks of 32", block_cut, blocks),
            )
        ]
    header = ("patches", "warm /s", "cold /s", "cold, by the clock /s", "MiB each", "pieces each")
    print_table(header, rows)


def write_store(folder: Path, cases: int) -> tuple[list[Path], list[Path]]:
    """The same voxels as .npy and in blocks."""
    plain, blocks = [], []
    for case in range(cases):
        random = np.random.default_rng(case)
        array = random.integers(-30000, 30000, SHAPE, dtype=np.int16)
        plain.append(folder / f"{case}.npy")
        np.save(plain[-1], array)
        counts = tuple(-(-size // SIDE) for size in SHAPE)
        padding = [(0, n * SIDE - size) for n, size in zip(counts, SHAPE, strict=True)]
        cells = np.pad(array, padding).reshape(counts[0], SIDE, counts[1], SIDE, counts[2], SIDE)
        blocks.append(folder / f"{case}-blocks.npy")
        np.save(blocks[-1], np.ascontiguousarray(cells.transpose(0, 2, 4, 1, 3, 5)))
    for path in (*plain, *blocks):
        drop(path, flush=True)
    return plain, blocks


def drop(path: Path, flush: bool = False) -> None:
    """Take a file's pages out of the memory."""
    file = os.open(path, os.O_RDONLY)
    if flush:
        os.fsync(file)
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(file)


def plain_cut(advice: int | None) -> Cut:
    def cut(path: Path, start: Start, target: np.ndarray) -> None:
        array = np.load(path, mmap_mode="r")
        if advice is not None:
            array._mmap.madvise(advice)
        copy_scaled_patch(array, start, target, 1e-4, 0.5)

    return cut


def willing_cut(path: Path, start: Start, target: np.ndarray) -> None:
    array = np.load(path, mmap_mode="r")
    slice_bytes = array.strides[0]
    first = array.offset + start[0] * slice_bytes
    first -= first % mmap.PAGESIZE
    array._mmap.madvise(mmap.MADV_WILLNEED, first, PATCH[0] * slice_bytes)
    copy_scaled_patch(array, start, target, 1e-4, 0.5)


def block_cut(path: Path, start: Start, target: np.ndarray) -> None:
    """Copy the part of every block that lies in the patch."""
    blocks = np.load(path, mmap_mode="r")
    ends = [first + size for first, size in zip(start, PATCH, strict=True)]
    counts = [range(a // SIDE, -(-b // SIDE)) for a, b in zip(start, ends, strict=True)]
    for place in ((z, y, x) for z in counts[0] for y in counts[1] for x in counts[2]):
        inside, outside = [], []
        for index, first, end in zip(place, start, ends, strict=True):
            low, high = max(first, index * SIDE), min(end, (index + 1) * SIDE)
            inside.append(slice(low - index * SIDE, high - index * SIDE))
            outside.append(slice(low - first, high - first))
        target[tuple(outside)] = blocks[place][tuple(inside)]
    target *= np.float32(1e-4)
    target += np.float32(0.5)


def row(name: str, cut: Cut, files: list[Path], patches: int) -> tuple[str | float, ...]:
    """Patches a second by the processor and by the clock, and what one patch reads."""
    target = np.empty(PATCH, dtype=np.float32)
    seconds = {}
    for state in ("cold", "warm"):
        random = np.random.default_rng(1)
        processor = clock = 0.0
        before = bytes_read()
        for number in range(patches):
            path = files[number % len(files)]
            start = uniform_start(SHAPE, PATCH, random)
            if state == "cold":
                drop(path)
            elif number == 0:
                for file in files:
                    file.read_bytes()
            began = time.process_time(), time.perf_counter()
            cut(path, start, target)
            processor += time.process_time() - began[0]
            clock += time.perf_counter() - began[1]
        seconds[state] = processor, clock
        if state == "cold":
            read = (bytes_read() - before) / patches / MIB
    warm, cold = seconds["warm"], seconds["cold"]
    pieces = np.prod(PATCH[:2]) if cut is not block_cut else block_pieces()
    return name, patches / warm[0], patches / cold[0], patches / cold[1], read, float(pieces)


def block_pieces() -> float:
    """Blocks that a patch touches, on average."""
    random = np.random.default_rng(1)
    starts = np.array([uniform_start(SHAPE, PATCH, random) for _ in range(1000)])
    ends = -(-(starts + PATCH) // SIDE)
    return float(np.prod(ends - starts // SIDE, axis=1).mean())


def bytes_read() -> int:
    """From the disk, by this process."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("read_bytes"))


if __name__ == "__main__":
    main()
