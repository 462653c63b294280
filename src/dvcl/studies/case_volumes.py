"""A case and what several runs made of it, read for a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dvcl.datasets.dataset import Case, LabelTable, Modality
from dvcl.datasets.masks import read_case_label
from dvcl.studies.run import Run
from dvcl.studies.scored import prediction_of
from dvcl.volume import Volume, read_label, read_volume


@dataclass(frozen=True)
class CaseVolumes:
    """Arguments of the sheets in `dvcl.report`, in their order.

    Attributes:
        image: Of the scan.
        reference: Label integers.
        predictions: Label integers by the name of the column.
        labels: Meaning of the integers.
        modality: Of the scan.
    """

    image: Volume
    reference: Volume
    predictions: Mapping[str, Volume]
    labels: LabelTable
    modality: Modality


def read_volumes(case: Case, runs: Mapping[str, Run]) -> CaseVolumes:
    """Read a case with a reference, and its predictions by those runs that have one.

    Args:
        case: Of the runs' study.
        runs: By the name of the column, at least one.

    Raises:
        InputError: When a file is gone or cannot be read.
    """
    first = next(iter(runs.values()))
    image = read_volume(case.image)
    return CaseVolumes(
        image,
        read_case_label(case, first.labels, image.geometry),
        {
            name: read_label(path)
            for name, run in runs.items()
            if (path := prediction_of(run, case)).exists()
        },
        first.labels,
        first.modality,
    )
