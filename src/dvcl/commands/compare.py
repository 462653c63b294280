"""Train and score many runs, and say which differences are real."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from dvcl.commands.console import console, step_bars
from dvcl.commands.train import check_fit, make_run
from dvcl.comparison.choice import UNCHOSEN, Chosen, check_chosen
from dvcl.comparison.findings import Findings, collect, twins_of, write_findings
from dvcl.comparison.jobs import Job, Start, run_jobs, start_here, start_submitted
from dvcl.comparison.page import write_comparison_page
from dvcl.comparison.plan import Entry, plan
from dvcl.comparison.records import RUNS, RunRecord, finished, located, read_records, together
from dvcl.comparison.table_plan import plan_table
from dvcl.comparison.tables import build_tables, write_tables
from dvcl.errors import InputError
from dvcl.files import folder_lock, sha256_of_json
from dvcl.methods import METHODS
from dvcl.paper.tables import paper_table
from dvcl.recipe import Recipe
from dvcl.report.sections import SectionedTable
from dvcl.report.tables import TextTable
from dvcl.splits import Split
from dvcl.studies.divide import divide, with_division
from dvcl.studies.project import Project, open_project
from dvcl.studies.scored import SCORES

DEFAULT_METHODS = "supervised,cps,dvcl"


@dataclass(frozen=True)
class Options:
    """What is to be compared, and how to run it; the options of `dvcl compare`."""

    methods: str | None
    seeds: Sequence[int]
    labelled_cases: Sequence[int] = ()
    vary: Sequence[str] = ()
    twin: bool = False
    table: str | None = None
    name: str | None = None
    recipe: str | None = None
    changes: tuple[str, ...] = ()
    validation_share: float | None = None
    test_share: float | None = None
    split_seed: int | None = None
    jobs: int = 1
    slurm: bool = False
    slurm_options: Sequence[str] = ()
    device: str = "auto"
    recorded: Sequence[Path] = ()
    shown: Chosen = UNCHOSEN

    def method_names(self) -> list[str]:
        """In the order asked for; supervised first where a twin is wanted."""
        methods = self.methods or DEFAULT_METHODS
        names = list(METHODS) if methods == "all" else methods.split(",")
        return ["supervised", *names] if self.twin and "supervised" not in names else names

    def plan(self, studies: Sequence[Path], name: str) -> list[Entry]:
        """All runs.

        Raises:
            InputError: When the options do not go together, or leave nothing to run.
        """
        numbers: Sequence[int | None] = self.labelled_cases or [None]
        if self.table is None:
            vary = parse_varied(self.vary)
            return plan(studies, self.method_names(), self.seeds, numbers, vary, name)
        if self.methods or self.vary or self.twin:
            raise InputError(
                f"--table {self.table}: found with --methods, --vary or --twin; expected without, "
                "as the table says which runs it has. Leave out one or the other."
            )
        table = paper_table(self.table)
        recipes = {
            study: open_project(study).load_recipe(self.recipe, self.changes) for study in studies
        }
        return plan_table(table, recipes, self.seeds, numbers, name)

    def divide(self, project: Project, recipe: Recipe, labelled_cases: int | None) -> Split:
        """As `dvcl train` does with the same options."""
        given = {
            "seed": self.split_seed, "labelled_cases": labelled_cases,
            "validation_share": self.validation_share, "test_share": self.test_share,
        }  # fmt: skip
        return divide(project, with_division(recipe, given))

    def training(self, entry: Entry) -> tuple[str, ...]:
        """Arguments of `dvcl` that train a run."""
        changes = (f"--set={change}" for change in (*self.changes, *entry.varied))
        optional = {
            "--recipe": self.recipe, "--labelled-cases": entry.labelled_cases,
            "--validation-share": self.validation_share, "--test-share": self.test_share,
            "--split-seed": self.split_seed,
        }  # fmt: skip
        return (
            "train", str(entry.study), "--method", entry.method, "--seed", str(entry.seed),
            "--name", entry.group, "--device", self.device,
            *(word for option in optional.items() if option[1] is not None
              for word in map(str, option)),
            *changes,
        )  # fmt: skip

    def start(self, folder: Path) -> Start:
        """How to run jobs."""
        if not self.slurm:
            return start_here(self.jobs, visible_gpus(self.device))
        pairs = [option.partition("=") for option in self.slurm_options]
        given = {key: int(value) if value.isdecimal() else value for key, _, value in pairs}
        return start_submitted(folder / "slurm", "slurm", given)


@dataclass(frozen=True)
class Outcome:
    """What a comparison came to.

    Attributes:
        findings: Tables of the finished runs, by study and group.
        failed: Title and reason of the failed runs.
        note: Where everything is.
        twins: What the unlabelled scans were worth, in a sentence and by organ, where asked for.
        tables: The paper's table that was asked for, one per study.
    """

    findings: list[Findings]
    failed: dict[str, str]
    note: str
    twins: Sequence[tuple[str, TextTable]] = ()
    tables: Sequence[SectionedTable] = ()


def compare_studies(studies: Sequence[Path], options: Options, dry: bool = False) -> Outcome:
    """Train and score what is missing, and write tables of everything that is there.

    Writes ``comparisons/NAME/`` into the first study. The same call continues a comparison; other
    calls with this name add to it.

    Raises:
        InputError: Before any work, with every run that could not be trained, and why.
    """
    first = open_project(studies[0])
    name = options.name or first.load_recipe(options.recipe, options.changes).name
    folder = studies[0] / "comparisons" / name
    entries = options.plan(studies, name)
    check_chosen(options.shown, [open_project(study).dataset for study in studies])
    folders = [*options.recorded, *([folder] if (folder / RUNS).exists() else [])]
    earlier = located(_read_all(folders), studies)
    steps = _missing(entries, options, {record.hash for record in earlier})
    done = f"{len(entries) - len(steps)} of {len(entries)} runs are finished"
    if dry:
        lines = [f"to do: {entry.title} ({count} steps)" for entry, count in steps.items()]
        records = _records(entries, earlier)
        tables = build_tables(records, paper_table(options.table)) if options.table else ()
        return Outcome(collect(records), {}, "\n".join([*lines, done]), tables=tables)
    console.print(f"{done}.")
    failed = run_comparison(steps, options, folder / "logs")
    records = _records(entries, earlier)
    findings = collect(records)
    write_findings(folder, records, findings)
    told = _told(entries, records)
    page = write_comparison_page(folder, records, findings, told, options.shown)
    note = f"Every score and all tables: {folder}\nOpen {page}."
    tables = write_tables(folder, records, paper_table(options.table)) if options.table else ()
    return Outcome(findings, failed, note, twins_of(records) if options.twin else (), tables)


def _read_all(folders: Sequence[Path]) -> list[RunRecord]:
    return [record for folder in folders for record in read_records(folder)]


def _records(entries: Sequence[Entry], earlier: Sequence[RunRecord]) -> list[RunRecord]:
    found = [record for entry in entries if (record := finished(entry))]
    return together(earlier, found)


def _told(entries: Sequence[Entry], records: Sequence[RunRecord]) -> str:
    """How far it is, for the head of the page."""
    known = {record.entry.title for record in records}
    done = sum(entry.title in known for entry in entries)
    others = f", {len(known) - done} of earlier calls" if len(known) > done else ""
    return f"{done} of {len(entries)} runs are finished and shown{others}"


def run_comparison(steps: Mapping[Entry, int], options: Options, logs: Path) -> dict[str, str]:
    """Train and score runs, several at once.

    Args:
        steps: Runs, and how many steps each takes in all.
        options: How.
        logs: Folder for what they print, and for the lock that keeps a second comparison out.

    Returns:
        Title and reason of the runs that failed.
    """
    jobs = {}
    for entry in steps:
        score = ("evaluate", str(entry.folder), "--device", options.device)
        log = logs / f"{entry.title.replace(': ', ', ')}.txt"
        jobs[Job(entry.title, (options.training(entry), score), log)] = entry
    with folder_lock(logs), _progress(steps) as show:
        return run_jobs(
            list(jobs), options.start(logs), options.jobs,
            lambda working: show([jobs[job] for job in working]), _tell,
        )  # fmt: skip


def _tell(job: Job, reason: str) -> None:
    console.print(f"{'failed' if reason else 'done'}: {job.title}", markup=False)


def _missing(
    entries: Sequence[Entry], options: Options, recorded: Collection[str]
) -> dict[Entry, int]:
    """The runs that are neither finished nor recorded by their hash, and their steps.

    Raises:
        InputError: With everything that would stop one of them.
    """
    projects = {entry.study: open_project(entry.study) for entry in entries}
    steps: dict[Entry, int] = {}
    problems: dict[str, None] = {}
    for entry in entries:
        project = projects[entry.study]
        try:
            recipe = project.load_recipe(options.recipe, (*options.changes, *entry.varied))
            split = options.divide(project, recipe, entry.labelled_cases)
            run = make_run(project, recipe, entry.method, split, seed=entry.seed, name=entry.group)
            check_fit(run, run.build_method(), project.store(recipe))
            is_finished = run.is_recorded() and (run.folder / SCORES).exists()
            if not is_finished and sha256_of_json(run.settings) not in recorded:
                steps[entry] = recipe.training.iterations
        except InputError as error:
            # The same mistake of every seed is told once.
            problems |= dict.fromkeys(error.problems)
    if problems:
        raise InputError(list(problems), "this comparison cannot be made:")
    return steps


@contextmanager
def _progress(
    todo: Mapping[Entry, int],
) -> Iterator[Callable[[Sequence[Entry]], None]]:
    """One bar for all steps of all runs, one for every run at work."""
    done = {entry: entry.iterations_done() for entry in todo}
    with step_bars("All runs", sum(todo.values()), sum(done.values())) as show:

        def update(working: Sequence[Entry]) -> None:
            done.update((entry, entry.iterations_done()) for entry in working)
            steps = {entry.title: (done[entry], todo[entry]) for entry in working}
            show(sum(done.values()), steps)

        yield update


def visible_gpus(device: str) -> int:
    """GPUs among which runs can be shared out."""
    return torch.cuda.device_count() if device in ("auto", "cuda") else 0


def parse_numbers(option: str, text: str | None) -> list[int]:
    """Whole numbers with commas between them; none without a text."""
    try:
        return [int(part) for part in text.split(",")] if text else []
    except ValueError as error:
        raise InputError(
            f"{option}: {text!r} found; whole numbers were expected, as 0,1,2."
        ) from error


def parse_varied(options: Sequence[str]) -> dict[str, list[str]]:
    """A setting and its values from each "key=value,value"; lists in brackets stay whole."""
    varied = {}
    for option in options:
        key, sign, values = option.partition("=")
        if not sign or not values:
            raise InputError(
                f"--vary {option!r}: a setting and its values were expected, as "
                "methods.dvcl.neighbours=5,10,20."
            )
        varied[key] = re.split(r",(?![^\[]*\])", values)
    return varied
