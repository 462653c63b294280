"""Chapter of a model card with the CLAIM checklist."""

from __future__ import annotations

from dvcl.commands.card_claim import BY_YOU, claim_table
from dvcl.commands.card_known import Known
from dvcl.commands.card_scores import with_interval
from dvcl.commands.card_training import SOFTWARE
from dvcl.evaluation.statistics import mean_interval
from dvcl.methods import METHODS
from dvcl.report.written import Chapter


def claim_chapter(known: Known) -> Chapter:
    """With what the run knows about each item."""
    run, recipe, made = known.run, known.run.recipe, known.record.get("made_with", {})
    parts = {role: len(ids) for role, ids in run.split.parts().items()}
    counts = ", ".join(f"{count} {role}" for role, count in parts.items())
    chosen = "best validation" if parts["validation"] else "the last step"
    items = {
        1: f"deep learning, semi-supervised segmentation ({run.method})",
        6: "creation of a model",
        9: "see Training: orientation, spacing, intensities; settings in run.json",
        13: "organs without a mask are left out of the loss and have no score",
        14: "label maps given with the scans; how they were made is " + BY_YOU,
        20: f"split of run.json, seed {run.split.seed}: {counts}",
        21: "scans; the same scan in two parts is looked for and refused. Whether two scans are of "
        f"one patient: {BY_YOU}",
        22: f"{recipe.network.name}; every layer in dvcl's source",
        23: ", ".join(f"{name} {made[name]}" for name in SOFTWARE if name in made),
        24: f"drawn anew from seed {run.seed}, no weights from elsewhere",
        25: "see Training; all settings in run.json, the course in journal.jsonl",
        26: f"weights of {chosen}",
        27: _first_sentence_with(METHODS[run.method], "Predicts with"),
        28: "Dice, normalised surface Dice, 95 % Hausdorff distance, per organ and scan",
        29: "95 % intervals over scans; several trainings: dvcl compare",
        32: f"none by this run; {BY_YOU}",
        33: f"{counts}; scans left out before preparation: {BY_YOU}",
    }
    if known.scores:
        dice = mean_interval(known.summary.case_dice)
        mean, ends = with_interval(dice)
        items[35] = f"see Scores, of the {known.tested} scans"
        items[36] = f"mean Dice {mean} %, 95 % interval {ends}"
        items[37] = (
            f"missed organs: {known.summary.missed[0]} of {known.summary.missed[1]}; " + BY_YOU
        )
        items[38] = "see Limits"
    return Chapter("CLAIM checklist", (claim_table(items),))


def _first_sentence_with(method: type, words: str) -> str:
    text = " ".join((method.__doc__ or "").split())
    _, found, rest = text.partition(words)
    return f"predicts with{rest.partition('.')[0]}" if found else BY_YOU
