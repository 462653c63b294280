"""A sheet of unlabelled scans: which masks to take as labels, to look at, or to leave."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from dvcl.commands.mask_folder import read_mask
from dvcl.commands.opinions import Opinion, choose_pile, opinions
from dvcl.commands.predictor import Tell
from dvcl.datasets.dataset import Case
from dvcl.datasets.masks import read_case_label
from dvcl.errors import counted
from dvcl.evaluation.cases import evaluate_case
from dvcl.evaluation.summary import spread
from dvcl.evaluation.trust import Limits, Verdict, judge, learn_limits
from dvcl.files import require_writable, write_text
from dvcl.inference.doubts import VOLUME_SPREAD
from dvcl.inference.expectation import z_score
from dvcl.inference.seen import Seen
from dvcl.studies.members import Members
from dvcl.studies.project import Progress
from dvcl.studies.run import Run
from dvcl.studies.scans import scans_of
from dvcl.studies.scored import held_out_cases
from dvcl.studies.seen import read_seen

TABLE, PAGE, VALIDATION = "sheet.csv", "sheet.html", "validation"
ORGAN_COLUMNS = ("ml", "z", "agreement", "outside_largest", "border_mm")


@dataclass(frozen=True)
class Judged:
    """An unlabelled scan.

    Attributes:
        opinion: What the networks make of it.
        verdict: What to do with its mask.
        why: In words.
        z: By organ that is shown and that the run has learned from: of its logarithmic volume.
    """

    opinion: Opinion
    verdict: Verdict
    why: str
    z: dict[str, float]


@dataclass(frozen=True)
class Sheet:
    """All scans, and what the verdicts rest on.

    Attributes:
        members: That have predicted.
        rows: In the order of the files.
        limits: Learned from the validation cases.
        validation: (case, agreement, mean Dice) of these.
    """

    members: Members
    rows: tuple[Judged, ...]
    limits: Limits
    validation: tuple[tuple[str, float, float], ...]

    @property
    def accepted(self) -> list[Judged]:
        """Whose masks may be taken as labels."""
        return [row for row in self.rows if row.verdict == "accept"]

    def to_json(self) -> dict[str, Any]:
        """The verdicts and what they rest on, as plain values."""
        return {
            "runs": [str(run.folder.absolute()) for run in self.members.runs],
            "weights": self.members.weights,
            "limits": asdict(self.limits),
            "validation": [
                {"case": case, "agreement": agreed, "dice": dice}
                for case, agreed, dice in self.validation
            ],
            "scans": [
                {
                    "scan": str(row.opinion.scan.absolute()),
                    "mask": str(row.opinion.mask.absolute()),
                    "verdict": row.verdict,
                    "why": row.why,
                    "agreement": row.opinion.mean_agreement,
                }
                for row in self.rows
            ],
        }

    @property
    def about(self) -> str:
        """The counts, and where the limits come from, in sentences."""
        counts, limits = Counter(row.verdict for row in self.rows), self.limits
        doubted = sum(bool(row.opinion.doubts) for row in self.rows)
        found = (
            f"accept {counts['accept']}, look {counts['look']}, reject {counts['reject']}; "
            f"{doubted} of {len(self.rows)} have doubts"
        )
        if not limits.cases:
            return (
                f"{found}. There is no validation case that no run has learned from, so nothing "
                "says which agreement is enough, and no mask is accepted."
            )
        learned = (
            f"{limits.good} of {counted(limits.cases, 'validation case')} "
            f"{'reaches' if limits.cases == 1 else 'reach'} a mean Dice of {limits.wanted:.2f}"
        )
        if math.isinf(limits.accept_from):
            why = "none of them" if not limits.good else "not the one with the best agreement"
            return f"{found}. {learned}, {why}, so no mask is accepted. {limits.trust}"
        return (
            f"{found}. {learned}: all with an agreement of {limits.accept_from:.3f} or more, none "
            f"below {limits.reject_below:.3f}. A mask in between, or with doubts, wants a look. "
            f"{limits.trust}"
        )


def make_sheet(
    members: Members,
    folders: Sequence[Path],
    wanted: float,
    out: Path,
    device: torch.device,
    progress: Progress | None = None,
    tell: Tell = lambda line: None,
) -> Sheet:
    """Predict unlabelled scans and judge every mask; write the table.

    Args:
        members: That predict.
        folders: Of the scans.
        wanted: Mean Dice of a mask that is good enough, in 0..1.
        out: Folder for the masks and the table.
        device: Where networks run.
        progress: Called along the predictions.
        tell: Called with lines.

    Raises:
        InputError: When there is no scan or one cannot be read.
    """
    require_writable(out)
    targets = choose_pile(members, folders, out, tell)
    validation = _validation(members, out, device, progress)
    limits = learn_limits(
        [agreed for _, agreed, _ in validation], [dice for *_, dice in validation], wanted
    )
    seen = read_seen(members.first)
    rows = tuple(
        _judged(opinion, limits, seen)
        for opinion in opinions(members, targets, device, progress, tell)
    )
    sheet = Sheet(members, rows, limits, tuple(validation))
    write_text(out / TABLE, _csv(sheet))
    return sheet


def _validation(
    members: Members, out: Path, device: torch.device, progress: Progress | None
) -> list[tuple[str, float, float]]:
    """Cases that all runs were validated on and none has learned from, with agreement and Dice."""
    held_out = [held_out_cases(run, "validation") for run in members.runs]
    scans = [
        scans_of(run, [case.id for case in cases])
        for run, cases in zip(members.runs, held_out, strict=True)
    ]
    shared = set.intersection(*map(set, scans))
    shared -= {scan for run in members.runs for scan in scans_of(run, run.split.labelled)}
    ids = {scans[0][scan].id for scan in shared}
    cases = {case.image: case for case in held_out[0] if case.id in ids}
    targets = {image: out / VALIDATION / f"{case.id}.nii.gz" for image, case in cases.items()}
    found = opinions(members, targets, device, progress) if targets else []
    scored = [
        (each.name, each.mean_agreement, mean_dice(members.first, cases[each.scan], each.mask))
        for each in found
    ]
    return [row for row in scored if not math.isnan(row[2])]


def mean_dice(run: Run, case: Case, mask: Path) -> float:
    """Of a mask against the case's reference, over its organs; NaN where it has none."""
    reference, found = read_case_label(case, run.labels), read_mask(mask, case.image, run)
    rows = evaluate_case(case.id, reference, found, run.labels, unannotated=case.unannotated)
    return spread([row.dice for row in rows]).mean


def _judged(opinion: Opinion, limits: Limits, seen: Seen) -> Judged:
    verdict = judge(opinion.mean_agreement, len(opinion.doubts), limits)
    z = {
        name: z_score(math.log(organ["volume_ml"]), volumes, VOLUME_SPREAD)
        for name, organ in opinion.organs.items()
        if (volumes := [math.log(known.volume_ml) for known in seen.of_organ(name)])
    }
    return Judged(opinion, verdict, _why(opinion, limits), z)


def _why(opinion: Opinion, limits: Limits) -> str:
    agreed = f"agreement {opinion.mean_agreement:.3f}"
    if opinion.mean_agreement < limits.reject_below:
        return f"{agreed}, below that of every good validation case"
    parts = [agreed if opinion.mean_agreement >= limits.accept_from else f"{agreed}, not enough"]
    counts = Counter(doubt.code for doubt in opinion.doubts)
    parts += [f"{code} ({count})" if count > 1 else code for code, count in counts.items()]
    return "; ".join(parts)


def _csv(sheet: Sheet) -> str:
    """A row for every scan; what an organ does not have is left empty."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    organs = sheet.members.first.labels.organs
    headings = [f"{organ} {word}" for organ in organs for word in ORGAN_COLUMNS]
    table.writerow(["scan", "verdict", "why", "agreement", "uncertainty", "doubts", *headings])
    for row in sheet.rows:
        opinion = row.opinion
        means = (opinion.mean_agreement, opinion.mean_uncertainty)
        numbers = [number for organ in organs for number in _numbers(row, organ)]
        table.writerow(
            [
                *(opinion.name, row.verdict, row.why),
                *(round(mean, 4) for mean in means),
                len(opinion.doubts),
                *("" if number is None else round(number, 4) for number in numbers),
            ]
        )
    return text.getvalue()


def _numbers(row: Judged, name: str) -> tuple[float | None, ...]:
    """In the order of `ORGAN_COLUMNS`."""
    agreed, organ = row.opinion.agreement.get(name), row.opinion.organs.get(name)
    if organ is None:
        return None, None, agreed, None, None
    z, border_mm = row.z.get(name), organ.get("border_mm")
    return organ["volume_ml"], z, agreed, organ["scattered"], border_mm
