"""What a person sees while a command works: bars, tables, one line per finding."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any, NoReturn

from rich.console import Console, ConsoleDimensions
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from dvcl.errors import counted
from dvcl.resources import launch
from dvcl.training.idle import IdleTerms
from dvcl.training.journal import Row

Steps = Mapping[str, tuple[int, int]]

# Runs differ in speed: what is left of many is estimated from more than the last moments.
SPEED_PERIOD_S = 600.0
# Characters: a width that no table reaches.
UNBOUNDED = 10_000


class _Console(Console):
    """Leaves lines of text whole: a path or command that is broken in two cannot be copied.

    `print` is for results, which are always told.

    Attributes:
        warned: Warnings of the command at work.
        is_quiet: Notes and bars are left out.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.begin()

    def begin(self, quiet: bool = False, verbose: bool = False, as_json: bool = False) -> None:
        """Set how the command that begins speaks; beside JSON all is said on standard error."""
        self.is_quiet, self.is_verbose, self.stderr = quiet, verbose, as_json
        self.warned: list[str] = []

    def warn(self, line: str) -> None:
        """What a person must know, also in a quiet command and in its record."""
        self.warned.append(line)
        self.print(line, markup=False)

    def note(self, line: str) -> None:
        """What is good to know, and left out of a quiet command."""
        if not self.is_quiet:
            self.print(line, markup=False)

    def detail(self, line: str) -> None:
        """Settings, paths and times, for a verbose command."""
        if self.is_verbose:
            self.print(line, markup=False)

    @property  # type: ignore[misc] # nobody sets it
    def size(self) -> ConsoleDimensions:
        """Of the terminal; a file or a pipe has no bounds but those of COLUMNS or of a test."""
        size = super().size
        return size if self.is_terminal or self._width else size._replace(width=UNBOUNDED)

    def on_broken_pipe(self) -> None:
        """End, as what reads the output has had enough of it."""
        end_at_closed_pipe(self.file)

    def print(self, *objects: Any, **options: Any) -> None:
        if all(isinstance(value, str) for value in objects):
            options = {"soft_wrap": True, **options}
        super().print(*objects, **options)


def end_at_closed_pipe(file: IO[str]) -> NoReturn:
    """End as SIGPIPE ends other programs where what reads ``file``, such as `head`, has closed it.

    Raises:
        SystemExit: With 141.
    """
    # What is still in the file's buffer would fail once more as Python ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())
    raise SystemExit(128 + signal.SIGPIPE)


# Colour is left to bars and tables; numbers inside a path need none. Of several processes that
# train one run the first one speaks.
console = _Console(highlight=False, quiet=launch().rank > 0)


@contextmanager
def bars() -> Iterator[Callable[[str], Callable[[int, int, str], None]]]:
    """Bars for work on cases, one per phase; yields bar(title) -> progress(done, total, case)."""
    with _progress() as progress:
        yield lambda title: _Bar(progress, title).update


class _Bar:
    """One phase's bar; work counted anew for every case, such as windows, starts it again."""

    def __init__(self, progress: Progress, title: str) -> None:
        self.progress, self.title = progress, title
        self.task: TaskID | None = None
        self.done, self.cases, self.finished = 0, 1, False

    def update(self, done: int, total: int, case: str) -> None:
        """Show ``done`` of ``total``; the bar appears when its phase begins."""
        if self.task is None:
            self.task = self.progress.add_task(self.title, total=total, note="")
        elif self.finished or done <= self.done:
            self.progress.reset(self.task)
            self.cases += 1
        self.done, self.finished = done, done == total
        note = case if self.cases == 1 else f"{case} (case {self.cases})"
        self.progress.update(self.task, completed=done, total=total, note=escape(note))


@contextmanager
def training_bar(title: str, iterations: int) -> Iterator[Callable[[Row], None]]:
    """A bar for training; yields an observer of journal rows."""
    best = loss = 0.0
    idle_terms = IdleTerms()
    with _progress() as progress:
        tasks: list[TaskID] = []

        def observe(row: Row) -> None:
            """Move the bar; print validations, and terms that taught nothing, above it."""
            nonlocal best, loss
            # The bar appears with the first step: errors found before it stand alone.
            if not tasks:
                tasks.append(progress.add_task(title, total=iterations, note=""))
                if not progress.console.is_terminal:
                    # In a log a bar is seen when it is full.
                    console.note(f"{title}: {counted(iterations, 'step')}.")
            for sentence in idle_terms(row):
                console.warn(f"  iteration {row['iteration']}: {sentence}")
            if row["kind"] == "step":
                loss = sum(row["terms"].values())
            elif row["mean_dice"] == row["mean_dice"]:
                found = row["mean_dice"]
                best = max(best, found)
                console.note(f"  iteration {row['iteration']}: validation Dice {100 * found:.1f} %")
            dice = f", best Dice {100 * best:.1f} %" if best else ""
            progress.update(tasks[0], completed=row["iteration"], note=f"loss {loss:.3f}{dice}")

        yield observe


@contextmanager
def step_bars(title: str, total: int, done: int) -> Iterator[Callable[[int, Steps], None]]:
    """A bar for the steps of many runs; yields show(done, {run at work: (done, total)})."""
    with _progress(SPEED_PERIOD_S) as progress:
        every = progress.add_task(title, total=total, completed=done, note="")
        tasks: dict[str, TaskID] = {}

        def show(done: int, working: Steps) -> None:
            progress.update(every, completed=done)
            for run in tasks.keys() - working.keys():
                progress.remove_task(tasks.pop(run))
            for run, (steps, of) in working.items():
                if run not in tasks:
                    tasks[run] = progress.add_task(escape(run), total=of, note="")
                note = "scoring" if steps >= of else ""
                progress.update(tasks[run], completed=steps, note=note)

        yield show


class _Progress(Progress):
    """Leaves nothing behind, not even an empty line, where an error came before the first bar."""

    def stop(self) -> None:
        if self.tasks:
            super().stop()
        else:
            self.live.stop()


def _progress(period_s: float = 30) -> Progress:
    return _Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=12),
        MofNCompleteColumn(),
        # Time left while at work, time taken in the end.
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        TextColumn("{task.fields[note]}"),
        console=console,
        disable=console.is_quiet,
        speed_estimate_period=period_s,
    )
