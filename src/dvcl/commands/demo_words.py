"""What the demo's page tells somebody who sees such numbers for the first time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

import numpy as np

from dvcl.evaluation.summary import Summary
from dvcl.report.html import Section, heading, table, text
from dvcl.report.tables import TextTable
from dvcl.store import open_store
from dvcl.studies.run import Run
from dvcl.training.journal import read_journal

# Percent points below which two runs of one seed are not told apart.
ALIKE = 1.0

# Voxels below which an organ is small: a ball of seven voxels across.
FEW_VOXELS = 180

NUMBERS = """Dice says how much of an organ's voxels reference and prediction share: 100 is a
perfect match, 0 an organ of which no voxel is right. HD95 is how far apart their surfaces lie,
in mm, all but the worst 5 % of them: less is better. Large round organs such as the liver come
first; thin or small ones such as the adrenal glands need many more steps."""

MISSED = """A network answers with the likeliest class of every voxel. An organ of few voxels,
seen in few patches, is likelier to be background nearly everywhere until it has been seen often
enough, so it is left out altogether rather than drawn badly. Below, "Scroll through the scans"
shows where: choose a method under "Organs of" and tick "differences from the reference"."""

NEXT = """Look at the worst case below before you trust a mean. Then try more of the same, with
.venv/bin/dvcl demo --out longer --set training.iterations=5000: does the order of the two methods
change?

For your own scans: dvcl check says what is wrong with a folder, dvcl show with the option
--out scans.html lets you scroll through it, and the three commands of the README prepare, train
and predict. Organs that are missed there want, in this order, more steps, more labelled
patients that have the organ, and voxels fine enough for it (dvcl plan proposes them)."""


def explain(
    runs: Mapping[str, Run], summaries: Mapping[str, Summary], seen: Mapping[str, Sequence[int]]
) -> list[Section]:
    """The beginning of the page: what was trained on what, what numbers mean, what comes next.

    Args:
        runs: "supervised" and "dvcl", trained.
        summaries: Their scores.
        seen: As `labelled_voxels` has it.
    """
    return [
        heading("What this is"),
        text(outcome(runs, summaries)),
        heading("What was trained on what", 3),
        text(_setting(runs)),
        heading("What the numbers mean", 3),
        text(NUMBERS),
        heading("Why an organ is missed", 3),
        *_missed(summaries, seen),
        heading("What to do next", 3),
        text(NEXT),
    ]


def labelled_voxels(run: Run) -> dict[str, list[int]]:
    """By organ, how many voxels of the prepared grid it has in every labelled patient."""
    store = open_store(run.store)
    labels = [store.case(case_id).label for case_id in run.split.labelled]
    counts = [
        np.bincount(label.ravel(), minlength=run.labels.classes)
        for label in labels
        if label is not None
    ]
    return {
        organ: [int(count[index]) for count in counts]
        for index, organ in enumerate(run.labels.organs, start=1)
    }


def outcome(runs: Mapping[str, Run], summaries: Mapping[str, Summary]) -> str:
    """Who did better in as much time, in a plain sentence."""
    dice = {name: 100 * summary.mean_dice for name, summary in summaries.items()}
    gain = dice["dvcl"] - dice["supervised"]
    both = f"{dice['dvcl']:.1f} against {dice['supervised']:.1f} mean Dice"
    steps = {name: run.recipe.training.iterations for name, run in runs.items()}
    if not abs(gain) >= ALIKE:
        return f"In as much time DVCL and supervised training came out alike: {both}."
    if gain > 0:
        return (
            f"In as much time DVCL is ahead: {both}. That is about these two networks; which "
            "method is better one training of each cannot tell, and another seed may turn it round."
        )
    return (
        f"In as much time DVCL is behind supervised training: {both}. It trains two networks, "
        f"which left it {steps['dvcl']} steps where supervised training had "
        f"{steps['supervised']}; as long as more steps teach more, unlabelled scans do not make up "
        "for them. That is about these two networks; which method is better one training of each "
        "cannot tell."
    )


def _setting(runs: Mapping[str, Run]) -> str:
    split = runs["supervised"].split
    minutes = ", ".join(f"{name} {_minutes(run):.1f} minutes" for name, run in runs.items())
    return (
        f"Both learned the same organs from the same {len(split.labelled)} labelled phantom "
        f"patients; DVCL saw {len(split.unlabelled)} unlabelled ones too, after "
        f"{runs['dvcl'].recipe.training.unlabelled_from:.0%} of its steps. Their numbers of steps "
        "are chosen so that both train for as long where nothing else runs; the times here were "
        f"{minutes}. Then both segmented {len(split.test)} patients whom neither had seen. The "
        "anatomy is invented: nothing here says how either does on real scans."
    )


def _minutes(run: Run) -> float:
    rows = read_journal(run.folder / "journal.jsonl")
    return float(sum(row["seconds"] for row in rows)) / 60


def _missed(summaries: Mapping[str, Summary], seen: Mapping[str, Sequence[int]]) -> list[Section]:
    """Organs that were missed in some patient, with what the trainings saw of them."""
    missed = {
        organ: [_times(summary, organ) for summary in summaries.values()]
        for organ in seen
        if any(_times(summary, organ) for summary in summaries.values())
    }
    if not missed:
        return [text("No organ was missed in any patient.")]
    rows = tuple(
        (organ, *map(str, times), _middle(seen[organ]), _why(seen[organ]))
        for organ, times in missed.items()
    )
    columns = ("Organ", *(f"missed by {name}" for name in summaries), "voxels", "likely because")
    caption = (
        "In how many test patients not one voxel was predicted; and the organ's size in labelled "
        "patients, median over those that have it, in voxels of the trainings' grid."
    )
    return [text(MISSED), table(TextTable(columns, rows, caption))]


def _times(summary: Summary, organ: str) -> int:
    return sum(found.missed for found in summary.organs if found.organ == organ)


def _middle(voxels: Sequence[int]) -> str:
    present = [count for count in voxels if count]
    return f"{median(present):.0f}" if present else "–"


def _why(voxels: Sequence[int]) -> str:
    """The plainest reason that the labelled patients show."""
    present = [count for count in voxels if count]
    if not present:
        return "no labelled patient has it"
    if len(present) < len(voxels):
        return f"only {len(present)} of {len(voxels)} labelled patients have it"
    if median(present) < FEW_VOXELS:
        return "it is small: patches seldom hold much of it"
    return "too few steps: it is neither rare nor small"
