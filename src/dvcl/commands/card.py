"""A model card: what a run learned from, how, how well it does, and what it is not for."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dvcl.commands.card_claim import BY_YOU, claim_table
from dvcl.commands.prediction_record import PredictionRecord, records_in
from dvcl.errors import InputError, counted
from dvcl.evaluation.cases import CaseScore
from dvcl.evaluation.score_file import read_scores
from dvcl.evaluation.statistics import Interval, mean_interval
from dvcl.evaluation.summary import Summary, summarise
from dvcl.files import read_json, sha256_of_bytes
from dvcl.inference.doubts import QUANTITIES
from dvcl.inference.seen import Seen
from dvcl.methods import METHODS
from dvcl.records import read_record
from dvcl.report.tables import UNDEFINED, TextTable, percent
from dvcl.report.written import Chapter, write_document
from dvcl.studies.run import Run
from dvcl.studies.scored import is_scored, predictions_folder, scores_file
from dvcl.studies.seen import read_seen
from dvcl.training.journal import read_journal

NAME = "model-card.md"
FEW_CASES = 20  # of a test: below, the interval of a mean says little about rare failures
LOW_DICE = 0.7  # below, an organ is named among the limits


@dataclass(frozen=True)
class _Known:
    """What a card is made of.

    Attributes:
        run: Trained.
        record: run.json.
        seen: That it learned from.
        scores: Of its test cases, or of its validation cases where it has no test; maybe none.
        tested: "test" or "validation": whose scores these are.
        doubts: About these cases, how many cases had each; None where nobody has looked.
        minutes: Of training.
    """

    run: Run
    record: Mapping[str, Any]
    seen: Seen
    scores: Sequence[CaseScore]
    tested: str
    doubts: Mapping[str, int] | None
    minutes: float

    @property
    def summary(self) -> Summary:
        """Of the scores."""
        return summarise(self.scores)

    @property
    def scan_count(self) -> int:
        """Cases with scores."""
        return len({score.case for score in self.scores})


def write_card(run: Run, folder: Path) -> Path:
    """Write ``model-card.md`` and ``.html``; they name no case, no patient and no folder.

    Returns:
        The page.

    Raises:
        InputError: When the run has no weights, or one of its records is damaged.
    """
    if not run.checkpoint.exists():
        raise InputError(
            f"{run.folder}: has no weights ({run.checkpoint.name}) yet, so there is nothing to "
            "describe. Train it first."
        )
    known = _gather(run)
    chapters = [make(known) for make in CHAPTERS]
    title = f"{counted(run.labels.classes - 1, 'organ')} in {run.modality}: {run.method}"
    return write_document(folder / NAME, title, chapters)


def _gather(run: Run) -> _Known:
    scores = read_scores(scores_file(run)) if is_scored(run) else []
    rows = read_journal(run.journal)
    return _Known(
        run=run,
        record=read_json(run.folder / "run.json"),
        seen=read_seen(run),
        scores=scores,
        tested="test" if run.split.test else "validation",
        doubts=_doubts_told(run) if scores else None,
        minutes=sum(row["seconds"] for row in rows) / 60,
    )


def _doubts_told(run: Run) -> Counter[str] | None:
    folder = predictions_folder(run)
    files = [*records_in(folder).values()] if folder.is_dir() else []
    told: Counter[str] = Counter()
    for path in files:
        with read_record(path, PredictionRecord, "Delete it and evaluate the run again.") as record:
            told.update({doubt["code"] for doubt in record["doubts"]})
    return told if files else None


def _use(known: _Known) -> Chapter:
    organs = ", ".join(known.run.labels.organs)
    return Chapter(
        "Intended use",
        (
            f"Segments {organs} in {known.run.modality} scans like those that it was trained on, "
            "for research. These label maps are not for diagnosis or treatment: nobody has shown "
            "that they are safe for that.",
            f"Whom it is for, and for which question: {BY_YOU}.",
        ),
    )


def _data(known: _Known) -> Chapter:
    parts: list[str | TextTable] = [_counts(known)]
    if known.seen.numbers:
        parts.append(_scans(known.seen))
    if known.seen.organs:
        parts.append(_organs(known.seen))
    return Chapter(
        "Data",
        (*parts, f"Where the scans come from, consent, scanners, patients: {BY_YOU}."),
    )


def _counts(known: _Known) -> TextTable:
    purposes = {
        "labelled": "trained on with their labels",
        "unlabelled": "trained on without labels"
        if METHODS[known.run.method].needs_unlabelled
        else "of the split; this method does not look at them",
        "validation": "chose the weights",
        "test": "only scored",
    }
    rows = tuple(
        (role, purposes[role], str(len(ids))) for role, ids in known.run.split.parts().items()
    )
    return TextTable(("Part", "Purpose", "Scans"), rows, names=2)


def _scans(seen: Seen) -> TextTable:
    """Middle and range of what was measured of the scans that were learned from."""
    rows = []
    for name, quantity in QUANTITIES.items():
        if values := seen.values(name):
            rows.append((f"{quantity.words}, {quantity.unit}", *_range(values)))
    return TextTable(
        ("Of the scans", "Median", "Least", "Most"),
        tuple(rows),
        f"{len(seen.numbers)} of the {seen.of} scans that it learned from were looked at.",
    )


def _organs(seen: Seen) -> TextTable:
    names = dict.fromkeys(name for organs in seen.organs for name in organs)
    rows = []
    for name in names:
        shown = seen.of_organ(name)
        rows.append((name, str(len(shown)), *_range([organ.volume_ml for organ in shown])))
    return TextTable(
        ("Organ", "Label maps", "Median ml", "Least", "Most"),
        tuple(rows),
        f"In {counted(len(seen.organs), 'label map')} that it learned from.",
    )


def _range(values: Sequence[float]) -> tuple[str, str, str]:
    middle, low, high = np.median(values), min(values), max(values)
    return f"{middle:.4g}", f"{low:.4g}", f"{high:.4g}"


def _training(known: _Known) -> Chapter:
    run, recipe, made = known.run, known.run.recipe, known.record.get("made_with", {})
    prepared = recipe.preprocessing
    facts = {
        "Method": f"{run.method}: {_first_line(METHODS[run.method])}",
        "Network": f"{recipe.network.name}, {recipe.network.levels} levels, "
        f"{recipe.network.base_channels} channels at the finest",
        "Recipe": recipe.name,
        "Seed": str(run.seed),
        "Steps": f"{run.steps_done() or UNDEFINED} of {recipe.training.iterations}",
        "Batch": f"{recipe.sampling.labelled} labelled and {recipe.sampling.unlabelled} unlabelled "
        f"patches of {_by(recipe.sampling.patch)} voxels",
        "Optimiser": f"SGD, rate {recipe.training.rate:g}, momentum {recipe.training.momentum:g}",
        "Precision": run.precision(),
        "Time": f"{counted(f'{known.minutes:.0f}', 'minute')} on {made.get('device', UNDEFINED)}",
        "Software": ", ".join(f"{name} {made[name]}" for name in SOFTWARE if name in made),
        "Orientation, spacing": f"{prepared.orientation}, {_by(prepared.spacing_mm)} mm (z, y, x)",
        "Intensities": f"clipped to {prepared.window} HU, then " * bool(prepared.window)
        + f"percentiles {prepared.percentiles} scaled to 0 and 1",
        "Windows": f"{_by(recipe.window.size)} voxels every {_by(recipe.window.stride)}",
        "Settings": f"hash {known.record['hash'][:16]}",
        "Weights": f"SHA-256 {sha256_of_bytes(run.checkpoint)}",
    }
    return Chapter("Training", (TextTable(("Setting", "Value"), tuple(facts.items()), names=2),))


SOFTWARE = ("dvcl", "torch", "numpy", "scipy", "nibabel", "python")


def _first_line(method: type) -> str:
    return (method.__doc__ or "").partition("\n")[0]


def _by(lengths: Sequence[float]) -> str:
    return " x ".join(f"{length:g}" for length in lengths)


def _scores(known: _Known) -> Chapter:
    if not known.scores:
        return Chapter(
            "Scores", ("There are none of these weights: `dvcl evaluate RUN` makes them.",)
        )
    summary = known.summary
    rows = []
    for organ in summary.organs:
        dice = {row.case: row.dice for row in known.scores if row.organ == organ.organ}
        rows.append(
            (organ.organ, *_with_interval(mean_interval(dice)), percent(organ.nsd.mean),
             _mm(organ.hd95_mm.mean), str(organ.dice.defined), str(organ.missed))
        )  # fmt: skip
    interval = mean_interval(summary.case_dice)
    rows.append(
        ("Mean of each case", *_with_interval(interval), percent(summary.mean_nsd),
         _mm(summary.mean_hd95_mm), str(interval.cases), str(summary.missed[0]))
    )  # fmt: skip
    return Chapter(
        "Scores",
        (
            TextTable(
                ("Organ", "Dice %", "95 % interval", "NSD %", "HD95 mm", "Scans", "Missed"),
                tuple(rows),
                f"Of {counted(known.scan_count, f'{known.tested} scan')}. The interval is that of "
                "the mean over other scans like these, for this one training; another training of "
                "the same settings differs too (docs/statistics.md). Missed: no voxel of it was "
                "found.",
                means=1,
            ),
        ),
    )


def _with_interval(found: Interval) -> tuple[str, str]:
    """Mean, and both ends; a share lies between 0 and 1."""
    if math.isnan(found.low):
        return percent(found.mean), UNDEFINED
    return percent(found.mean), f"{percent(max(0, found.low))} to {percent(min(1, found.high))}"


def _mm(value: float) -> str:
    return UNDEFINED if math.isnan(value) else f"{value:.1f}"


def _limits(known: _Known) -> Chapter:
    return Chapter("Limits", (*_limits_known(known), f"Other limits that you know of: {BY_YOU}."))


def _limits_known(known: _Known) -> list[str]:
    split = known.run.split
    told = [known.run.unfinished().partition(": ")[2].capitalize()]
    told.append(
        f"It learned from {counted(len(split.labelled), 'labelled scan')}. Other scanners, "
        "protocols, ages, anatomy after surgery and disease that these do not show are unknown to "
        "it. `dvcl predict` doubts scans and masks that are unlike what it learned from; what it "
        "does not doubt may be wrong too."
    )
    if predicted := len(known.run.pseudo_labelled):
        told.append(
            f"The labels of {predicted} of these scans are pseudo-labels: another run has "
            "predicted them, nobody has drawn or corrected them. It may have learned that run's "
            "errors."
        )
    if not split.test:
        told.append(
            "It has no test scans: scores are of the validation scans, which chose the weights, "
            "and are too high."
        )
    if 0 < known.scan_count < FEW_CASES:
        told.append(
            f"{known.scan_count} scored scans say little about failures rarer than one in "
            f"{known.scan_count}."
        )
    weak = [f"{o.organ} ({percent(o.dice.mean)})" for o in known.summary.organs
            if o.dice.mean < LOW_DICE]  # fmt: skip
    if weak:
        told.append(f"Dice below {percent(LOW_DICE)} %: {', '.join(weak)}.")
    told.append("No scans of another study were scored: how it does elsewhere is not known.")
    return [*filter(None, told)]


def _doubts(known: _Known) -> Chapter:
    if known.doubts is None:
        return Chapter("Doubts", ("Not looked for: `dvcl evaluate RUN` does.",))
    if not known.doubts:
        return Chapter("Doubts", ("About the scored scans and their masks: none.",))
    rows = tuple((code, str(count)) for code, count in sorted(known.doubts.items()))
    caption = "What each means: docs/prediction.md."
    return Chapter("Doubts", (TextTable(("Doubt", "Scored scans"), rows, caption),))


def _claim(known: _Known) -> Chapter:
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
        mean, ends = _with_interval(dice)
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


CHAPTERS: tuple[Callable[[_Known], Chapter], ...] = (
    *(_use, _data, _training, _scores, _doubts, _limits, _claim),
)
