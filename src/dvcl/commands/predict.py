"""Segment new scans with a trained run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from dvcl.commands.clean_up import to_clean
from dvcl.commands.mask_folder import check_names, missing_codes, write_tables
from dvcl.commands.predict_limits import usable_calibration
from dvcl.commands.prediction_record import Prediction
from dvcl.commands.predictor import Predictor, Tell
from dvcl.commands.targets import spare_sources
from dvcl.errors import InputError, counted_are
from dvcl.files import require_writable
from dvcl.inference.seen import Seen
from dvcl.studies.members import Members
from dvcl.studies.project import Progress
from dvcl.studies.run import Run
from dvcl.studies.seen import read_seen

if TYPE_CHECKING:
    from dvcl.commands.predict_page import PredictionPage


def predict_files(
    members: Members,
    targets: Mapping[Path, Path],
    *,
    device: torch.device,
    maps: bool = False,
    apart: bool = False,
    pictures: bool = False,
    tables: bool = False,
    keep_largest: Sequence[str] | None = (),
    skip_existing: bool = False,
    progress: Progress | None = None,
    tell: Tell | None = None,
    of_scans: bool = True,
    look: Callable[[Tensor], None] | None = None,
) -> list[Prediction]:
    """Write a label map for every image, on the image's own voxels, and what is doubtful about it.

    Args:
        members: Of which the mean predicts.
        targets: {image: label map}, as `choose_targets` names them; files there are replaced one by
            one.
        device: Where to predict.
        maps: Also write ``<name>.uncertainty.nii.gz``, and of several members
            ``<name>.disagreement.nii.gz``, in 0..1.
        apart: Also write each member's label map, ``<name>.member-1.nii.gz`` and so on.
        pictures: Also write ``<name>.png``, the organs over three planes, and a page to scroll
            through scans, ``index.html``.
        tables: Also write what the integers mean, and ``volumes.csv``, with limits where the runs
            are calibrated.
        keep_largest: Organs of which only the largest part is kept; None for those that are in one
            part in every label map of the training.
        skip_existing: Leave out images whose label map is there, with the doubts about it; a
            picture that lacks is made of the label map.
        progress: Called with (windows done, windows in all, case) along each case.
        tell: Called with each doubt, those about a scan before its network runs.
        of_scans: Whether ``tell`` is told of single scans, or of the runs alone.
        look: Called with each scan's probabilities (K, d, h, w) on the prepared grid.

    Raises:
        InputError: When a result would take the place of a scan or of a reference, or the one
            member is to be kept apart; or, after all others are written, with every image that
            could not be segmented.
    """
    run = members.first
    folders = _checked_folders(run, targets, tables)
    tell = tell or _silent
    seen = read_seen(run)
    for note in _notes(run, seen, targets):
        tell(note)
    clean = to_clean(run, seen, keep_largest, tell)
    calibration = usable_calibration(members, clean, tell) if tables else None
    kept = apart or (calibration is not None and calibration.is_cross)
    ensemble = members.ensemble(device, apart=kept, disagreement=maps)
    if apart and len(ensemble.members) == 1:
        raise InputError(
            f"--members: one network predicts, that of {run.folder}; several runs, or one of a "
            "method that predicts with two networks, were expected. Leave out --members."
        )
    page = _page(members, seen) if pictures else None
    predictor = Predictor(
        members, ensemble, device, maps, apart, calibration, page, seen, clean, progress,
        tell if of_scans else _silent, look,
    )  # fmt: skip
    done, problems = predictor.predict_all(targets, skip_existing)
    if page and targets:
        page.write(next(iter(targets.values())).with_name("index.html"))
    for folder in folders if tables and done else ():
        write_tables(folder, run.labels)
    if problems:
        raise InputError(
            problems, f"{len(done)} of {counted_are(len(targets), 'image')} segmented; not so:"
        )
    return done


def _silent(_: str) -> None:
    """Who asked for no messages gets none."""


def _checked_folders(run: Run, targets: Mapping[Path, Path], tables: bool) -> set[Path]:
    """Of the label maps; refused before the network runs where they cannot be written."""
    spare_sources(run, targets)
    folders = {target.parent for target in targets.values()}
    for folder in folders:
        require_writable(folder)
        if tables:
            check_names(folder, run.labels)
    return folders


def _notes(run: Run, seen: Seen, targets: Mapping[Path, Path]) -> Iterator[str]:
    """What lacks for doubts, and for the codes of organs that a format asks for."""
    if not seen.numbers:
        yield (
            f"{run.folder}: has no record of what it was trained on, so scans are hardly doubted. "
            "Where its study is still there, the command that trained it adds the record."
        )
    if note := missing_codes(targets.values(), run.labels):
        yield note


def _page(members: Members, seen: Seen) -> PredictionPage:
    from dvcl.commands.predict_page import PredictionPage

    return PredictionPage(members.first, seen, members.runs)
