"""Contrasts whose networks have run away say so, instead of stumbling over what they are given."""

import pytest
import torch

from dvcl.errors import InputError
from dvcl.losses.neighbours import find_neighbours
from dvcl.methods import METHODS
from dvcl.methods.contrast import DISTANCE_LOSSES, DistanceContrast
from dvcl.methods.view_contrast import ViewContrast
from dvcl.training.engine import step
from dvcl.training.optimisation import Training, build_optimisers

RUNAWAY = [torch.nan, torch.inf, -torch.inf]


@pytest.mark.parametrize("value", RUNAWAY)
@pytest.mark.parametrize("count", [20, 37])
def test_neighbours_are_candidates_whatever_the_numbers(value, count):
    rows = torch.randn(count, 8, generator=torch.Generator().manual_seed(0))
    for chosen in (slice(None), slice(3, 9)):
        features = rows.clone()
        features[chosen] = value
        # As a processor makes it of infinite numbers: with the sign set.
        features = torch.where(features.isnan(), -features.abs(), features)
        for found in find_neighbours(features, features, 5, 7, torch.arange(count)):
            assert found.min() >= 0
            assert found.max() < count


@pytest.mark.parametrize("value", RUNAWAY)
@pytest.mark.parametrize("loss", [*DISTANCE_LOSSES, "nnclr", "snclr"])
def test_a_contrast_of_features_that_run_away_is_not_finite(loss, value):
    random = torch.Generator().manual_seed(0)
    features, logits = (torch.randn(40, n, generator=random, requires_grad=True) for n in (8, 3))
    contrast = (
        ViewContrast(loss, 8, 5, 64, 0.1, False)
        if loss in ("nnclr", "snclr")
        else DistanceContrast(3, 8, 5, 7, 64, "sum", loss)
    )
    for _ in range(2):
        assert torch.isfinite(contrast(features, logits.softmax(1)))
    with torch.no_grad():
        features[11:13] = value
    assert not torch.isfinite(contrast(features, logits.softmax(1)))


@pytest.mark.parametrize("name", METHODS)
def test_a_rate_that_explodes_ends_in_a_loss_that_is_not_finite(name, build_method, make_batch):
    method, batch = build_method(name), make_batch()
    optimisers = build_optimisers(method, Training())
    rates = iter([1e4, 1e20, *(6 * [1e38])])
    with pytest.raises(InputError, match=r"the loss is not finite .*cases a, b, c, d"):  # noqa: PT012
        for rate in rates:
            step(method, optimisers, batch, 0.7, rate)
