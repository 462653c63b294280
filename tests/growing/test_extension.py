"""More iterations for a finished run."""

import json
import os
from pathlib import Path

import pytest

from dvcl.studies.run import open_run
from dvcl.training.checkpoint import saved_facts
from dvcl.training.journal import read_journal

MORE = "--set=training.iterations=5"


def test_a_finished_run_goes_on_with_the_new_schedule_and_says_that_it_is_another(
    study: Path, train, dvcl
) -> None:
    work = study / "work"
    folder = work / "runs" / "small-ct" / "supervised" / "seed-0"
    train(work)
    said = train(work, MORE)
    assert "Extended, which is not the same as trained anew for so long" in said
    assert "its steps up to 2 followed a schedule of so many" in said
    rows = [row for row in read_journal(folder / "journal.jsonl") if row["kind"] == "step"]
    assert [row["iteration"] for row in rows] == [1, 2, 3, 4, 5]
    assert rows[1]["rate"] < rows[2]["rate"]
    assert rows[2]["rate"] > rows[3]["rate"]
    record = json.loads((folder / "run.json").read_text())
    assert record["settings"]["extended_at"] == [2]
    assert record["settings"]["recipe"]["training"]["iterations"] == 5
    assert not open_run(folder).unfinished()
    # The same command again finds it finished; one more extension is recorded too.
    assert "Finished before" in train(work, MORE)
    train(work, "--set=training.iterations=6")
    assert open_run(folder).extended_at == (2, 5)
    dvcl("evaluate", folder, "--device=cpu")
    dvcl("report", work)
    page = (work / "report" / "index.html").read_text()
    assert "supervised, extended at step 5" in page


@pytest.mark.parametrize("words", [(), ("-q",), ("--name=small-ct",)])
def test_a_run_that_was_finished_before_is_not_said_to_be_trained(
    study: Path, train, words: tuple[str, ...]
) -> None:
    work, doubtful = study / "work", "--set=training.warmup=2"
    folder = work / "runs" / "small-ct" / "supervised" / "seed-0"
    said = train(work, doubtful, *words)
    assert f"Trained: {folder}" in said
    assert "training.warmup: 2 found" in said
    assert "Networks run in" in said
    weights = (folder / "last.safetensors").read_bytes()
    os.utime(folder / "last.safetensors", (1_800_000_000,) * 2)
    said = train(work, doubtful, *words)
    assert f"Finished before, on 2027-01-15 at 08:00 UTC, after 2 steps: {folder}" in said
    assert "Nothing was trained now. To train longer, add --set training.iterations=4" in said
    assert "Trained" not in said
    assert "Networks run in" not in said
    assert "training.warmup" not in said.replace(doubtful, "")
    assert (folder / "last.safetensors").read_bytes() == weights


def test_an_extension_that_was_stopped_goes_on_as_one_that_was_not(study: Path, train) -> None:
    work, float32 = study / "work", "--set=training.precision=float32"
    for name in ("whole", "stopped"):
        train(work, f"--name={name}", float32)
    train(work, "--name=whole", float32, MORE)
    whole, stopped = (work / "runs" / n / "supervised/seed-0" for n in ("whole", "stopped"))
    # As after a kill between run.json and the first step.
    record = (whole / "run.json").read_text()
    (stopped / "run.json").write_text(record)
    assert "is trained for 2 of 5 steps" in open_run(stopped).unfinished()
    train(work, "--name=stopped", float32, MORE)
    assert saved_facts(stopped / "last.safetensors")["iteration"] == 5
    assert (stopped / "last.safetensors").read_bytes() == (whole / "last.safetensors").read_bytes()


def test_what_is_no_extension_is_refused(study: Path, train) -> None:
    work = study / "work"
    train(work)
    folder = work / "runs" / "small-ct" / "supervised" / "seed-0"
    said = train(work, MORE, "--set=training.rate=0.5", code=2)
    assert "training.rate" in said
    assert "training.iterations: 2 there, 5 asked for" in said
    said = train(work, "--set=training.iterations=1", code=2)
    assert "training.iterations: 2 there, 1 asked for" in said
    (folder / "last.safetensors").unlink()
    said = train(work, MORE, code=2)
    assert "cannot go on to 5, since last.safetensors is missing" in said
    assert open_run(folder).extended_at == ()


def test_a_comparison_never_extends_a_run_nor_takes_an_extended_one(
    study: Path, train, dvcl
) -> None:
    words = ("compare", study / "work", "--methods=supervised", "--seeds=0", "--device=cpu")
    train(study / "work")
    said = dvcl(*words, MORE, code=2)
    assert "training.iterations: 2 there, 5 asked for" in said
    train(study / "work", MORE)
    said = dvcl(*words, MORE, code=2)
    assert "extended_at: [2] there, None asked for" in said
