"""Finished runs as two small files, from which tables and figures are made again without them."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from dvcl.comparison.plan import Entry
from dvcl.errors import InputError
from dvcl.evaluation.cases import CaseScore
from dvcl.evaluation.score_file import COLUMNS, parse_score, read_scores
from dvcl.files import sha256_of_json, write_json, write_text
from dvcl.records import Amount, Count, Name, read_record
from dvcl.splits import scored_part
from dvcl.studies.run import open_run
from dvcl.studies.run_record import RunRecord as WrittenRun
from dvcl.studies.scored import SCORES, is_scored, scores_file
from dvcl.training.journal import read_journal

RUNS, CASES, LAST_CASES = "runs.json", "scores.csv", "scores-last.csv"
KEY = ("study", "group", "method", "seed")
REMEDY = "Restore the file from a copy, or compare again."
# A step that took so many usual ones is no step, but a pause.
PAUSE = 100


class ValidationEntry(TypedDict):
    """A validation in runs.json."""

    iteration: Count
    mean_dice: float | None
    dice: dict[str, float | None]


class RunEntry(TypedDict):
    """A run in runs.json."""

    study: Name
    group: Name
    method: Name
    seed: Count
    labelled_cases: Count | None
    varied: list[str]
    schedule: NotRequired[list[str]]
    hash: str
    settings: str
    made_with: dict[str, str]
    seconds_per_step: Amount
    processor_per_step: NotRequired[Amount | None]
    minutes: Amount
    peak_mib: Amount | None
    validation: list[ValidationEntry]


class RunsFile(TypedDict):
    """runs.json."""

    runs: list[RunEntry]
    settings: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class RunRecord:
    """One finished run: what it was, what it cost, and how it did.

    Attributes:
        entry: Its place in a comparison.
        hash: Of all its settings, as in its run.json.
        settings: All that decides the result, but for the method and the seed.
        made_with: Versions, device, threads.
        seconds_per_step: On the clock; the mean, as unlabelled terms make later steps dearer. Steps
            in which the machine slept or the program stood still are left out.
        minutes: Of training with validation, without those steps.
        peak_mib: Most memory, of the GPU if there was one; None where the run did not tell.
        validation: Journal rows of the validations, without what only the method's author reads.
        scores: Of its test cases, or of its validation cases where it has no test.
        last: The same by the last weights; empty where they were not scored.
        processor_per_step: Seconds of the processor, which other work there hardly changes; None
            for a GPU and where an earlier version took some of the steps.
    """

    entry: Entry
    hash: str
    settings: Mapping[str, Any]
    made_with: Mapping[str, Any]
    seconds_per_step: float
    minutes: float
    peak_mib: float | None
    validation: Sequence[Mapping[str, Any]]
    scores: Sequence[CaseScore]
    last: Sequence[CaseScore] = ()
    processor_per_step: float | None = None

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What tells it apart within a comparison."""
        entry = self.entry
        return entry.study.name, entry.group, entry.method, entry.seed

    @property
    def scored(self) -> str:
        """Of which cases the scores are: "test", or "validation" where there are no others."""
        return scored_part((score.case for score in self.scores), self.settings["split"]["test"])


def parts_scored(records: Iterable[RunRecord]) -> str:
    """Of which cases their scores are: "test", "validation" or "test or validation"."""
    return " or ".join(sorted({record.scored for record in records}))


def finished(entry: Entry) -> RunRecord | None:
    """The record of a run that has been trained to its end and scored since, else None."""
    path = entry.folder / "run.json"
    if not path.exists() or not is_scored(opened := open_run(entry.folder), as_usual=True):
        return None
    final = replace(opened, weights="last")
    rows = read_journal(entry.folder / "journal.jsonl")
    steps = [row for row in rows if row["kind"] == "step"]
    if not steps:
        raise InputError(f"{entry.folder}: its journal.jsonl has no step. {REMEDY}")
    at_work = _without_pauses([row["seconds"] for row in steps])
    with read_record(path, WrittenRun, REMEDY) as run:
        settings = {k: v for k, v in run["settings"].items() if k not in ("method", "seed")}
        made_with = run.get("made_with", {})
    return RunRecord(
        entry, run["hash"], settings, made_with,
        statistics.fmean(at_work),
        (sum(at_work) + sum(row["seconds"] for row in rows if row["kind"] != "step")) / 60,
        max((row["peak_mib"] for row in steps if row.get("peak_mib")), default=None),
        [
            {key: row[key] for key in ("kind", "iteration", "mean_dice", "dice")}
            for row in rows if row["kind"] == "validation"
        ],
        read_scores(entry.folder / SCORES),
        read_scores(scores_file(final)) if is_scored(final, as_usual=True) else (),
        statistics.fmean(row["processor"] for row in steps)
        if all("processor" in row for row in steps) else None,
    )  # fmt: skip


def _without_pauses(seconds: Sequence[float]) -> list[float]:
    usual = statistics.median(seconds)
    return [step for step in seconds if step <= PAUSE * usual]


def seconds_per_step(records: Sequence[RunRecord]) -> float:
    """The median over runs: of the processor, or on the clock where no run tells that.

    Where runs were made on several devices, over those on the one that most were made on.
    """
    usual = statistics.mode(record.made_with.get("device") for record in records)
    alike = [record for record in records if record.made_with.get("device") == usual]
    told = [r.processor_per_step for r in alike if r.processor_per_step is not None]
    return statistics.median(told or [record.seconds_per_step for record in alike])


def write_records(folder: Path, records: Sequence[RunRecord]) -> None:
    """Write ``runs.json``, ``scores.csv`` and, where there are any, ``scores-last.csv``.

    Settings that runs share are written once.
    """
    shared: dict[str, Mapping[str, Any]] = {}
    runs = []
    for record in records:
        key = sha256_of_json(record.settings)[:12]
        shared[key] = record.settings
        runs.append(
            {
                **dict(zip(KEY, record.key, strict=True)),
                "labelled_cases": record.entry.labelled_cases,
                "varied": list(record.entry.varied),
                "schedule": list(record.entry.schedule),
                "hash": record.hash,
                "settings": key,
                "made_with": record.made_with,
                "seconds_per_step": record.seconds_per_step,
                "processor_per_step": record.processor_per_step,
                "minutes": record.minutes,
                "peak_mib": record.peak_mib,
                "validation": record.validation,
            }
        )
    write_text(folder / CASES, _scores_csv({record.key: record.scores for record in records}))
    if any(record.last for record in records):
        write_text(folder / LAST_CASES, _scores_csv({r.key: r.last for r in records}))
    else:
        (folder / LAST_CASES).unlink(missing_ok=True)
    write_json(folder / RUNS, {"runs": runs, "settings": shared})


def read_records(folder: Path) -> list[RunRecord]:
    """Read what `write_records` wrote.

    Raises:
        InputError: When a file is missing or damaged, or the two do not belong together.
    """
    scores = _read_scores(folder / CASES)
    last = _read_scores(folder / LAST_CASES) if (folder / LAST_CASES).exists() else {}
    with read_record(folder / RUNS, RunsFile, REMEDY) as written:
        records = [
            RunRecord(
                Entry(
                    Path(run["study"]), run["method"], run["seed"], run["labelled_cases"],
                    tuple(run["varied"]), run["group"], tuple(run.get("schedule", ())),
                ),
                run["hash"], written["settings"][run["settings"]], run["made_with"],
                run["seconds_per_step"], run["minutes"], run["peak_mib"], run["validation"],
                scores.pop(_key(run), ()), last.pop(_key(run), ()), run.get("processor_per_step"),
            )
            for run in written["runs"]
        ]  # fmt: skip
    without = [record.entry.title for record in records if not record.scores]
    if without or scores or last:
        found = [*without, *(", ".join(key) for key in {**scores, **last})]
        raise InputError(
            f"{folder}: {RUNS} and {LAST_CASES if last else CASES} do not tell of the same runs; "
            f"these are only in one of them: {'; '.join(found)}. {REMEDY}"
        )
    return records


def _key(run: Any) -> tuple[str, ...]:
    return tuple(str(run[key]) for key in KEY)


def located(records: Iterable[RunRecord], studies: Sequence[Path]) -> list[RunRecord]:
    """Records that know where their study lies, where it is one of these."""
    folders = {study.name: study for study in studies}
    return [
        replace(r, entry=replace(r.entry, study=folders.get(r.entry.study.name, r.entry.study)))
        for r in records
    ]


def together(old: Iterable[RunRecord], new: Iterable[RunRecord]) -> list[RunRecord]:
    """Records of several calls; a run that was made again counts as it is now.

    Older runs of a group whose settings have changed since are left out: they would be compared
    with what they cannot be compared with. The settings of a method are its own affair.
    """
    new = list(new)
    common = {record.entry.label: sha256_of_json(apart_from_methods(record)) for record in new}
    own = {
        (record.entry.label, record.entry.method): sha256_of_json(_own(record)) for record in new
    }
    kept = {}
    for record in old:
        label, method = record.entry.label, record.entry.method
        shared, mine = (
            sha256_of_json(apart_from_methods(record)),
            sha256_of_json(_own(record)),
        )
        if common.get(label, shared) == shared and own.get((label, method), mine) == mine:
            kept[record.key] = record
    return list((kept | {record.key: record for record in new}).values())


def apart_from_methods(record: RunRecord) -> dict[str, Any]:
    """What runs of all methods must have in common to be compared: data, split and schedule.

    Where runs take equal time, the parts of the schedule that differ for it are left out.
    """
    own = {change.partition("=")[0] for change in record.entry.schedule}
    recipe = {
        section: {k: v for k, v in values.items() if f"{section}.{k}" not in own}
        if isinstance(values, Mapping) else values
        for section, values in record.settings["recipe"].items()
        if section not in ("name", "about", "methods")
    }  # fmt: skip
    return {**record.settings, "recipe": recipe}


def _own(record: RunRecord) -> Mapping[str, Any]:
    methods: Mapping[str, Mapping[str, Any]] = record.settings["recipe"].get("methods", {})
    return methods.get(record.entry.method, {})


def _scores_csv(scored: Mapping[tuple[str, str, str, int], Sequence[CaseScore]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*KEY, *COLUMNS))
    for key, scores in scored.items():
        for score in scores:
            cells = ("" if value != value else value for value in astuple(score))
            writer.writerow((*key, *cells))
    return text.getvalue()


def _read_scores(path: Path) -> dict[tuple[str, ...], list[CaseScore]]:
    if not path.exists():
        raise InputError(
            f"{path}: no such file; scores of a comparison were expected there. Name a folder such "
            "as STUDY/comparisons/NAME, which `dvcl compare` writes."
        )
    found: dict[tuple[str, ...], list[CaseScore]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        header = tuple(next(rows, ()))
        if header != (*KEY, *COLUMNS):
            raise InputError(
                f"{path}: its columns are {', '.join(header) or 'none'}; expected "
                f"{', '.join((*KEY, *COLUMNS))}. {REMEDY}"
            )
        for line, row in enumerate(rows, start=2):
            key, score = tuple(row[: len(KEY)]), row[len(KEY) :]
            found.setdefault(key, []).append(parse_score(score, f"{path}, line {line}"))
    return found
