"""Does labelling the scans that `dvcl next` chooses beat labelling as many random ones?

    python benchmarks/choosing.py --data DIR --work DIR --out FILE --draws 0,1,2,3,4 --steps 400

DIR holds labelled/, val/ and test/ in plain folders. In every draw two scans of labelled/ and val/
are drawn to start with, all others there stand for unlabelled ones. `supervised` learns from the
two, `dvcl next` chooses three of the others with it, and three are drawn at random; from the five
scans of either choice `supervised` learns anew, with the same recipe (`small-ct`), steps and seed.
The last weights are scored on the test cases, by which nothing is chosen, on the prepared grid,
with windows that barely overlap (as `dvcl predict --fast`).

Every draw is appended to FILE as one JSON line; a draw that it has is not made again, and a draw
that was stopped goes on. What is said in the end is of all draws in FILE with as many steps; the
interval is that of a paired t-test over draws.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats

from dvcl.commands.next_scans import RECORD, choose_next
from dvcl.commands.train import train_run
from dvcl.commands.validation import case_dice
from dvcl.datasets import load_folders
from dvcl.files import read_json
from dvcl.resources import processor_name
from dvcl.splits import Split
from dvcl.store import open_store
from dvcl.studies.members import Members
from dvcl.studies.project import Project, open_project, prepare
from dvcl.studies.run import Run
from dvcl.volume import volume_stem

CPU = torch.device("cpu")
START, CHOSEN = 2, 3


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="for prepared cases and runs")
    parser.add_argument("--out", type=Path, default=Path("choosing.jsonl"))
    parser.add_argument("--draws", default="0,1,2,3,4")
    parser.add_argument("--steps", type=int, default=400)
    return parser.parse_args()


def open_study(data: Path, work: Path) -> Project:
    """Scans to learn from and to choose from are "labelled", whatever folder they lie in."""
    if not (work / "project.json").exists():
        found = load_folders(data / "labelled", validation=data / "val", test=data / "test")
        cases = tuple(
            case if case.role == "test" else replace(case, role="labelled") for case in found.cases
        )
        prepare(work, replace(found, cases=cases), "small-ct", workers=1)
    return open_project(work)


def train(project: Project, steps: int, draw: int, name: str, labelled: Sequence[str]) -> Run:
    test = tuple(case.id for case in project.dataset.with_role("test"))
    split = Split(tuple(sorted(labelled)), (), (), test, seed=draw)
    recipe = project.load_recipe(None, (f"training.iterations={steps}",))
    run = train_run(
        project, recipe, "supervised", split, seed=draw, name=f"{name}-{draw}-{steps}", device="cpu"
    )
    fast = replace(run.recipe, window=run.recipe.window.fast())
    return replace(run, recipe=fast, weights="last")


def choose(project: Project, run: Run, pool: Sequence[str], folder: Path) -> list[str]:
    """Ids of those of the pool that `dvcl next` puts first."""
    if not (folder / "to-correct").exists():
        images = [case.image for case in project.dataset.cases if case.id in pool]
        choose_next(Members.of(run), images, CHOSEN, folder, CPU)
    scans = read_json(folder / RECORD)["scans"]
    return [volume_stem(Path(scan["scan"])) for scan in scans if scan["chosen"]]


def mean_dice(run: Run) -> float:
    """Of the test cases, in percent: over cases, then over organs."""
    method, store = run.trained_method(CPU), open_store(run.store)
    with torch.inference_mode():
        scores = [case_dice(method, store.case(case), run, CPU) for case in run.split.test]
    return round(100 * float(np.nanmean(np.nanmean(scores, axis=0))), 2)


def make_draw(project: Project, work: Path, draw: int, steps: int) -> dict[str, Any]:
    random = np.random.default_rng(draw)
    cases = sorted(case.id for case in project.dataset.with_role("labelled"))
    start, pool = (part.tolist() for part in np.split(random.permutation(cases), [START]))
    first = train(project, steps, draw, "start", start)
    chosen = {
        "next": choose(project, first, pool, work / f"next-{draw}-{steps}"),
        "chance": sorted(random.choice(pool, CHOSEN, replace=False).tolist()),
    }
    dice = {"start": mean_dice(first)}
    for name, more in chosen.items():
        dice[name] = mean_dice(train(project, steps, draw, name, [*start, *more]))
    return {"draw": draw, "steps": steps, "start": sorted(start), **chosen, "dice": dice}


def recorded(path: Path, steps: int) -> list[dict[str, Any]]:
    rows = map(json.loads, path.read_text().splitlines() if path.exists() else ())
    return sorted((row for row in rows if row["steps"] == steps), key=lambda row: row["draw"])


def summary(rows: Sequence[dict[str, Any]]) -> str:
    """The mean difference of each two, with its interval over draws."""
    lines = []
    for one, other in (("next", "chance"), ("next", "start"), ("chance", "start")):
        gains = np.array([row["dice"][one] - row["dice"][other] for row in rows])
        low = high = np.nan
        if len(gains) > 1:
            low, high = stats.t.interval(0.95, len(gains) - 1, gains.mean(), stats.sem(gains))
        lines.append(
            f"{one} - {other}: {gains.mean():+.2f} points ({low:+.2f} to {high:+.2f}), "
            f"higher in {(gains > 0).sum()} of {len(gains)} draws"
        )
    return "\n".join(lines)


def main() -> None:
    given = options()
    torch.set_num_threads(1)
    project = open_study(given.data, given.work)
    for draw in map(int, given.draws.split(",")):
        if not any(row["draw"] == draw for row in recorded(given.out, given.steps)):
            began = time.process_time()
            row = make_draw(project, given.work, draw, given.steps)
            row |= {"used_s": round(time.process_time() - began), "date": str(date.today())}
            with given.out.open("a") as file:
                file.write(f"{json.dumps(row | {'machine': processor_name()})}\n")
    rows = recorded(given.out, given.steps)
    for row in rows:
        chosen = (
            f"and {', '.join(row[name])} by {name} {row['dice'][name]:.1f}"
            for name in ("next", "chance")
        )
        print(f"{', '.join(row['start'])} {row['dice']['start']:.1f}, {', '.join(chosen)}")
    print(summary(rows))


if __name__ == "__main__":
    main()
