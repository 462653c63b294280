"""Every command, as a person types them, on small phantom scans."""

from __future__ import annotations

import csv
import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy.spatial.transform import Rotation

from dvcl import cli
from dvcl.commands import demo
from dvcl.locks import holder_of, is_held
from dvcl.studies.run import open_run
from dvcl.training.checkpoint import save_weights
from dvcl.training.engine import train
from dvcl.training.journal import last_iteration, read_journal
from dvcl.training.kernels import Kernel, Kernels
from dvcl.volume import Volume, read_geometry, read_label, read_volume, write_volume

Run = Callable[..., tuple[int, str, str]]

TINY = (
    "--set=preprocessing.spacing_mm=[12.0, 10.0, 10.0]",
    "--set=sampling.patch=[16, 16, 16]",
    "--set=network.levels=3",
    "--set=network.base_channels=4",
    "--set=training.iterations=4",
    "--set=training.precision=float32",
    "--set=training.validate_every=2",
    "--set=window.size=[16, 32, 32]",
    "--set=window.stride=[16, 32, 32]",
    "--set=methods.dvcl.queries=32",
)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared study: scans/ and work/."""
    folder = tmp_path_factory.mktemp("study")
    counts = ["--labelled=2", "--unlabelled=3", "--validation=1", "--test=2"]
    sys.argv = ["dvcl", "phantom", str(folder / "scans"), *counts]
    with pytest.raises(SystemExit, match="0"):
        cli.main()
    scans = folder / "scans"
    sys.argv = [
        "dvcl", "prepare", str(folder / "work"), f"--labelled={scans / 'labelled'}",
        f"--unlabelled={scans / 'unlabelled'}", f"--validation={scans / 'validation'}",
        f"--test={scans / 'test'}", f"--labels={scans / 'labels.json'}", "--workers=1", *TINY,
    ]  # fmt: skip
    with pytest.raises(SystemExit, match="0"):
        cli.main()
    return folder


def test_train_predict_evaluate_report(study: Path, run: Run) -> None:
    work = study / "work"
    for method in ("supervised", "dvcl"):
        code, out, err = run("train", work, "--method", method, "--device=cpu")
        assert code == 0, err
        folder = work / "runs" / "small-ct" / method / "seed-0"
        assert str(folder) in out.replace("\n", "")
        assert {path.name for path in folder.iterdir()} >= {
            "run.json", "journal.jsonl", "last.safetensors", "best.safetensors", "curves.png",
        }  # fmt: skip
        code, out, err = run("evaluate", folder, "--device=cpu")
        assert code == 0, err
        assert "liver" in out
        rows = list(csv.DictReader((folder / "cases.csv").read_text().splitlines()))
        assert len(rows) == 2 * 13
    code, out, err = run("report", work)
    assert code == 0, err
    page = (work / "report" / "index.html").read_text()
    assert "left adrenal gland" in page
    assert not re.search(r'(src|href)="http', page), "the page must open offline"
    worst, best = re.findall(r'class="scene" data-title="(\w+: phantom_\d+)"', page)
    assert worst.startswith("Worst")
    assert best.startswith("Best")


def test_a_run_keeps_the_precision_that_was_measured_and_misses_no_new_setting(
    study: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("train", study / "work", "--method=supervised", "--name=measured", "--device=cpu",
             "--set=training.precision=auto")  # fmt: skip
    monkeypatch.setattr("dvcl.studies.pace.faster_precision", lambda device: "float32")
    assert run(*asked)[0] == 0
    folder = study / "work" / "runs" / "measured" / "supervised" / "seed-0"
    record = json.loads((folder / "run.json").read_text())
    assert record["settings"]["recipe"]["training"]["precision"] == "auto"
    assert record["precision"] == "float32"
    # Another machine would choose otherwise, and a record of earlier days knows fewer settings.
    monkeypatch.setattr("dvcl.studies.pace.faster_precision", lambda device: "bf16")
    del record["settings"]["recipe"]["training"]["average"], record["settings"]["recipe"]["loss"]
    (folder / "run.json").write_text(json.dumps(record))
    loss = ["--set=loss.dice_over=all", "--set=loss.background=true"]
    code, _, err = run(*asked, *loss, "--set=loss.class_weights=none")
    assert code == 0, err
    trained = open_run(folder)
    assert trained.precision() == "float32"
    assert trained.trained_method(torch.device("cpu")).precision is None


def test_a_run_keeps_the_kernels_that_were_measured_and_one_without_any_the_usual_ones(
    study: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[Sequence[str]] = []

    def noted(*arguments: object, kernels: Sequence[Kernel], **named: Any) -> None:
        used.append(kernels)
        train(*arguments, kernels=kernels, **named)  # type: ignore[arg-type]

    def measured(*taken: Kernel) -> None:
        found = dict.fromkeys(taken, "2.00 times as fast, used")
        monkeypatch.setattr("dvcl.studies.pace.faster_kernels", lambda *_: Kernels(taken, found))

    monkeypatch.setattr("dvcl.commands.train.train", noted)
    asked = ("train", study / "work", "--method=supervised", "--name=kernels", "--device=cpu")
    measured("channels-first")
    code, out, err = run(*asked)
    assert code == 0, err
    assert "channels-first: 2.00 times as fast, used." in out
    path = study / "work" / "runs" / "kernels" / "supervised" / "seed-0" / "run.json"
    record = json.loads(path.read_text())
    measured()
    assert run(*asked, "--set=training.compile=true")[0] == 0, "it changes no result"
    assert json.loads(path.read_text()) == record
    del record["kernels"]
    path.write_text(json.dumps(record))
    measured("channels-first")
    assert run(*asked)[0] == 0
    assert used == [["channels-first"], ["channels-first"], []]


def test_the_last_weights_are_scored_beside_the_best(study: Path, run: Run) -> None:
    words = ("train", study / "work", "--method=supervised", "--name=final", "--device=cpu",
             "--set=training.average=0.5", "--set=training.validate_every=1")  # fmt: skip
    assert run(*words)[0] == 0
    folder = study / "work" / "runs" / "final" / "supervised" / "seed-0"
    code, out, err = run("evaluate", folder, "--last", "--device=cpu")
    assert code == 0, err
    assert "Mean Dice of the last weights: " in out
    assert len((folder / "cases-last.csv").read_text().splitlines()) == 1 + 2 * 13
    last = replace(open_run(folder), weights="last")
    stored = load_file(last.checkpoint)
    weights = [w for w in last.trained_method(torch.device("cpu")).parameters() if w.requires_grad]
    for number, weight in enumerate(weights):
        assert torch.equal(weight, stored[f"average/{number}"]), "the averages predict"
    # Where the best weights are the last ones, nothing is predicted a second time.
    save_weights(folder / "best.safetensors", last.trained_method(torch.device("cpu")), iteration=4)
    shutil.rmtree(folder / "predictions-last", ignore_errors=True)
    assert run("evaluate", folder, "--last", "--device=cpu")[0] == 0
    assert not (folder / "predictions-last").exists()
    assert (folder / "cases-last.csv").read_text() == (folder / "cases.csv").read_text()
    longer = json.loads((folder / "run.json").read_text())
    longer["settings"]["recipe"]["training"]["iterations"] = 5
    (folder / "run.json").write_text(json.dumps(longer))
    code, _, err = run("evaluate", folder, "--last", "--device=cpu")
    assert code == 2
    assert "is trained for 4 of 5 steps" in " ".join(err.split())


def oblique() -> np.ndarray:
    """An affine with turned axes, x of the file pointing to the front."""
    axes = np.array([[0, 0, -1], [1, 0, 0], [0, 1, 0]])
    affine = np.eye(4)
    turned = Rotation.from_euler("xyz", (3, -2, 5), degrees=True).as_matrix() @ axes
    affine[:3] = np.column_stack([turned * (2.5, 6.0, 3.0), (5, -7, 11)])
    return affine


def test_prediction_lies_on_the_voxels_of_any_scan(study: Path, run: Run, tmp_path: Path) -> None:
    run("train", study / "work", "--method=supervised", "--device=cpu")
    source = next((study / "scans" / "test" / "images").iterdir())
    turned = read_volume(source, np.int16)
    odd = Volume(np.ascontiguousarray(turned.array[::-1, :, ::2].transpose(2, 0, 1)), np.eye(4))
    affine = oblique()
    write_volume(tmp_path / "scans" / "ödd scan.nii.gz", Volume(odd.array, affine))
    out = tmp_path / "masks"
    folder = study / "work" / "runs" / "small-ct" / "supervised" / "seed-0"
    code, _, err = run(
        "predict", folder, tmp_path / "scans", "--out", out, "--fast", "--device=cpu", "--trust"
    )
    assert code == 0, err
    mask = read_geometry(out / "ödd scan.nii.gz")
    scan = read_geometry(tmp_path / "scans" / "ödd scan.nii.gz")
    assert mask.shape == scan.shape
    assert np.allclose(mask.affine, scan.affine)
    values = set(np.unique(read_label(out / "ödd scan.nii.gz").array).tolist())
    assert values <= set(range(14))
    assert (out / "ödd scan.png").stat().st_size > 0
    assert 'class="scene" data-title="ödd scan"' in (out / "index.html").read_text()


def test_a_sheared_scan_is_not_segmented(study: Path, run: Run, tmp_path: Path) -> None:
    """Preparation refuses it too: a tilted gantry would put organs beside where they are."""
    run("train", study / "work", "--method=supervised", "--device=cpu")
    affine = oblique()
    affine[:3, 2] += (0, 0.3, 0)
    write_volume(tmp_path / "tilted.nii.gz", Volume(np.zeros((8, 8, 8), np.int16), affine))
    folder = study / "work" / "runs" / "small-ct" / "supervised" / "seed-0"
    out = tmp_path / "masks"
    code, _, err = run("predict", folder, tmp_path / "tilted.nii.gz", "--out", out)
    assert code == 2
    assert "tilted.nii.gz: its axes are not at right angles" in " ".join(err.split())
    assert not list(out.iterdir())


def test_labels_of_unlabelled_cases_change_nothing(study: Path, run: Run) -> None:
    """With --labelled-cases 1 the other labelled case joins the unlabelled ones, label unread."""
    work = study / "work"
    arguments = ("train", work, "--method=dvcl", "--labelled-cases=1", "--device=cpu")
    assert run(*arguments, "--name=before")[0] == 0
    record = json.loads((work / "runs/before/dvcl/seed-0/run.json").read_text())
    (hidden,) = [
        case for case in record["settings"]["split"]["unlabelled"] if case <= "phantom_0002"
    ]
    stored = next((work / "store").glob(f"*/{hidden}/label.npy"))
    label = np.load(stored)
    np.save(stored, (label + 1) % 14)
    try:
        assert run(*arguments, "--name=after")[0] == 0
    finally:
        np.save(stored, label)
    before, after = (
        (work / f"runs/{name}/dvcl/seed-0/best.safetensors").read_bytes()
        for name in ("before", "after")
    )
    assert before == after


def test_score_a_folder_of_masks(study: Path, run: Run, tmp_path: Path) -> None:
    labels = study / "scans" / "test" / "labels"
    code, out, err = run(
        "evaluate", labels, "--reference", study / "scans" / "test", "--labels",
        study / "scans" / "labels.json", "--out", tmp_path / "scores.csv",
    )  # fmt: skip
    assert code == 0, err
    assert "100.00" in out


def test_score_against_one_mask_per_organ(study: Path, run: Run, tmp_path: Path) -> None:
    scans = study / "scans"
    labels = scans / "test" / "labels"
    for path in labels.iterdir():
        label_map = read_label(path)
        for value, name in json.loads((scans / "labels.json").read_text()).items():
            organ = np.asarray(label_map.array == int(value), np.uint8)
            target = tmp_path / "masks" / path.name.removesuffix(".nii.gz") / f"{name}.nii.gz"
            write_volume(target, Volume(organ, label_map.affine))
    words = ("evaluate", labels, "--reference", tmp_path / "masks", "--out", tmp_path / "s.csv")
    code, _, err = run(*words)
    assert code == 2
    assert "Give it with --labels." in err
    code, out, err = run(*words, "--labels", scans / "labels.json")
    assert code == 0, err
    assert "100.00" in out


def test_compare_trains_scores_and_tells_and_then_repeats_nothing(study: Path, run: Run) -> None:
    work = study / "work"
    words = ("compare", work, "--methods=mean_teacher", "--twin", "--name=duel", "--seeds=0,1",
             "--jobs=2", "--device=cpu", "--set=training.iterations=1")  # fmt: skip
    dry = " ".join(run(*words, "--dry")[1].split())
    assert "to do: work: duel, mean_teacher, seed 1 (1 step)" in dry
    assert "work: duel: 1 row over 2 scored cases: p cannot fall below 0.500, so no verdict" in dry
    code, out, err = run(*words)
    assert code == 0, out + err
    assert "Against supervised" in out
    assert "work: duel. Did the unlabelled scans help mean_teacher?" in out
    folder = work / "comparisons" / "duel"
    with (folder / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 2 * 2 * 13, "methods, seeds, test cases, organs"
    assert {row["method"] for row in rows} == {"supervised", "mean_teacher"}
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert "4 of 4 runs are finished and shown" in page
    assert "Against supervised" in page
    with (folder / "scores-last.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == len(rows), "the last weights too"
    assert (folder / "boxes, work, duel.pdf").exists()
    (sections,) = folder.glob("sections, work, duel, phantom_*.pdf")
    assert f"One case: {sections.stem.rpartition(', ')[2]}" in page
    assert "were compared, by their voxels and by look" in page
    assert 'class="scene" data-title="phantom_' in page
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert [row["seeds"] for row in report["groups"][0]["rows"]] == [[0, 1], [0, 1]]
    before = {path: path.stat().st_mtime_ns for path in work.glob("runs/duel/*/*/*")}
    code, out, _ = run(*words)
    assert code == 0
    assert "4 of 4 runs are finished" in out
    assert {path: path.stat().st_mtime_ns for path in work.glob("runs/duel/*/*/*")} == before


def kill_midway(words: Sequence[object], run_folder: Path, first: int, last: int) -> None:
    """Start a comparison, and kill it and its training of a run after some of the run's steps.

    A busy machine may let the training reach its last step meanwhile: then it is begun anew.
    """
    journal = run_folder / "journal.jsonl"
    while not first <= last_iteration(journal) < last:
        shutil.rmtree(run_folder, ignore_errors=True)
        process = subprocess.Popen([sys.executable, "-m", "dvcl.cli", *map(str, words)])
        while last_iteration(journal) < first and process.poll() is None:
            time.sleep(0.05)
        assert not process.poll(), "it must not fail by itself"
        process.kill()
        process.wait()
        # The number of a training that has ended may be another's by now.
        if is_held(run_folder) and (holder := holder_of(run_folder)):
            os.kill(holder["pid"], signal.SIGKILL)
        while is_held(run_folder):
            time.sleep(0.01)


def test_a_killed_comparison_continues_where_it_was(study: Path, run: Run) -> None:
    work = study / "work"
    words = ("compare", work, "--methods=supervised,mean_teacher", "--name=killed", "--device=cpu",
             "--seeds=0",
             "--set=training.iterations=60", "--set=training.validate_every=20")  # fmt: skip
    folder = work / "runs" / "killed"
    journal = folder / "mean_teacher" / "seed-0" / "journal.jsonl"
    kill_midway(words, journal.parent, 25, 60)
    first = {path: path.stat().st_mtime_ns for path in folder.glob("supervised/*/*")}
    seconds = [row["seconds"] for row in read_journal(journal)][:20]
    code, out, err = run(*words)
    assert code == 0, out + err
    assert "1 of 2 runs are finished" in out
    assert {path: path.stat().st_mtime_ns for path in folder.glob("supervised/*/*")} == first
    rows = read_journal(journal)
    assert [row["seconds"] for row in rows][:20] == seconds, "steps before the checkpoint are kept"
    assert rows[-1]["iteration"] == 60
    assert (work / "comparisons" / "killed" / "index.html").exists()


def test_a_twin_is_trained_scored_and_compared(study: Path, run: Run) -> None:
    words = ("train", study / "work", "--method=mean_teacher", "--name=twins", "--twin",
             "--device=cpu", "--set=training.iterations=1")  # fmt: skip
    code, out, err = run(*words)
    assert code == 0, out + err
    assert "Did the unlabelled scans help mean_teacher? Cannot tell" in out
    folder = study / "work" / "runs" / "twins"
    assert "left adrenal gland" in (folder / "mean_teacher" / "seed-0" / "twin.md").read_text()
    before = (folder / "supervised" / "seed-0" / "cases.csv").stat().st_mtime_ns
    assert run(*words)[0] == 0
    assert (folder / "supervised" / "seed-0" / "cases.csv").stat().st_mtime_ns == before
    code, _, err = run("train", study / "work", "--method=supervised", "--twin")
    assert code == 2
    assert "--twin: supervised learns from labelled scans alone" in err


def test_a_table_of_the_paper_is_made_of_recorded_runs(
    study: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("compare", study / "work", "--name=one", "--device=cpu", "--seeds=0",
             "--set=training.iterations=1", "--set=methods.magicnet.cube=[8, 8, 8]")  # fmt: skip
    assert run(*words, "--methods=supervised")[0] == 0
    # The other fourteen methods are left out here, as if they had failed.
    monkeypatch.setattr("dvcl.commands.compare.run_comparison", lambda *_: {})
    code, out, err = run(*words, "--table=1")
    assert code == 0, err
    assert "1 of 15 runs are finished" in out
    folder = study / "work" / "comparisons" / "one"
    with (folder / "table-1.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["Method"]: row for row in csv.DictReader(file)}
    assert rows["Fully"]["Section"] == "2 labelled, 3 unlabelled; seed 0"
    assert rows["Fully"]["liver"] != "not run"
    assert rows["Ours"]["liver"] == "not run"
    code, out, err = run("tables", folder, "--table=1", "--paper", "--out", tmp_path)
    assert code == 0, err
    assert "paper: FLARE22, 50 %" in out
    assert (tmp_path / "table-1.tex").exists()


def test_runs_of_earlier_calls_are_shown_too_and_a_case_can_be_chosen(
    study: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record keeps a study's name alone, wherever the command is given."""
    monkeypatch.chdir(study)
    words = ("--name=calls", "--device=cpu", "--seeds=0", "--set=training.iterations=1")
    for method in ("supervised", "mean_teacher"):
        case = f"--case={max(path.name for path in Path('scans/test/images').iterdir())[:12]}"
        code, out, err = run("compare", "work", f"--methods={method}", case, *words)
        assert code == 0, out + err
    page = Path("work/comparisons/calls/index.html").read_text(encoding="utf-8")
    assert f"One case: {case[7:]}" in page
    assert f"{case[7:]}, as supervised, mean_teacher with their first seed see it" in page
    assert "cannot be shown" not in page
    assert "not here" not in page


def test_recorded_runs_are_not_repeated_where_their_folders_are_gone(
    study: Path, tmp_path: Path, run: Run
) -> None:
    work = study / "work"
    words = ("compare", work, "--methods=supervised", "--device=cpu", "--seeds=0",
             "--set=training.iterations=1")  # fmt: skip
    assert run(*words, "--name=kept", "--labelled-cases=2")[0] == 0
    recorded = work / "comparisons" / "kept"
    means = (recorded / "means.csv").read_text()
    kept = shutil.copytree(recorded, tmp_path / "kept")
    shutil.rmtree(work / "runs" / "kept_2-labelled")
    shutil.rmtree(recorded)
    code, out, err = run(*words, "--name=kept", "--labelled-cases=2", "--recorded", kept)
    assert code == 0, out + err
    assert "1 of 1 run is finished" in out
    assert not (work / "runs" / "kept_2-labelled").exists()
    assert (recorded / "means.csv").read_text() == means
    assert "2 (1 step)" not in out
    code, out, _ = run(*words, "--name=kept", "--labelled-cases=1", "--dry")
    assert "to do: work: kept, 1 labelled, supervised, seed 0 (1 step)" in out
    assert run(*words, "--name=again", "--labelled-cases=2")[0] == 0
    again = (work / "comparisons" / "again" / "scores.csv").read_text()
    assert again.replace("again", "kept") == (kept / "scores.csv").read_text(), "the same seed"


def test_compare_draws_what_a_setting_does_and_goes_on_after_a_failure(
    study: Path, run: Run
) -> None:
    work = study / "work"
    words = ("compare", work, "--methods=supervised", "--name=rates", "--device=cpu", "--seeds=0",
             "--vary=training.rate=0.1,1e38", "--set=training.iterations=3")  # fmt: skip
    code, out, err = run(*words)
    assert code == 1, out + err
    assert "failed: work: rates, rate=1e38, supervised, seed 0: exit code 2: error: the loss" in out
    folder = work / "comparisons" / "rates"
    assert (folder / "setting, training.rate, work, rates, variants.png").exists()
    assert "What training.rate does" in (folder / "index.html").read_text(encoding="utf-8")


def test_a_table_of_the_paper_is_planned(study: Path, run: Run) -> None:
    words = ("compare", study / "work", "--table=4", "--name=four", "--labelled-cases=1", "--dry")
    code, out, err = run(*words)
    assert code == 0, err
    assert out.count("to do: ") == 3 * 4, "three seeds, where nothing else is said"
    assert "to do: work: four, 1 labelled, distance_loss=snclr, dvcl, seed 0 (4 steps)" in out
    assert "to do: work: four, 1 labelled, dvcl, seed 0 (4 steps)" in out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("compare", "WORK", "--methods", "cps,cps"), "each only once"),
        (("compare", "WORK", "--table", "9"), "no such table"),
        (("tables", "nowhere"), "nowhere/scores.csv: no such file"),
        (("compare", "WORK", "--table", "2", "--vary", "training.rate=1"), "Leave out one"),
        (
            ("compare", "WORK", "--vary", "methods.dvcl.neighbors=5"),
            "did you mean 'methods.dvcl.neighbours'",
        ),
        (("compare", "WORK", "--seeds", "a"), "--seeds: 'a' found"),
        (("compare", "WORK", "--organs", "lung"), "--organs 'lung': expected among liver"),
        (("compare", "WORK", "--case", "nobody"), "one of the scored cases was expected"),
        (("train", "nowhere"), "dvcl prepare"),
        (("train", "WORK", "--method", "dcvl"), "'dcvl'"),
        (
            ("train", "WORK", "--set", "training.rtae=1"),
            "--set: training.rtae: unknown setting; did you mean 'training.rate'",
        ),
        (("train", "WORK", "--set", "sampling.patch=[15, 16, 16]"), "multiple of 4"),
        (
            ("train", "WORK", "--set", "sampling.patch=[16, 16, 24]", "--method", "magicnet"),
            "2 to 64 cubes must fill it exactly",
        ),
        (
            ("train", "WORK", "--set", "methods.magicnet.cube=[6, 8, 8]", "--method", "magicnet"),
            "multiple of 4",
        ),
        (
            ("train", "WORK", "--set", "methods.dvcl.outsiders=99999"),
            "queue_size: 2048 found, at least",
        ),
        (("train", "WORK", "--set", "sampling.unlabelled=0"), "dvcl expects at least 1"),
        (("train", "WORK", "--labelled-cases", "9"), "9 labelled cases"),
        (("train", "WORK", "--set", "preprocessing.order=3"), "order: 1 there, 3 asked for"),
        (("train", "WORK", "--device", "gpu"), "--device 'gpu'"),
        (("train", "WORK", "--device", "meta"), "--device 'meta'"),
        (("train", "WORK", "--seed", "-1"), "equal to 0"),
        (("train", "WORK", "--split-seed", "-1"), "equal to 0"),
        (("train", "WORK", "--name", "../elsewhere"), "--name '../elsewhere'"),
        (("train", "WORK", "--name", "x" * 300), "File name too long"),
        (("train", "WORK", "--split", "SPLIT", "--labelled-cases", "1"), "leave out the options"),
        (("train", "WORK", "--split", "SPLIT"), "nobody (labelled): no such case"),
        (("predict", "nowhere", "x.nii.gz", "--out", "masks"), "not a run"),
        (("evaluate", "nowhere"), "not a run"),
        (("evaluate", "nowhere", "--out", "scores.csv"), "go with --reference"),
        (("evaluate", "SCANS", "--reference", "nowhere"), "nowhere: no such folder"),
        (("evaluate", "SCANS", "--reference", "SCANS", "--last"), "Leave out one or the other"),
        (("prepare", "w"), "--labelled"),
        (("prepare", "w", "--data", "n", "--unlabelled", "u"), "leave out --unlabelled"),
        (("prepare", "SPLIT", "--labelled", "SCANS/labelled", "--workers", "0"), "--workers"),
        (("prepare", "SPLIT", "--labelled", "SCANS/labelled"), "split.json: cannot be"),
        (("phantom", "w", "--seed", "-1"), "equal to 0"),
        (("prepare", "w", "--labelled", "nowhere"), "nowhere"),
        (("report", "nowhere"), "dvcl prepare"),
    ],
)
def test_wrong_input_ends_with_code_2_and_says_what_to_do(
    study: Path, run: Run, words: tuple[str, ...], expected: str
) -> None:
    split = study / "split.json"
    parts = {"labelled": ["nobody"], "unlabelled": [], "validation": [], "test": [], "seed": 0}
    split.write_text(json.dumps(parts))
    places = {"WORK": str(study / "work"), "SCANS": str(study / "scans"), "SPLIT": str(split)}
    for place, path in places.items():
        words = tuple(word.replace(place, path) for word in words)
    code, _, err = run(*words)
    assert code == 2
    assert expected in err
    assert err.count("error: ") == 1 or "Usage: " in err
    assert "Traceback" not in err


def test_no_unlabelled_scans(study: Path, run: Run, tmp_path: Path) -> None:
    """A supervised method trains without them, a semi-supervised one is refused at once."""
    scans = study / "scans"
    code, _, err = run(
        "prepare", tmp_path, f"--labelled={scans / 'labelled'}", "--workers=1", *TINY
    )
    assert code == 0, err
    code, _, err = run("train", tmp_path, "--method=dvcl", "--device=cpu")
    assert code == 2
    assert "no unlabelled case" in err
    code, out, err = run("train", tmp_path, "--method=supervised", "--device=cpu")
    assert code == 0, err
    assert "No validation" in out.replace("\n", " ")


def test_background_alone(study: Path, run: Run, tmp_path: Path) -> None:
    """Label maps, and a record, without any organ."""
    scans, work = tmp_path / "scans", tmp_path / "work"
    shutil.copytree(study / "scans" / "labelled", scans)
    for path in (scans / "labels").iterdir():
        label = read_volume(path)
        write_volume(path, Volume(np.zeros(label.array.shape, dtype=np.uint8), label.affine))
    code, _, err = run("prepare", work, f"--labelled={scans}", "--workers=1", *TINY)
    assert code == 2
    assert "nothing but background (0); organs were expected" in err
    shutil.copytree(study / "work", work)
    record = json.loads((work / "project.json").read_text())
    record["dataset"]["labels"] = {"0": "background"}
    (work / "project.json").write_text(json.dumps(record))
    code, _, err = run("train", work, "--device=cpu")
    assert code == 2
    assert "0 organs; between 1 and 254 were expected" in err


def test_unreadable_checkpoint(study: Path, run: Run) -> None:
    run("train", study / "work", "--method=cps", "--device=cpu")
    folder = study / "work" / "runs" / "small-ct" / "cps" / "seed-0"
    weights = folder / "best.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    scan = next((study / "scans" / "test" / "images").iterdir())
    code, _, err = run("predict", folder, scan, "--out", folder / "masks", "--device=cpu")
    assert code == 2
    assert "best.safetensors" in err


def test_results_never_replace_what_was_put_in(study: Path, run: Run, tmp_path: Path) -> None:
    """Neither the scans themselves nor the label maps that the study was prepared from."""
    run("train", study / "work", "--method=supervised", "--device=cpu")
    folder = study / "work" / "runs" / "small-ct" / "supervised" / "seed-0"
    for role in ("images", "labels"):
        out = study / "scans" / "test" / role
        before = {path: path.read_bytes() for path in out.iterdir()}
        code, _, err = run(
            "predict", folder, study / "scans" / "test", "--out", out, "--device=cpu"
        )
        assert code == 2
        assert err.count("take its place") == len(before)
        assert {path: path.read_bytes() for path in out.iterdir()} == before


def test_predicting_goes_on_where_it_stopped(study: Path, run: Run, tmp_path: Path) -> None:
    run("train", study / "work", "--method=supervised", "--device=cpu")
    folder = study / "work" / "runs" / "small-ct" / "supervised" / "seed-0"
    scans, out = study / "scans" / "test", tmp_path / "masks"
    words = ("predict", folder, scans, "--out", out, "--device=cpu")
    code = run(*words)[0]
    page = out / "index.html"  # its viewer shows what the last call made
    made = {path: path.read_bytes() for path in out.iterdir() if path != page}
    first, second = sorted(path for path in made if path.suffix == ".gz")
    finished = first.stat().st_mtime_ns
    for ending, written in ((".nii.gz", 1), (".doubts.json", 1), (".png", 0)):
        (out / second.name.replace(".nii.gz", ending)).unlink()
        again, said, _ = run(*words, "--skip-existing")
        assert f"Label maps written: {written}, in" in said
        assert again == code, "doubts about what is there already count too"
        now = {path: path.read_bytes() for path in out.iterdir() if path != page}
        assert now == made
        assert first.stat().st_mtime_ns == finished
        assert " of 2 scans are here to scroll through" in (text := page.read_text())
        assert "Those of earlier calls, 1, stand in the tables alone." in text
    code, _, err = run("predict", folder, scans, "--out", scans / "images", "--skip-existing")
    assert code == 2
    assert "take its place" in err


def test_predicting_into_a_file_or_two_names_that_some_disks_take_for_one(
    study: Path, run: Run, tmp_path: Path
) -> None:
    run("train", study / "work", "--method=supervised", "--device=cpu")
    folder = study / "work" / "runs" / "small-ct" / "supervised" / "seed-0"
    scan = next((study / "scans" / "test" / "images").iterdir())
    (tmp_path / "file").touch()
    code, _, err = run("predict", folder, scan, "--out", tmp_path / "file")
    assert code == 2
    assert "file: cannot be" in err
    volume = read_volume(scan)
    for name in ("a/Scan.nii.gz", "b/scan.nii.gz"):
        write_volume(tmp_path / name, volume)
    code, _, err = run(
        "predict", folder, tmp_path / "a", tmp_path / "b", "--out", tmp_path / "masks"
    )
    assert code == 2
    assert "another image is called 'Scan' too" in err


def test_test_cases_that_are_gone_are_all_named(study: Path, run: Run, tmp_path: Path) -> None:
    run("train", study / "work", "--method=supervised", "--device=cpu")
    work, scans = tmp_path / "work", tmp_path / "scans"
    shutil.copytree(study / "work", work)
    folder = work / "runs" / "small-ct" / "supervised" / "seed-0"
    project = json.loads((work / "project.json").read_text())
    shutil.copytree(study / "scans" / "test", scans)
    for case in project["dataset"]["cases"]:
        if case["role"] == "test":
            case["image"] = str(scans / "images" / Path(case["image"]).name)
    (work / "project.json").write_text(json.dumps(project))
    for path in (scans / "images").iterdir():
        path.write_bytes(b"<html>")
    code, _, err = run("evaluate", folder, "--device=cpu")
    assert code == 2
    assert err.count("cannot be read as NIfTI") == 2
    project["dataset"]["cases"] = [
        case for case in project["dataset"]["cases"] if case["role"] != "test"
    ]
    (work / "project.json").write_text(json.dumps(project))
    code, _, err = run("evaluate", folder, "--device=cpu")
    assert code == 2
    assert "no longer has its cases" in err
    shutil.copytree(folder, tmp_path / "moved")
    code, _, err = run("evaluate", tmp_path / "moved", "--device=cpu")
    assert code == 2
    assert "does not lie in its study" in err


def test_label_maps_without_a_reference(study: Path, run: Run) -> None:
    code, _, err = run("evaluate", study / "scans" / "test" / "labels")
    assert code == 2
    assert "is a folder of label maps" in err
    assert "--reference DIR" in err


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_damaged_records_end_in_a_named_error(
    study: Path, run: Run, tmp_path: Path, content: str
) -> None:
    (tmp_path / "project.json").write_text(content)
    code, _, err = run("train", tmp_path)
    assert code == 2
    assert "project.json: " in err
    assert "Run `dvcl prepare` again" in err
    (tmp_path / "run.json").write_text(content)
    code, _, err = run("predict", tmp_path, "x.nii.gz", "--out", tmp_path / "masks")
    assert code == 2
    assert "run.json: " in err
    assert "train again" in err


def test_a_refusal_of_the_system_is_no_bug_report(
    study: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For example a journal that grows on a full disk."""

    def fill(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("dvcl.commands.report.write_report", fill)
    code, _, err = run("report", study / "work")
    assert code == 2
    assert "no space left on the disk" in err


def test_paths_are_shown_as_they_are(study: Path, run: Run, tmp_path: Path) -> None:
    """Brackets are no markup; the command to give next can be copied, spaces and all."""
    work = tmp_path / "a [bold]" / "[/b] c"
    code, out, err = run(
        "prepare", work, f"--labelled={study / 'scans' / 'labelled'}", "--workers=1", *TINY
    )
    assert code == 0, err
    assert f"dvcl train '{work}'" in out.replace("\n", "")


def test_demo(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "CASES", (2, 2, 1, 1))
    code, out, err = run("demo", f"--out={tmp_path}", "--device=cpu", *TINY)
    assert code == 0, err
    assert "training.warmup: 40 found, of a training of 4 steps" in out
    assert "supervised" in out
    assert "dvcl" in out
    assert (tmp_path / "work" / "report" / "index.html").exists()
