"""Do the limits of `dvcl sheet` accept good masks, and only these?

    python benchmarks/sheet_limits.py RUN [RUN ...] --work DIR --dice 0.5,0.6,0.7

Every scan of a run's study that has a reference and that it has not learned from is predicted and
looked at as `dvcl sheet` does; its true mean Dice is known. Then, 2000 times, some of these scans
are drawn for the limits to be learned from, and the masks of all others are judged. Printed are
means over the draws. "By chance" is the share of good ones among all masks. DIR holds the masks;
what it has is not predicted again. Runs should have been trained without looking at validation
(their last weights are their best ones, or nearly so).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr

from dvcl.commands.opinions import Opinion, opinions
from dvcl.commands.sheet import mean_dice
from dvcl.evaluation.trust import judge, learn_limits
from dvcl.studies.members import Members
from dvcl.studies.run import Run, open_run
from dvcl.studies.scored import project_of

DRAWS = 2000


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--dice", default="0.5,0.6,0.7", help="from which on a mask is good")
    parser.add_argument("--validation", default="5,10", help="cases that the limits are learned of")
    return parser.parse_args()


def look(run: Run, work: Path) -> tuple[list[Opinion], np.ndarray]:
    """All scans with a reference that the run has not learned from, and their mean Dice."""
    cases = {
        case.image: replace(case, role="test")
        for case in project_of(run).dataset.cases
        if case.label and case.id not in run.split.labelled
    }
    name = Path(*run.folder.absolute().parts[-3:])
    folder = work / name
    targets = {image: folder / f"{case.id}.nii.gz" for image, case in cases.items()}
    found = opinions(Members.of(run), targets, torch.device("cpu"))
    dice = np.array([mean_dice(run, cases[each.scan], each.mask) for each in found])
    print(f"\n{name}: {len(run.split.labelled)} labelled, {len(found)} masks")
    print(f"Dice {dice.min():.3f} to {dice.max():.3f}, mean {dice.mean():.3f}", end="; ")
    agreed = [each.mean_agreement for each in found]
    print(f"agreement {min(agreed):.3f} to {max(agreed):.3f}", end="; ")
    print(f"rank correlation {spearmanr(agreed, dice).statistic:.2f}", end="; ")
    doubted = np.array([bool(each.doubts) for each in found])
    means = (dice[there].mean() if there.any() else np.nan for there in (doubted, ~doubted))
    print(f"{doubted.sum()} with doubts, mean Dice {{:.3f}}, others {{:.3f}}".format(*means))
    return found, dice


def draw(
    found: Sequence[Opinion],
    dice: np.ndarray,
    wanted: float,
    cases: int,
    random: np.random.Generator,
) -> tuple[float, ...]:
    """Shares of masks: good, accepted, accepted and good, rejected, rejected and good."""
    order = random.permutation(len(found))
    learned, judged = order[:cases], order[cases:]
    agreed = np.array([each.mean_agreement for each in found])
    limits = learn_limits(agreed[learned].tolist(), dice[learned].tolist(), wanted)
    verdicts = np.array([judge(agreed[i], len(found[i].doubts), limits) for i in judged])
    good, accepted, rejected = dice[judged] >= wanted, verdicts == "accept", verdicts == "reject"
    parts = (good, accepted, accepted & good, rejected, rejected & good)
    return tuple(float(part.mean()) for part in parts)


def main() -> None:
    given = options()
    torch.set_num_threads(1)
    for folder in given.runs:
        found, dice = look(open_run(folder), given.work)
        print(
            "| good from | learned of | by chance | accepted | of these good | rejected "
            "| of these good |"
        )
        print("|--:|--:|--:|--:|--:|--:|--:|")
        for wanted in map(float, given.dice.split(",")):
            for cases in map(int, given.validation.split(",")):
                random = np.random.default_rng(0)
                rows = [draw(found, dice, wanted, cases, random) for _ in range(DRAWS)]
                good, accepted, right, rejected, wrong = 100 * np.mean(rows, axis=0)
                shares = [
                    f"{100 * part / whole:.0f} %" if whole else "–"
                    for part, whole in ((right, accepted), (wrong, rejected))
                ]
                print(
                    f"| {wanted:.2f} | {cases} | {good:.0f} % | {accepted:.1f} % | {shares[0]} "
                    f"| {rejected:.0f} % | {shares[1]} |"
                )


if __name__ == "__main__":
    main()
