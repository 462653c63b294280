"""Weights that grow during training."""

import math

import pytest

from dvcl.losses.ramps import delayed, sigmoid_ramp


def test_the_ramp_grows_from_almost_nothing_to_one():
    assert sigmoid_ramp(0) == pytest.approx(math.exp(-5))
    assert sigmoid_ramp(0.5) == pytest.approx(math.exp(-1.25))
    assert sigmoid_ramp(1) == 1
    values = [sigmoid_ramp(step / 100) for step in range(101)]
    assert values == sorted(values)


@pytest.mark.parametrize(("progress", "same_as"), [(-1, 0), (1.5, 1)])
def test_the_ramp_stays_at_its_ends(progress, same_as):
    assert sigmoid_ramp(progress) == sigmoid_ramp(same_as)


def test_a_delayed_start():
    assert [delayed(p, 0.5) for p in (0, 0.5, 0.75, 1)] == [0, 0, 0.5, 1]
    assert [delayed(p, 0.0) for p in (0, 0.3, 1)] == [0, 0.3, 1]
    assert delayed(0.9, 1.0) == 0
