"""What runs make of scans without a reference: `dvcl predict`, read back in numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import torch

from dvcl.commands.mask_folder import read_mask
from dvcl.commands.predict import predict_files
from dvcl.commands.prediction_record import (
    REMEDY,
    PredictedOrgan,
    PredictionRecord,
    beside,
    member_mask,
)
from dvcl.commands.predictor import Tell
from dvcl.commands.targets import choose_targets
from dvcl.datasets.checks import Finding
from dvcl.errors import InputError
from dvcl.evaluation.overlap import agreement, confusion_matrix
from dvcl.inference.seen import Seen
from dvcl.leaks.fingerprint import voxels_sha256
from dvcl.records import read_record
from dvcl.studies.members import Members
from dvcl.studies.project import Progress
from dvcl.studies.scans import scans_of
from dvcl.studies.seen import read_seen
from dvcl.volume import read_volume, volume_stem

FOLDER = "unlabelled"  # in the study
MASKS = "masks"


@dataclass(frozen=True)
class Opinion:
    """A scan and what the networks make of it.

    Attributes:
        scan: The file, or folder of slices.
        mask: The label map.
        doubts: About both.
        organs: What the mask shows.
        missing: Organs that it lacks although every label map of the training shows them.
        agreement: By organ that is shown or missing, in 0..1: the mean Dice of each two members'
            masks; of one network, how far its mask agrees with its own probabilities.
    """

    scan: Path
    mask: Path
    doubts: tuple[Finding, ...]
    organs: Mapping[str, PredictedOrgan]
    missing: tuple[str, ...]
    agreement: Mapping[str, float]

    @property
    def name(self) -> str:
        """Of the scan."""
        return volume_stem(self.mask)

    @property
    def doubts_about_scan(self) -> int:
        """Those that it raised before any network had seen it."""
        return sum(doubt.where != str(self.mask) for doubt in self.doubts)

    @property
    def mean_agreement(self) -> float:
        """Of all organs; 0 of a mask without any."""
        return float(np.mean([*self.agreement.values()])) if self.agreement else 0.0

    @property
    def uncertainty(self) -> dict[str, float]:
        """By organ that is shown: by voxel, so that no large scan leads."""
        # An organ that shows only between prepared voxels has no number and is as unsure as can be.
        return {name: organ.get("uncertainty", 1.0) for name, organ in self.organs.items()}

    @property
    def mean_uncertainty(self) -> float:
        """Of the organs that are shown; 1 of a mask without any."""
        return float(np.mean([*self.uncertainty.values()])) if self.organs else 1.0


def default_folder(members: Members) -> Path:
    """``STUDY/unlabelled`` of the first run.

    Raises:
        InputError: When the run does not lie in its study.
    """
    return members.first.study("Say with --out where the results shall go.") / FOLDER


def choose_pile(
    members: Members, folders: Sequence[Path], out: Path, tell: Tell
) -> dict[Path, Path]:
    """{scan: label map}, without the scans that the runs have with a label under whatever name.

    Args:
        members: That predict.
        folders: Of scans.
        out: Folder of the results.
        tell: Called with a line about those left out.

    Raises:
        InputError: With every scan that cannot be read; when none is left.
    """
    targets = choose_targets(folders, out / MASKS)
    known = _known(members)
    problems, left_out = [], []
    for path in targets:
        try:
            if voxels_sha256(read_volume(path)) in known:
                left_out.append(path)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    chosen = {path: mask for path, mask in targets.items() if path not in left_out}
    if left_out:
        tell(f"Left out, as the runs have them with a label: {', '.join(map(str, left_out))}.")
    if not chosen:
        raise InputError(
            f"{', '.join(map(str, folders))}: every scan there has a label already; scans without "
            "one were expected."
        )
    return chosen


def _known(members: Members) -> set[str]:
    """Hashes of the scans that some run learns from, chooses by or is tested on with a label."""
    return {
        scan
        for run in members.runs
        for scan in scans_of(run, (*run.split.labelled, *run.split.validation, *run.split.test))
    }


def opinions(
    members: Members,
    targets: Mapping[Path, Path],
    device: torch.device,
    progress: Progress | None = None,
    tell: Tell | None = None,
) -> list[Opinion]:
    """Predict the scans, but for those that an earlier call has done, and look at the results.

    Args:
        members: Of which the mean predicts.
        targets: {scan: label map}.
        device: Where to predict.
        progress: As for `predict_files`.
        tell: Called with lines about the runs; what there is to know of each scan is returned.

    Raises:
        InputError: As `predict_files`.
    """
    networks = len(members.ensemble(device).members)
    predict_files(
        members, targets, device=device, apart=networks > 1, tables=True, keep_largest=None,
        skip_existing=True, progress=progress, tell=tell, of_scans=False,
    )  # fmt: skip
    seen = read_seen(members.first)
    return [_opinion(members, scan, mask, networks, seen) for scan, mask in targets.items()]


def _opinion(members: Members, scan: Path, mask: Path, networks: int, seen: Seen) -> Opinion:
    with read_record(beside(mask), PredictionRecord, REMEDY) as record:
        doubts = tuple(Finding.from_json(doubt) for doubt in record["doubts"])
        organs = record.get("organs", {})
    always = set.intersection(*map(set, seen.organs)) if seen.organs else set()
    missing = tuple(name for name in members.first.labels.organs if name in always - set(organs))
    agreed = {name: organ.get("agreement", 0.0) for name, organ in organs.items()}
    if networks > 1:
        agreed = dict(_agreement(members, scan, mask, networks))
    return Opinion(scan, mask, doubts, organs, missing, agreed | dict.fromkeys(missing, 0.0))


def _agreement(
    members: Members, scan: Path, mask: Path, networks: int
) -> Iterator[tuple[str, float]]:
    """Mean Dice between members, of every organ that one of them shows."""
    run = members.first
    files = [member_mask(mask, number) for number in range(1, networks + 1)]
    maps = [run.labels.encode(read_mask(file, scan, run).array, file) for file in files]
    found = [
        agreement(confusion_matrix(one, other, run.labels.classes))
        for one, other in combinations(maps, 2)
    ]
    for name, values in zip(run.labels.organs, np.transpose(found)[1:], strict=True):
        if not np.isnan(values).all():
            # Two that both lack what a third one shows agree about it.
            yield name, math.fsum(np.nan_to_num(values, nan=1.0)) / len(values)
