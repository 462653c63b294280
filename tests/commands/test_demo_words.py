"""What the demo's page says follows from the scores."""

import json
from types import SimpleNamespace

import pytest

from dvcl.commands.demo import SHARES, recipe_of
from dvcl.commands.demo_words import explain, outcome

SEEN = {"liver": [9000] * 4, "gallbladder": [200] * 4}


def make_run(folder, name, steps):
    folder = folder / name
    folder.mkdir()
    row = {"kind": "step", "iteration": 1, "terms": {}, "rate": 0.1, "seconds": 120.0}
    (folder / "journal.jsonl").write_text(f"{json.dumps(row)}\n")
    training = SimpleNamespace(iterations=steps, unlabelled_from=0.6)
    split = SimpleNamespace(labelled="abcd", unlabelled="e" * 20, test="fghijk")
    return SimpleNamespace(folder=folder, recipe=SimpleNamespace(training=training), split=split)


def summary(dice, missed=0):
    counts = {"liver": 0, "gallbladder": missed}
    organs = [SimpleNamespace(organ=organ, missed=count) for organ, count in counts.items()]
    return SimpleNamespace(mean_dice=dice, organs=organs)


@pytest.mark.parametrize(
    ("supervised", "dvcl", "said"),
    [
        (0.70, 0.75, "DVCL is ahead: 75.0 against 70.0"),
        (0.75, 0.70, "DVCL is behind supervised training: 70.0 against 75.0"),
        (0.70, 0.705, "came out alike: 70.5 against 70.0"),
        (float("nan"), 0.7, "came out alike"),
    ],
)
def test_the_first_sentence_says_which_network_scored_higher(tmp_path, supervised, dvcl, said):
    runs = {"supervised": make_run(tmp_path, "s", 1200), "dvcl": make_run(tmp_path, "d", 420)}
    scores = {"supervised": summary(supervised), "dvcl": summary(dvcl)}
    first = outcome(runs, scores)
    assert said in first
    if supervised > dvcl:
        assert "420 steps where supervised training had 1200" in first
    about = "".join(explain(runs, scores, SEEN))
    assert first in about
    assert "4 labelled" in about
    assert "20 unlabelled" in about
    assert "supervised 2.0 minutes, dvcl 2.0 minutes" in about
    assert "No organ was missed" in about


@pytest.mark.parametrize(
    ("voxels", "size", "why"),
    [
        ([0, 0, 900, 1100], "1000", "only 2 of 4 labelled patients have it"),
        ([40, 50, 60, 70], "55", "it is small"),
        ([900, 900, 900, 900], "900", "too few steps"),
        ([0, 0, 0, 0], "–", "no labelled patient has it"),
    ],
)
def test_missed_organs_are_told_with_what_training_saw_of_them(tmp_path, voxels, size, why):
    runs = {"supervised": make_run(tmp_path, "s", 1200), "dvcl": make_run(tmp_path, "d", 420)}
    scores = {"supervised": summary(0.7, missed=2), "dvcl": summary(0.7)}
    about = "".join(explain(runs, scores, SEEN | {"gallbladder": voxels}))
    assert '<th scope="row">gallbladder</th><td>2</td><td>0</td>' in about
    assert f"<td>{size}</td><td>{why}" in about
    assert 'scope="row">liver' not in about


def test_each_method_gets_its_share_of_the_steps():
    steps = {name: recipe_of(name, ("training.iterations=1000",)).training for name in SHARES}
    assert steps["supervised"].iterations == 1000
    assert steps["dvcl"].iterations == 350
    assert recipe_of("dvcl", ("training.iterations=1",)).training.iterations == 1
