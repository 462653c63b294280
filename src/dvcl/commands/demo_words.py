"""What the demo's page tells somebody who sees such numbers for the first time."""

from __future__ import annotations

from collections.abc import Mapping

from dvcl.evaluation.summary import Summary
from dvcl.studies.run import Run
from dvcl.training.journal import read_journal

# Percent points below which two runs of one seed are not told apart.
ALIKE = 1.0


def explain(runs: Mapping[str, Run], summaries: Mapping[str, Summary]) -> list[str]:
    """Paragraphs for the page: who did better and why, what was trained, what numbers mean.

    Args:
        runs: "supervised" and "dvcl", trained.
        summaries: Their scores.
    """
    return [
        _outcome(runs, summaries),
        _setting(runs),
        "Dice says how much of an organ's voxels reference and prediction share: 100 is a perfect "
        "match, 0 an organ that was not found. HD95 is how far apart their surfaces lie, in mm, "
        "all but the worst 5 % of them: less is better. Large round organs such as the liver come "
        "first; thin or small ones such as the adrenal glands need many more steps.",
        _missed(summaries),
        "Next: your own scans, with the three commands of the README; or more of this, with "
        "`dvcl demo --out longer --set training.iterations=5000`.",
    ]


def _outcome(runs: Mapping[str, Run], summaries: Mapping[str, Summary]) -> str:
    """Who did better in as much time, in a plain sentence."""
    dice = {name: 100 * summary.mean_dice for name, summary in summaries.items()}
    gain = dice["dvcl"] - dice["supervised"]
    both = f"{dice['dvcl']:.1f} against {dice['supervised']:.1f} mean Dice"
    steps = {name: run.recipe.training.iterations for name, run in runs.items()}
    if not abs(gain) >= ALIKE:
        return f"In as much time DVCL and supervised training came out alike: {both}."
    if gain > 0:
        return (
            "In as much time this network of DVCL scored above that of supervised training: "
            f"{both}. About the methods one training of each cannot tell: another seed may turn it "
            "round."
        )
    return (
        f"In as much time this network of DVCL scored below that of supervised training: {both}; "
        "about the methods one training of each cannot tell. DVCL trains two networks, "
        f"which left it {steps['dvcl']} steps where supervised training had "
        f"{steps['supervised']}, and neither has learned all that there is to learn yet; "
        "unlabelled scans pay when more steps no longer do."
    )


def _setting(runs: Mapping[str, Run]) -> str:
    split = runs["supervised"].split
    minutes = ", ".join(f"{name} {_minutes(run):.1f} minutes" for name, run in runs.items())
    return (
        f"Both learned the same organs from the same {len(split.labelled)} labelled phantom "
        f"patients; DVCL saw {len(split.unlabelled)} unlabelled ones too, after "
        f"{runs['dvcl'].recipe.training.unlabelled_from:.0%} of its steps. Their numbers of steps "
        "are chosen to take as long where nothing else runs; here the trainings took "
        f"{minutes}. Then both segmented {len(split.test)} patients whom neither had seen. The "
        "anatomy is invented: nothing here says how either does on real scans."
    )


def _minutes(run: Run) -> float:
    rows = read_journal(run.folder / "journal.jsonl")
    return float(sum(row["seconds"] for row in rows)) / 60


def _missed(summaries: Mapping[str, Summary]) -> str:
    """Organs that were missed in some patient, and why that happens."""
    said = []
    for name, summary in summaries.items():
        missed = [f"{organ.organ} ({organ.missed})" for organ in summary.organs if organ.missed]
        if missed:
            said.append(f"{name} missed {', '.join(missed)}")
    if not said:
        return "Every organ was found in every patient."
    return (
        f"In some patients (their number in brackets) {'; '.join(said)}. What is missed is small: "
        f"at voxels of 5 mm it is a handful of voxels, which short training has seen seldom."
    )
