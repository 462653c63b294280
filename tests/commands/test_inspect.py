"""`dvcl inspect` on a tiny study, from scans to figures."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from dvcl.commands.train import train_run
from dvcl.commands.validation import normalised
from dvcl.datasets import load_folders
from dvcl.errors import InputError
from dvcl.evaluation.feature_space import NOBODY
from dvcl.files import read_json
from dvcl.inspection.runs import open_runs, shared_cases, truth
from dvcl.losses.entropy import select_reliable
from dvcl.splits import make_split
from dvcl.store import open_store
from dvcl.studies.project import open_project, prepare
from dvcl.studies.run import open_run
from dvcl.volume import Volume, write_volume

Run = Callable[..., tuple[int, str, str]]

TINY = (
    "preprocessing.spacing_mm=[4.0, 4.0, 4.0]",
    "sampling.patch=[16, 16, 16]",
    "network.levels=2",
    "network.base_channels=4",
    "training.iterations=2",
    "window.size=[16, 16, 16]",
    "window.stride=[16, 16, 16]",
    "methods.dvcl.queries=32",
)
AFFINE = np.diag([-4.0, -4.0, 4.0, 1.0])
ORGANS = {1: slice(2, 6), 2: slice(8, 14), 3: slice(14, 15)}


def write_case(folder: Path, id: str, *organs: int, salt: int = 0) -> None:
    label = np.zeros((16, 16, 16), np.uint8)
    for organ in organs:
        label[ORGANS[organ], 4:12] = organ
    noise = np.random.default_rng([salt, *id.encode()]).integers(-50, 50, label.shape)
    image = (80 * label.astype(np.int16) - 100 + noise).astype(np.int16)
    write_volume(folder / "images" / f"{id}.nii.gz", Volume(image, AFFINE))
    if organs:
        write_volume(folder / "labels" / f"{id}.nii.gz", Volume(label, AFFINE))


def make_study(folder: Path, changes: tuple[str, ...] = (), salt: int = 0) -> Path:
    """Organ 3 is in the labelled cases, but in no test case."""
    for part, ids in {"train": "ab", "validation": "v", "test": "st"}.items():
        for id in ids:
            write_case(folder / part, id, *((1, 2) if part == "test" else (1, 2, 3)), salt=salt)
    write_case(folder / "many", "u", salt=salt)
    (folder / "labels.json").write_text('{"1": "liver", "2": "spleen", "3": "duct"}')
    dataset = load_folders(
        folder / "train", [folder / "many"], folder / "validation", folder / "test",
        folder / "labels.json",
    )  # fmt: skip
    prepare(folder / "work", dataset, "small-ct", changes=(*TINY, *changes), workers=1)
    return folder / "work"


def train(work: Path, method: str, **options: object) -> Path:
    project = open_project(work)
    split = make_split(project.dataset)
    return train_run(project, project.load_recipe(), method, split, device="cpu", **options).folder


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    pytest.importorskip("sklearn")
    work = make_study(tmp_path_factory.mktemp("study"))
    runs = {method: train(work, method) for method in ("supervised", "ccl", "dvcl")}
    return {"work": work, **runs}


def test_figures_numbers_and_a_page(study: dict[str, Path], run: Run) -> None:
    runs = [study[name] for name in ("supervised", "ccl", "dvcl")]
    code, out, err = run(
        "inspect", *runs, "--device=cpu", "--voxels=40", "--names=base, complementary,distance"
    )
    assert code == 0, err
    folder = study["work"] / "inspections" / "small-ct"
    assert str(folder / "index.html") in out.replace("\n", "")
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert not re.search(r'(src|href)="http', page), "the page must open offline"
    for name in ("reliability", "features", "distances"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (folder / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    record = read_json(folder / "inspection.json")
    assert record["cases"] == ["s", "t"]
    assert record["voxels_per_class"] == 40
    assert record["absent"] == ["duct: fewer than 10 voxels"]
    assert list(record["runs"]) == ["base", "complementary", "distance"]
    for run in record["runs"].values():
        assert run["voxels"][3] == 0
        assert run["dice"][3] is run["reliable_share"][3] is run["farthest"][3] is None
        assert run["centres"][3] == [None] * 4
        shares = run["reliable_and_right_share"][:3], run["reliable_share"][:3]
        assert all(0 <= right <= share <= 1 for right, share in zip(*shares, strict=True))
        assert all(0 < distance <= 2 for distance in run["farthest"][:3])
    with (folder / "voxels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 3 * 40
    voxels = [
        [tuple(row[key] for key in ("case", "d", "h", "w")) for row in rows if row["run"] == run]
        for run in record["runs"]
    ]
    assert voxels[0] == voxels[1] == voxels[2], "all runs look at the same voxels"


def test_the_share_is_that_of_the_networks_own_entropy(
    study: dict[str, Path], run: Run, tmp_path: Path
) -> None:
    """A case is one window here, so that the network can be asked directly."""
    code, _, err = run(
        "inspect", study["dvcl"], "--device=cpu", "--cases=validation", f"--out={tmp_path}",
        "--alpha=0.2",
    )  # fmt: skip
    assert code == 0, err
    run = open_run(study["dvcl"])
    case = open_store(run.store).case("v")
    method = run.trained_method(torch.device("cpu"))
    with torch.inference_mode():
        logits = method.networks[0](normalised(case)[None, None]).logits
    reliable = select_reliable(logits.log_softmax(1), 0.2).reliable[0].numpy()
    shares = [reliable[case.label == index].mean() for index in range(4)]
    found = read_json(tmp_path / "inspection.json")["runs"]["dvcl"]
    assert found["reliable_share"] == pytest.approx(shares, abs=0.01)


def test_names_tell_runs_apart(study: dict[str, Path], tmp_path: Path) -> None:
    named = train(study["work"], "dvcl", name="vcl")
    seeded = train(study["work"], "dvcl", name="vcl", seed=1)
    assert list(open_runs([study["ccl"], study["dvcl"]], [])) == ["ccl", "dvcl"]
    found = open_runs([study["ccl"], study["dvcl"], named], [])
    assert list(found) == ["ccl", "dvcl, small-ct", "dvcl, vcl"]
    found = open_runs([study["dvcl"], named, seeded], [])
    assert list(found) == ["dvcl, small-ct", "dvcl, vcl, seed 0", "dvcl, vcl, seed 1"]
    varied = [train(study["work"], "dvcl", name=f"vcl, five{more}") for more in ("", ", K=5")]
    assert list(open_runs(varied, [])) == ["dvcl", "dvcl, K=5"]
    with pytest.raises(InputError, match=r"for 2 runs.*Name each run once"):
        open_runs([study["dvcl"], study["dvcl"]], [])
    with pytest.raises(InputError, match=r"\['a'\] found for 2 runs"):
        open_runs([study["dvcl"], named], ["a"])
    (named / "best.safetensors").unlink()
    with pytest.raises(InputError, match=r"vcl/dvcl/seed-0/best\.safetensors: no such checkpoint"):
        open_runs([study["dvcl"], named], [])


def test_runs_on_other_cases_or_voxels_are_refused(study: dict[str, Path], tmp_path: Path) -> None:
    mine = open_run(study["dvcl"])
    finer = make_study(tmp_path / "finer", ("preprocessing.spacing_mm=[2.0, 4.0, 4.0]",))
    other = make_study(tmp_path / "other", salt=1)
    again = make_study(tmp_path / "again")
    fewer = make_study(tmp_path / "fewer")
    record = json.loads((fewer / "project.json").read_text())
    record["dataset"]["cases"] = [case for case in record["dataset"]["cases"] if case["id"] != "t"]
    (fewer / "project.json").write_text(json.dumps(record))
    same = open_run(train(again, "supervised"))
    assert len(shared_cases({"mine": mine, "same": same}, "test")) == 2
    runs = {"mine": mine, **{work.parent.name: open_run(train(work, "supervised"))
                             for work in (finer, fewer, other)}}  # fmt: skip
    with pytest.raises(InputError) as error:
        shared_cases(runs, "test")
    assert [problem.partition(", by")[0] for problem in error.value.problems] == [
        "finer: prepared with other settings than mine.",
        "fewer: other test cases than mine",
        "other: other test cases than mine",
    ]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("nowhere",), "not a run"),
        (("DVCL", "--cases=labelled"), "'labelled' is not one of"),
        (("DVCL", "--names=a,b"), "found for 1 run;"),
        (("DVCL", "--voxels=5"), "--voxels"),
    ],
)
def test_wrong_input(study: dict[str, Path], run: Run, words: tuple, expected: str) -> None:
    given = [word.replace("DVCL", str(study["dvcl"])) for word in words]
    code, _, err = run("inspect", *given)
    assert code == 2
    assert expected in err


def test_background_that_may_hide_an_organ_takes_no_part(study: dict[str, Path]) -> None:
    case = open_store(open_run(study["dvcl"]).store).case("a")
    whole = truth(case)
    assert set(np.unique(whole)) == {0, 1, 2, 3}
    case.annotated = np.array([True, True, False, True])
    assert set(np.unique(truth(case))) == {1, 2, 3, NOBODY}
    assert np.array_equal(truth(case) == NOBODY, whole == 0)
