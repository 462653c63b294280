"""Schedule, optimisers and the norms of gradients."""

import pytest
import torch

from dvcl.errors import InputError
from dvcl.training.optimisation import Training, build_optimisers, decayed_rate, gradient_norms


def test_the_rate_decays_polynomially_per_iteration():
    settings = Training(iterations=1000, rate=0.1)
    assert decayed_rate(settings, 0) == 0.1
    assert decayed_rate(settings, 500) == pytest.approx(0.1 * 0.5**0.9)
    assert decayed_rate(settings, 999) == pytest.approx(0.1 * 0.001**0.9)
    assert decayed_rate(settings, 1000) == 0
    assert decayed_rate(Training(iterations=10, rate=1, power=2.0), 5) == 0.25


def test_the_rate_rises_linearly_during_the_warm_up_and_is_unchanged_after_it():
    plain, warmed = (Training(iterations=1000, rate=0.1, warmup=n) for n in (0, 100))
    rates = [decayed_rate(warmed, t) / decayed_rate(plain, t) for t in range(1000)]
    assert rates[:100] == pytest.approx([(t + 1) / 100 for t in range(100)])
    assert rates[100:] == [1.0] * 900


def test_the_defaults_are_the_papers():
    settings = Training()
    assert (settings.rate, settings.momentum, settings.weight_decay) == (0.1, 0.9, 1e-4)
    assert (settings.iterations, settings.power, settings.warmup) == (20_000, 0.9, 0)
    assert settings.autocast is torch.bfloat16
    assert Training(precision="float32").autocast is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"iterations": 0}, "found 0, 500, 0.1"),
        ({"validate_every": 0}, "must be positive"),
        ({"rate": 0.0}, "must be positive"),
        ({"rate": -1.0}, "must be positive"),
        ({"warmup": -1}, "found 0.9, 0.0001, 0.9, -1"),
        ({"precision": "fp16"}, "training.precision: 'fp16' found"),
    ],
)
def test_settings_that_make_no_schedule_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        Training(**settings)


def test_one_optimiser_per_group_with_the_schedules_settings(build_method):
    method = build_method("cps")
    optimisers = build_optimisers(method, Training(rate=0.3, momentum=0.5, weight_decay=0.01))
    assert optimisers.keys() == method.parameter_groups().keys()
    (group,) = optimisers["network"].param_groups
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (0.3, 0.5, 0.01)
    assert len(group["params"]) == len(list(method.parameters()))


def test_gradient_norms_equal_those_of_separate_backward_passes():
    random = torch.Generator().manual_seed(0)
    weights = [torch.randn(3, generator=random).requires_grad_() for _ in range(3)]
    shared = weights[0].tanh()  # both terms need this part of the graph
    terms = {"a": (shared * weights[1]).sum(), "b": 3 * shared.square().sum()}
    terms |= {"constant": torch.tensor(2.0)}
    norms = gradient_norms(terms, weights)
    assert all(weight.grad is None for weight in weights)
    slope = 1 - shared.detach() ** 2
    a = torch.cat([slope * weights[1].detach(), shared.detach()]).norm()
    b = (6 * shared.detach() * slope).norm()
    assert norms == pytest.approx({"a": a.item(), "b": b.item(), "constant": 0.0})
    (terms["a"] + terms["b"]).backward()  # the graph is still there
    assert weights[2].grad is None


def test_a_term_outside_the_group_has_no_gradient():
    inside, outside = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    assert gradient_norms({"other": outside.sum()}, [inside]) == {"other": 0.0}
