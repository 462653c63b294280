"""What a model card is made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dvcl.commands.prediction_record import PredictionRecord, records_in
from dvcl.evaluation.cases import CaseScore
from dvcl.evaluation.score_file import read_scores
from dvcl.evaluation.summary import Summary, summarise
from dvcl.files import read_json
from dvcl.inference.seen import Seen
from dvcl.records import read_record
from dvcl.studies.run import Run
from dvcl.studies.scored import is_scored, predictions_folder, scores_file
from dvcl.studies.seen import read_seen
from dvcl.training.journal import read_journal


@dataclass(frozen=True)
class Known:
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


def gather(run: Run) -> Known:
    """Read all of it from the run's folder."""
    scores = read_scores(scores_file(run)) if is_scored(run) else []
    rows = read_journal(run.journal)
    return Known(
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
