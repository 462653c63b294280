"""Batches that are drawn ahead are those that are not, and leave the state of what was used."""

import threading

import numpy as np
import pytest
import torch

from dvcl.sampling.ahead import drawn
from dvcl.sampling.settings import Sampling
from dvcl.sampling.streams import Sampler

SETTINGS = Sampling((4, 4, 4), 2, 1, ("H",), grow_from=(2, 2, 2), grow_until=0.5)
ASKED = [(step / 5, step % 2 == 0) for step in range(5)]


class Case:
    annotated = None

    def __init__(self, id):
        self.id, self.scale, self.offset = id, 1e-3, 0.0
        self.image = np.random.default_rng(list(id.encode())).integers(0, 99, (6, 7, 8), np.int16)
        self.label = (self.image % 2).astype(np.uint8)


def sampler():
    return Sampler([Case(id) for id in "abc"], [Case(id) for id in "uv"], SETTINGS, seed=4)


def take(ahead):
    return list(drawn(sampler(), ASKED, ahead=ahead, pinned=False))


@pytest.mark.parametrize("ahead", [1, 3, 9])
def test_the_same_batches_come_in_the_same_order(ahead):
    for (first, state), (second, other) in zip(take(ahead), take(0), strict=True):
        assert first.case_ids == second.case_ids
        assert torch.equal(first.images, second.images)
        assert torch.equal(first.labels, second.labels)
        assert state == other


@pytest.mark.parametrize("used", [1, 3])
def test_a_run_goes_on_behind_the_last_batch_that_was_used(used):
    whole, drawing = take(0), sampler()
    batches = drawn(drawing, ASKED, ahead=2, pinned=False)
    state = [next(batches) for _ in range(used)][-1].state
    batches.close()
    assert drawing.state_dict() != state
    again = sampler()
    again.load_state_dict(state)
    for expected, (batch, _) in zip(
        whole[used:], drawn(again, ASKED[used:], ahead=2, pinned=False), strict=True
    ):
        assert torch.equal(batch.images, expected.batch.images)


class Watched(Sampler):
    def fill(self, chosen):
        found = super().fill(chosen)
        self.threads.append(threading.current_thread())
        self.second.set() if len(self.threads) == 2 else None
        return found


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_the_next_batches_are_drawn_while_one_is_at_work(ahead):
    watched = Watched([Case("a")], [Case("u")], SETTINGS, seed=0)
    watched.threads, watched.second = [], threading.Event()
    batches = drawn(watched, ASKED, ahead=ahead, pinned=False)
    next(batches)
    assert watched.second.wait(30 if ahead else 0.01) == bool(ahead)
    assert (threading.main_thread() in watched.threads) != bool(ahead)
    batches.close()


def test_what_goes_wrong_in_the_thread_is_told_to_who_takes_the_batch():
    class Broken(Sampler):
        def fill(self, chosen):
            raise OSError("disk gone")

    batches = drawn(Broken([Case("a")], [Case("u")], SETTINGS, 0), ASKED, ahead=2, pinned=False)
    with pytest.raises(OSError, match="disk gone"):
        next(batches)
