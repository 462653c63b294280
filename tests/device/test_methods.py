"""Every method and every alternative loss on a pretended device, and how often the host waits."""

import dataclasses
import importlib.util
from pathlib import Path

import pytest
import torch

from dvcl.methods import METHODS
from dvcl.training.engine import step, train
from dvcl.training.journal import read_journal
from dvcl.training.optimisation import Training, build_optimisers

PRETEND = torch.device("meta")
# Each makes a GPU run dry.
MOST_WAITS = {"dvcl": 8}
MOST_WAITS_OF_OTHERS = 12


def load_record():
    path = Path(__file__).parents[1] / "golden" / "record.py"
    spec = importlib.util.spec_from_file_location("golden_record", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


record = load_record()


def make_batch(row, seed):
    batch = record._make_batch(row, seed)
    parts = {
        name: getattr(batch, name).float() for name in ("labelled", "unlabelled", "distance_maps")
    }
    return dataclasses.replace(batch, **parts)


def take_steps(row, pretended):
    """A method after two steps on the device, its batch there, and the waits of a third step."""
    method, batch = record._build(row).to(PRETEND), make_batch(row, 0).to(PRETEND)
    method.random = torch.Generator(PRETEND).manual_seed(1)
    optimisers = build_optimisers(method, record.TRAINING)
    for progress in (0.8, 0.85, 0.9):  # when all terms are at work
        pretended.waits.clear()
        terms, _ = step(method, optimisers, batch, progress, 0.01)
    assert all(terms.values())
    return method, batch, pretended.waits.copy()


@pytest.mark.parametrize("row", record.ROWS)
def test_a_step_stays_on_its_device_and_hardly_waits_for_it(row, pretended):
    _, _, waits = take_steps(row, pretended)
    most = MOST_WAITS.get(record.ROWS[row][0], MOST_WAITS_OF_OTHERS)
    assert 1 <= waits.total() <= most, waits


def test_how_often_dvcl_waits_does_not_depend_on_the_classes(pretended, monkeypatch):
    found = []
    for classes in (4, 14):
        monkeypatch.setattr(record, "CLASSES", classes)
        found.append(take_steps("dvcl", pretended)[2])
    assert found[0] == found[1]


@pytest.mark.parametrize("name", METHODS)
def test_what_is_predicted_diagnosed_and_represented_is_on_the_device(name, pretended):
    method, batch, _ = take_steps(name, pretended)
    method.eval()
    with torch.inference_mode():
        assert method.predict(batch.images).device == PRETEND
        assert all(isinstance(number, float) for number in method.diagnose(batch).values())
        seen = method.represent(batch.images)
        voxels = torch.arange(0, 3000, 7, device=PRETEND)
        assert seen.log_probabilities.device == seen.features(voxels).device == PRETEND


class Stop(Exception):
    """Ends a training from outside."""


class Batches:
    """In the place of a sampler."""

    def __init__(self, row):
        self.row, self.drawn = row, 0

    def choose(self, progress, unlabelled):
        self.drawn += 1
        return self.drawn

    def fill(self, number):
        return make_batch(self.row, number)

    def state_dict(self):
        return {"drawn": self.drawn}

    def load_state_dict(self, state):
        self.drawn = state["drawn"]


@pytest.mark.parametrize("name", METHODS)
def test_a_run_on_the_device_goes_on_where_it_stopped(name, pretended, tmp_path):
    settings = Training(iterations=3, validate_every=1, precision="float32", clip=1.0, average=0.5)

    seen: list[dict] = []

    def stop_at_2(row):
        if row["kind"] == "step":
            seen.append(row["terms"])
            if row["iteration"] == 2:
                raise Stop

    def go_on(observe=None):
        train(
            record._build(name), Batches(name), settings, tmp_path,
            device=PRETEND, seed=1, observe=observe,
        )  # fmt: skip

    with pytest.raises(Stop):
        go_on(stop_at_2)
    go_on()
    steps = [row for row in read_journal(tmp_path / "journal.jsonl") if row["kind"] == "step"]
    assert [row["iteration"] for row in steps] == [1, 2, 3]
    # The second step was not saved, and is taken again; its batch had been drawn, and later ones.
    assert [row["terms"] for row in steps[:2]] == seen
