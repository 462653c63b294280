"""Does labelling the scans that `dvcl next` chooses beat labelling as many random ones?

    python benchmarks/choosing.py --data DIR --work DIR --draws 5 --steps 150

DIR holds labelled/, val/ and test/ in plain folders. In every draw two labelled scans are drawn to
start with, the other labelled ones stand for unlabelled ones. `supervised` learns from the two,
`dvcl next` chooses three of the others with it, and three are drawn at random; from the five scans
of either choice `supervised` learns anew, with the same steps and seed. The last weights are scored
on the test cases, on the prepared grid. A draw that --work has is not made again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from dvcl.commands.next_scans import RECORD, choose_next
from dvcl.commands.train import train_run
from dvcl.commands.validation import case_dice
from dvcl.datasets import load_folders
from dvcl.files import read_json
from dvcl.splits import Split
from dvcl.store import open_store
from dvcl.studies.members import Members
from dvcl.studies.project import Project, open_project, prepare
from dvcl.studies.run import Run
from dvcl.volume import volume_stem

CPU = torch.device("cpu")
START, CHOSEN = 2, 3
SETTINGS = (
    *("preprocessing.spacing_mm=[4, 5, 5]", "preprocessing.window=[-160, 240]"),
    *("sampling.patch=[32, 32, 32]", "window.size=[32, 32, 32]", "window.stride=[24, 24, 24]"),
    *("network.base_channels=16", "loss.class_weights=inverse_sqrt"),
    *("training.rate=0.15", "training.warmup=10"),
)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--steps", type=int, default=150)
    return parser.parse_args()


def open_study(data: Path, work: Path) -> Project:
    if not (work / "project.json").exists():
        dataset = load_folders(data / "labelled", validation=data / "val", test=data / "test")
        prepare(work, dataset, "small-ct", changes=SETTINGS, workers=1)
    return open_project(work)


def train(project: Project, steps: int, draw: int, name: str, labelled: list[str]) -> Run:
    held_out = {
        role: tuple(case.id for case in project.dataset.with_role(role))  # type: ignore[arg-type]
        for role in ("validation", "test")
    }
    split = Split(tuple(sorted(labelled)), (), **held_out, seed=draw)
    changes = (f"training.iterations={steps}", f"training.validate_every={steps}")
    recipe = project.load_recipe(None, changes)
    return train_run(
        project, recipe, "supervised", split, seed=draw, name=f"{name}-{draw}", device="cpu"
    )


def choose(project: Project, run: Run, pool: list[str], folder: Path) -> list[str]:
    """Ids of those of the pool that `dvcl next` puts first."""
    if not (folder / "to-correct").exists():
        images = [case.image for case in project.dataset.cases if case.id in pool]
        choose_next(Members.of(run, run.recipe.window.fast()), images, CHOSEN, folder, CPU)
    scans = read_json(folder / RECORD)["scans"]
    return [volume_stem(Path(scan["scan"])) for scan in scans if scan["chosen"]]


def mean_dice(run: Run) -> float:
    method, store = run.trained_method(CPU), open_store(run.store)
    with torch.inference_mode():
        scores = [case_dice(method, store.case(case), run, CPU) for case in run.split.test]
    return float(np.nanmean(np.nanmean(scores, axis=0)))


def main() -> None:
    given = options()
    torch.set_num_threads(1)
    project = open_study(given.data, given.work)
    cases = [case.id for case in project.dataset.with_role("labelled")]
    gains = []
    for draw in range(given.draws):
        random = np.random.default_rng(draw)
        start, pool = np.split(random.permutation(sorted(cases)), [START])
        first = train(project, given.steps, draw, "start", start.tolist())
        by_next = choose(project, first, pool.tolist(), given.work / f"next-{draw}")
        by_chance = sorted(random.choice(pool, CHOSEN, replace=False).tolist())
        scores = [mean_dice(first)]
        for name, chosen in (("next", by_next), ("chance", by_chance)):
            run = train(project, given.steps, draw, name, [*start.tolist(), *chosen])
            scores.append(mean_dice(run))
        gains.append(scores[1] - scores[2])
        print(
            f"draw {draw}: two scans {100 * scores[0]:.1f}, and {', '.join(by_next)} by next "
            f"{100 * scores[1]:.1f}, and {', '.join(by_chance)} by chance {100 * scores[2]:.1f}",
            flush=True,
        )
    spread = np.std(gains, ddof=1) / len(gains) ** 0.5 if len(gains) > 1 else np.nan
    print(
        f"next - chance: {100 * np.mean(gains):+.2f} points, standard error {100 * spread:.2f}, "
        f"better in {np.sum(np.array(gains) > 0)} of {len(gains)} draws"
    )


if __name__ == "__main__":
    main()
