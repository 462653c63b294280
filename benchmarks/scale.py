"""What many scans and many runs cost: time, memory and files, and how they grow.

    python benchmarks/scale.py [--quick] [--work DIR] [--sizes 500,1000,2000] [--runs 500]

Tiny volumes, each a person of its own, are prepared as `dvcl prepare` does; then the search for
twins among them, the planning of many runs, and the page of as many recorded ones are timed, each
in a process of its own. Scores are made up: nothing is trained. Times are the processor's.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from measuring import MIB, in_fresh_process, peak_mib, print_table
from scipy import ndimage

from dvcl.commands.compare import compare_studies
from dvcl.commands.compare_options import Options
from dvcl.commands.compare_runs import planned_runs
from dvcl.comparison.across import across_groups
from dvcl.comparison.findings import collect, write_findings
from dvcl.comparison.page import write_comparison_page
from dvcl.comparison.plan import Entry
from dvcl.comparison.records import RunRecord
from dvcl.datasets.folders import load_folders
from dvcl.evaluation.cases import CaseScore
from dvcl.files import sha256_of_json
from dvcl.leaks.overlap import find_twins
from dvcl.studies.project import open_project, prepare
from dvcl.studies.run import Run
from dvcl.volume import Volume, write_volume

SIDE = 16
LABELLED, TEST = 40, 20
METHODS = "supervised,cps,dvcl,mean_teacher,bcp"
Measured = tuple[float, float]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="100 and 200 scans, 50 runs")
    parser.add_argument("--work", type=Path, help="keep everything there")
    parser.add_argument("--sizes", default="500,1000,2000", help="scans; default %(default)s")
    parser.add_argument("--runs", type=int, default=500, help="default %(default)s")
    given = parser.parse_args()
    sizes = [100, 200] if given.quick else [int(size) for size in given.sizes.split(",")]
    runs = 50 if given.quick else given.runs
    with tempfile.TemporaryDirectory() as temporary:
        measure(given.work or Path(temporary), sizes, runs)


def measure(work: Path, sizes: Sequence[int], runs: int) -> None:
    steps = {
        "prepare": prepare_study, "find twins": search_twins,
        f"plan {runs} runs": plan_runs, f"page of {runs} runs": write_page,
    }  # fmt: skip
    found: dict[str, list[Measured]] = {name: [] for name in steps}
    for size in sizes:
        folder = work / str(size)
        write_scans(folder / "scans", size)
        for name, step in steps.items():
            seconds, mib = in_fresh_process(measured, step, folder, runs, gives_back=False)
            found[name].append((seconds, mib))
            print(f"{size} scans, {name}: {seconds:.1f} s, {mib:.0f} MiB", flush=True)
        print(f"{size} scans: {count_files(folder / 'study')}", flush=True)
    header = ("", *(f"{size} scans" for size in sizes), "grows with size to the power of")
    for unit, place in (("s", 0), ("MiB", 1)):
        print_table(
            (f"{header[0]}{unit}", *header[1:]),
            [
                (name, *(row[place] for row in rows), exponent(sizes, [row[place] for row in rows]))
                for name, rows in found.items()
            ],
        )


def measured(step: Callable[[Path, int], None], folder: Path, runs: int) -> Measured:
    """Processor seconds of this process, and the memory that it took."""
    torch.set_num_threads(1)
    seconds = math.nan

    def timed() -> None:
        nonlocal seconds
        began = time.process_time()
        step(folder, runs)
        seconds = time.process_time() - began

    peak = peak_mib(timed)
    return seconds, peak


def exponent(sizes: Sequence[int], values: Sequence[float]) -> float:
    """Between the last two sizes; of one size NaN."""
    if len(sizes) < 2:
        return math.nan
    return math.log(values[-1] / values[-2]) / math.log(sizes[-1] / sizes[-2])


def write_scans(folder: Path, number: int) -> None:
    if folder.exists():
        return
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    axes = np.meshgrid(*[np.linspace(-1.2, 1.2, SIDE)] * 3, indexing="ij")
    body = sum(axis**2 for axis in axes) < 1
    for case in range(number):
        random = np.random.default_rng(case)
        inside = ndimage.gaussian_filter(random.standard_normal((SIDE,) * 3), 1)
        image = np.where(body, 40 + 100 * inside / inside.std(), -1000).astype(np.int16)
        role = "labelled" if case < LABELLED else "test" if case < LABELLED + TEST else "unlabelled"
        name = f"case{case:05}.nii.gz"
        write_volume(folder / role / "images" / name, Volume(image, affine))
        if role != "unlabelled":
            label = ((inside > 0) & body).astype(np.uint8)
            write_volume(folder / role / "labels" / name, Volume(label, affine))


def prepare_study(folder: Path, runs: int) -> None:
    scans = folder / "scans"
    dataset = load_folders(scans / "labelled", [scans / "unlabelled"], test=scans / "test")
    prepare(folder / "study", dataset, "small-ct", workers=1)


def search_twins(folder: Path, runs: int) -> None:
    project = open_project(folder / "study")
    find_twins(project.store(project.load_recipe()).fingerprints())


def options(runs: int) -> Options:
    """Five methods, with 10 and 40 labelled cases, and as many seeds as it takes."""
    return Options(METHODS, range(runs // 10), (10, 30))


def plan_runs(folder: Path, runs: int) -> None:
    compare_studies([folder / "study"], options(runs), dry=True)


def write_page(folder: Path, runs: int) -> None:
    asked = options(runs)
    entries = asked.plan([folder / "study"], "many")
    records = [recorded(entry, run) for entry, run in planned_runs(entries, asked).items()]
    findings = collect(records)
    across = across_groups(findings)
    write_findings(folder / "many", records, findings, across.tables)
    write_comparison_page(folder / "many", records, findings, across, "made up")


def recorded(entry: Entry, run: Run) -> RunRecord:
    """As after training and scoring, with made-up scores."""
    random = np.random.default_rng([entry.seed, *entry.method.encode()])
    settings = {k: v for k, v in run.settings.items() if k not in ("method", "seed")}
    validation = [
        {"kind": "validation", "iteration": step, "mean_dice": dice, "dice": {"label 1": dice}}
        for step, dice in ((1000, 0.5), (2000, 0.6))
    ]
    scores = [
        CaseScore(case, "label 1", dice := random.uniform(0.5, 0.9), dice / (2 - dice), 10, 9)
        for case in run.split.test
    ]
    made_with = {"dvcl": "0", "device": "cpu", "threads": "1"}
    key = sha256_of_json(run.settings)
    return RunRecord(entry, key, settings, made_with, 1.0, 30.0, None, validation, scores)


def count_files(folder: Path) -> str:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return f"{len(files)} files, {sum(path.stat().st_size for path in files) / MIB:.0f} MiB"


if __name__ == "__main__":
    main()
