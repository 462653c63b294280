"""Which unlabelled scans to label next, with the reasons, and a folder ready to correct."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from dvcl.commands.opinions import Opinion, choose_pile, opinions
from dvcl.commands.pair_folder import new_folder, require_new, write_plain
from dvcl.commands.predictor import Tell
from dvcl.commands.show import show
from dvcl.commands.show_subject import subject_of_dataset
from dvcl.commands.validation import normalised
from dvcl.datasets.dataset import Case, Dataset
from dvcl.datasets.predicted import write_as_predicted
from dvcl.errors import InputError, counted
from dvcl.evaluation.choosing import doubtfulness, farthest_first
from dvcl.files import require_writable, write_json
from dvcl.inference.signature import signature
from dvcl.preprocessing.prepare import prepare_image
from dvcl.report.tables import TextTable, percent
from dvcl.store import StoredCase
from dvcl.studies.members import Members
from dvcl.studies.project import Progress
from dvcl.studies.run import Run
from dvcl.studies.scans import scans_of
from dvcl.volume import read_volume

RECORD, PICTURE, TO_CORRECT = "next.json", "next.png", "to-correct"
FAR = 1.0  # as far as the median scan lies from those that are labelled


@dataclass(frozen=True)
class Ranked:
    """A scan in the order in which scans are to be labelled.

    Attributes:
        opinion: What the networks make of it.
        doubtful: Its place among the others, 0..1.
        distance: From the nearest scan that is labelled or ranks before it, in medians of the
            distances of all scans from the labelled ones.
    """

    opinion: Opinion
    doubtful: float
    distance: float

    @property
    def disagreement(self) -> float:
        """Mean over organs, 0..1."""
        return 1 - self.opinion.mean_agreement

    @property
    def reason(self) -> str:
        """Why to label it, in words."""
        unsure, agreed = self.opinion.uncertainty, self.opinion.agreement
        parts = [f"shows no {', no '.join(self.opinion.missing)}"] if self.opinion.missing else []
        shown = {name: value for name, value in agreed.items() if name not in self.opinion.missing}
        if unsure:
            name = max(unsure, key=lambda organ: unsure[organ])
            parts.append(f"least sure of {name} ({percent(unsure[name])} %)")
        if shown:
            name = min(shown, key=lambda organ: shown[organ])
            parts.append(f"least agreement on {name} (Dice {percent(shown[name])} %)")
        near = "far from" if self.distance >= FAR else "near"
        parts.append(f"{near} what is labelled or chosen ({self.distance:.2f} of the median)")
        if doubts := self.opinion.doubts_about_scan:
            parts.append(
                f"unlike the training scans ({counted(doubts, 'doubt')}), see whether it belongs "
                "here"
            )
        return "; ".join(parts)


def choose_next(
    members: Members,
    folders: Sequence[Path],
    count: int,
    out: Path,
    device: torch.device,
    progress: Progress | None = None,
    tell: Tell = lambda line: None,
) -> tuple[list[Ranked], list[Path]]:
    """Rank unlabelled scans, and lay out the first ones to be corrected.

    Args:
        members: That predict; the first one's features tell scans apart.
        folders: Of the scans.
        count: How many to choose.
        out: Folder for the masks and all results.
        device: Where networks run.
        progress: Called along the predictions, then along the scans that are told apart.
        tell: Called with lines.

    Returns:
        All scans in the order of their rank, and the files and the folder that were written.

    Raises:
        InputError: When no scan may be chosen or one cannot be read, or the folder to correct is
            there already.
    """
    require_new(
        out / TO_CORRECT,
        "Corrections in it would be lost: add them to the study with `dvcl prepare WORK --add "
        "DIR`, then move it away, or choose another folder with --out.",
    )
    require_writable(out)
    targets = choose_pile(members, folders, out, tell)
    if count < 1 or count > len(targets):
        raise InputError(f"-n {count}: 1 to {len(targets)} expected, as there are scans.")
    found = opinions(members, targets, device, progress, tell)
    ranked = _rank(found, *_signatures(members, found, device, progress))
    chosen = ranked[:count]
    labels, pairs = members.first.labels, {each.opinion.scan: each.opinion.mask for each in chosen}
    pictures = _draw(members.first, chosen, out / PICTURE)
    write_json(out / RECORD, next_record(members, ranked, count))
    with new_folder(out / TO_CORRECT) as folder:
        write_plain(folder, pairs, labels)
        write_as_predicted(folder, pairs.values())
    return ranked, [out / RECORD, *pictures, out / TO_CORRECT]


def _signatures(
    members: Members, found: Sequence[Opinion], device: torch.device, progress: Progress | None
) -> tuple[np.ndarray, np.ndarray]:
    """Of the unlabelled scans (N, d) and of those that some run learns from (M, d)."""
    run = members.first
    method = run.trained_method(device)
    learned: dict[str, StoredCase] = {}
    for each in members.runs:
        learned |= scans_of(each, each.split.labelled)
    labelled = [*learned.values()]
    total = len(found) + len(labelled)
    rows: list[np.ndarray] = []

    def look(name: str, image: torch.Tensor) -> None:
        rows.append(signature(method.represent, image, run.recipe.window, device))
        if progress:
            progress(len(rows), total, name)

    for opinion in found:
        prepared, _ = prepare_image(read_volume(opinion.scan), run.recipe.preprocessing)
        look(opinion.name, torch.from_numpy(prepared))
    for case in labelled:
        look(case.id, normalised(case))
    return np.array(rows[: len(found)]), np.array(rows[len(found) :])


def _rank(found: Sequence[Opinion], features: np.ndarray, labelled: np.ndarray) -> list[Ranked]:
    doubtful = doubtfulness(
        [opinion.mean_uncertainty for opinion in found],
        [1 - opinion.mean_agreement for opinion in found],
    )
    apart = np.linalg.norm(features[:, None] - labelled[None], axis=2).min(axis=1)
    usual = float(np.median(apart)) or 1.0
    return [
        Ranked(found[choice.index], float(doubtful[choice.index]), choice.distance / usual)
        for choice in farthest_first(features, labelled, doubtful)
    ]


def _draw(run: Run, chosen: Sequence[Ranked], path: Path) -> list[Path]:
    """The chosen scans in their order, with what was predicted."""
    cases = tuple(
        Case(f"{rank:02d} {each.opinion.name}", each.opinion.scan, each.opinion.mask)
        for rank, each in enumerate(chosen, start=1)
    )
    dataset = Dataset("to label next, as predicted", run.modality, cases, run.labels)
    return show(subject_of_dataset(dataset), path)


def next_record(members: Members, ranked: Sequence[Ranked], count: int) -> dict[str, object]:
    """All scans by rank, as plain values."""
    return {
        "runs": [str(run.folder.absolute()) for run in members.runs],
        "weights": members.weights,
        "scans": [
            {
                "rank": rank,
                "chosen": rank <= count,
                "scan": str(each.opinion.scan.absolute()),
                "mask": str(each.opinion.mask.absolute()),
                "uncertainty": each.opinion.mean_uncertainty,
                "disagreement": each.disagreement,
                "doubtful": each.doubtful,
                "distance": each.distance,
                "organs": {
                    name: {"uncertainty": each.opinion.uncertainty.get(name), "agreement": value}
                    for name, value in each.opinion.agreement.items()
                },
                "missing": list(each.opinion.missing),
                "doubts": [doubt.text for doubt in each.opinion.doubts],
                "reason": each.reason,
            }
            for rank, each in enumerate(ranked, start=1)
        ],
    }


def next_table(ranked: Sequence[Ranked], count: int) -> TextTable:
    """The scans chosen, in numbers."""
    rows = tuple(
        (
            f"{rank}. {each.opinion.name}",
            percent(each.opinion.mean_uncertainty),
            percent(each.disagreement),
            f"{each.distance:.2f}",
            str(len(each.opinion.doubts)),
        )
        for rank, each in enumerate(ranked[:count], start=1)
    )
    return TextTable(
        ("Scan", "Uncertainty %", "Disagreement %", "Distance", "Doubts"),
        rows,
        f"{count} of {counted(len(ranked), 'scan')}, by their rank in uncertainty and "
        "disagreement times their distance from what is labelled or chosen before, in medians. "
        "Means over organs.",
    )
