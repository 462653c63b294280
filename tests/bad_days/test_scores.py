"""Whose scores they are: of the weights that are there, or to be made again."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from dvcl.comparison.plan import Entry
from dvcl.comparison.records import finished
from dvcl.studies.run import open_run
from dvcl.studies.scored import has_scores, is_scored
from dvcl.training.checkpoint import save_weights

RUN = Path("work/runs/done/supervised/seed-0")


def train_on(study: Path) -> None:
    run = open_run(study / RUN)
    method = run.trained_method(torch.device("cpu"))
    with torch.no_grad():
        next(method.parameters()).mul_(1.01)
    save_weights(run.checkpoint, method, iteration=2)


def unfinish(study: Path) -> None:
    record = json.loads((study / RUN / "run.json").read_text())
    record["settings"]["recipe"]["training"]["iterations"] = 40
    (study / RUN / "run.json").write_text(json.dumps(record))


def forget_the_state(study: Path) -> None:
    """People delete it for its size; the journal tells how far the run is."""
    (study / RUN / "last.safetensors").unlink()


def rewrite(name: str, change: Callable[[str], str]) -> Callable[[Path], None]:
    def spoil(study: Path) -> None:
        path = study / RUN / name
        path.write_text(change(path.read_text()))

    return spoil


@pytest.mark.parametrize(
    ("spoil", "counts"),
    [
        (lambda study: None, True),
        (forget_the_state, True),
        (lambda study: (study / RUN / "scores.json").unlink(), True),
        (lambda study: (study / RUN / "best.safetensors").unlink(), True),
        (unfinish, False),
        (lambda study: [unfinish(study), forget_the_state(study)], False),
        (train_on, False),
        (lambda study: (study / RUN / "cases.csv").unlink(), False),
        (rewrite("cases.csv", lambda text: text.splitlines()[0] + "\n"), False),
        (rewrite("cases.csv", lambda text: text + text.splitlines()[-1] + "\n"), False),
        (rewrite("cases.csv", lambda text: "case,organ\n"), False),
        (rewrite("scores.json", lambda text: "{"), False),
    ],
    ids=[
        "as it was scored", "without its state", "of an earlier version", "without weights",
        "unfinished", "unfinished, without its state", "other weights", "no scores",
        "only the header", "other scores", "other columns", "damaged",
    ],
)  # fmt: skip
def test_what_counts_as_trained_and_scored(
    spoil: Callable[[Path], object], counts: bool, study: Path
) -> None:
    spoil(study)
    assert is_scored(open_run(study / RUN)) is counts


def test_scores_of_a_reference_that_has_changed_count_no_more(study: Path) -> None:
    label = study / "scans" / "test" / "labels" / "s.nii.gz"
    before = label.read_bytes()
    label.write_bytes(before + b"\0")
    assert not is_scored(open_run(study / RUN))
    label.write_bytes(before)
    assert is_scored(open_run(study / RUN))


def test_scores_stay_where_a_reference_has_been_moved_away(study: Path, run) -> None:
    label = study / "scans" / "test" / "labels" / "s.nii.gz"
    moved = label.rename(label.with_name("away.nii.gz"))
    assert is_scored(open_run(study / RUN))
    code, _, err = run("report", study / "work")
    moved.rename(label)
    assert (code, err.count("s.nii.gz: no such file")) == (2, 1)


@pytest.mark.parametrize("how", [["--tolerance-mm=60"], ["--fast"]])
def test_runs_are_compared_by_scores_made_alike(study: Path, run, how: list[str]) -> None:
    assert run("evaluate", study / RUN, "--device=cpu", *how)[0] == 0
    scored = open_run(study / RUN)
    assert is_scored(scored)
    assert not is_scored(scored, as_usual=True)
    assert run("evaluate", study / RUN, "--device=cpu")[0] == 0
    assert is_scored(scored, as_usual=True)


def test_a_comparison_makes_stale_scores_again(study: Path, run) -> None:
    words = ("compare", study / "work", "--methods=supervised", "--name=done", "--seeds=0",
             "--device=cpu")  # fmt: skip
    assert "1 of 1 run is finished" in run(*words, "--dry")[1]
    train_on(study)
    assert "0 of 1 run is finished" in run(*words, "--dry")[1]
    assert run("evaluate", study / RUN, "--device=cpu")[0] == 0
    assert "1 of 1 run is finished" in run(*words, "--dry")[1]


def test_weights_that_change_while_they_are_scored_give_no_scores(
    study: Path, run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def score(*_: object) -> list[object]:
        train_on(study)
        return []

    before = (study / RUN / "cases.csv").read_bytes()
    monkeypatch.setattr("dvcl.commands.evaluate._score_cases", score)
    code, _, err = run("evaluate", study / RUN, "--device=cpu")
    assert code == 2
    assert "its weights changed while it was scored" in err
    assert (study / RUN / "cases.csv").read_bytes() == before


def test_the_report_says_of_scores_that_they_are_of_an_unfinished_run(study: Path, run) -> None:
    assert has_scores(study / RUN)
    unfinish(study)
    assert run("report", study / "work")[0] == 0
    assert "supervised, done, unfinished" in (study / "work/report/index.html").read_text()


def test_a_pause_of_the_machine_is_no_step(study: Path) -> None:
    folder = study / RUN
    rows = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    *_, step = (row for row in rows if row["kind"] == "step")
    steps = [{**step, "seconds": seconds} for seconds in (1.0, 2.0, 5000.0, 3.0)]
    (folder / "journal.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in steps))
    record = finished(Entry(study / "work", "supervised", 0, group="done"))
    assert record.seconds_per_step == 2.0
    assert record.minutes == pytest.approx(6 / 60)
