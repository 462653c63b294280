"""Everything that a GPU must show, with one command: correct, fast, and what it learns.

    python benchmarks/gpu.py [--out DIR] [--minutes 25] [--data DIR] [--parts losses,volume]
    (or `make gpu`)

On a machine with a GPU: the tests of devices; 20 steps of every method against the CPU's losses; a
resume; a prediction; steps at the paper's patch with their memory, waits and waiting share; other
precisions and kernels; the neighbour search; a whole CT; then, for the time left, supervised and
dvcl on the head and neck (DIR holds labelled/, unlabelled/, val/, test/ and labels.json). Without a
GPU it says so and passes in a small form on the CPU, whose numbers mean nothing.

gpu.json and gpu.md in DIR are written after every part: what was done is there when time runs out.
DIR is $OUT, or gpu-report. Exit code 1 where a part failed.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
from datetime import date
from pathlib import Path
from typing import Any

import torch
from gpu_learning import learn
from gpu_parts import PARTS, SMALL, Form, Rows

from dvcl.files import write_json, write_text
from dvcl.resources import processor_name

HEADNECK = Path(__file__).parents[2] / "shared" / "data" / "headneck"


class Report:
    """The two files, written anew with every part."""

    def __init__(self, folder: Path, machine: dict[str, str]) -> None:
        self.folder, self.machine = folder, machine
        self.parts: dict[str, dict[str, Any]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self.write()

    def add(self, name: str, rows: Rows, **facts: Any) -> None:
        """A part, or more rows of it."""
        self.parts[name] = {**facts, "rows": rows}
        self.write()

    def write(self) -> None:
        """Both files, whole."""
        write_json(self.folder / "gpu.json", {"machine": self.machine, "parts": self.parts})
        write_text(self.folder / "gpu.md", self.markdown())

    def markdown(self) -> str:
        """A table per part."""
        lines = ["# GPU report", "", *(f"- {name}: {is_}" for name, is_ in self.machine.items())]
        for name, part in self.parts.items():
            lines += ["", f"## {name.replace('_', ' ')}", ""]
            lines += [f"{fact}: {part[fact]}" for fact in part if fact != "rows"]
            header = list(dict.fromkeys(key for row in part["rows"].values() for key in row))
            if header:
                lines += ["", f"| | {' | '.join(header)} |", "|---|" + "---|" * len(header)]
            for row, values in part["rows"].items():
                cells = (_shown(values.get(key, "")) for key in header)
                lines.append(f"| {row} | {' | '.join(cells)} |")
        return "\n".join(lines) + "\n"


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def run_part(report: Report, name: str, form: Form) -> bool:
    """Whether it went well; what went wrong is in the report."""
    began = time.monotonic()
    try:
        rows = PARTS[name](form)
    except Exception as error:  # the next part may still work
        traceback.print_exc()
        report.add(name, {}, failed=f"{type(error).__name__}: {error}".replace("\n", " "))
        return False
    report.add(name, rows, seconds=round(time.monotonic() - began, 1))
    print(f"{name}: {report.parts[name]['seconds']} s", flush=True)
    return True


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT", "gpu-report")))
    parser.add_argument("--minutes", type=float, default=25.0)
    parser.add_argument("--data", type=Path, default=HEADNECK)
    parser.add_argument("--parts", default=",".join(PARTS), help="which; learning comes after them")
    chosen = parser.parse_args()
    deadline = time.monotonic() + 60 * chosen.minutes
    has_gpu = torch.cuda.is_available()
    if not has_gpu:
        print("There is no GPU: the small form runs on the CPU, and its numbers mean nothing.")
    form = Form(torch.device("cuda")) if has_gpu else SMALL
    machine = {
        "date": str(date.today()),
        "device": torch.cuda.get_device_name() if has_gpu else "no GPU; small form on the CPU",
        "processor": f"{processor_name()}, {os.cpu_count()} cores",
        "torch": torch.__version__,
    }
    report, went_well = Report(chosen.out, machine), []
    for name in chosen.parts.split(","):
        if time.monotonic() > deadline:
            report.add(name, {}, failed="not run: no time was left")
            went_well.append(False)
            continue
        went_well.append(run_part(report, name, form))
    rows: Rows = {}
    try:
        for name, found in learn(form, chosen.data, report.folder / "study", deadline):
            rows[name] = found
            report.add("learning", rows)
    except Exception as error:
        traceback.print_exc()
        report.add("learning", rows, failed=f"{type(error).__name__}: {error}".replace("\n", " "))
        went_well.append(False)
    print(f"{report.folder / 'gpu.md'}: {sum(went_well)} of {len(went_well)} parts went well.")
    sys.exit(not all(went_well))


if __name__ == "__main__":
    main()
