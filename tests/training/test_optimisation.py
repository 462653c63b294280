"""Schedule, optimisers and the norms of gradients."""

from typing import ClassVar

import numpy as np
import pytest
import torch
from torch.optim import SGD, Adam

from dvcl.errors import InputError
from dvcl.methods.supervised import Supervised
from dvcl.networks import Network
from dvcl.training.engine import step
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
        ({"warmup": -1}, "training.warmup: -1 found"),
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


class Dueller(Supervised):
    """Has a second group, trained by Adam; its only network serves both."""

    adam_rates: ClassVar = {"rival": 1e-3}

    def __init__(self) -> None:
        super().__init__(lambda scheme: Network(levels=2, base_channels=2).build(
            2, scheme, torch.Generator().manual_seed(0)), 2)  # fmt: skip
        self.rival = torch.nn.Parameter(torch.tensor([1.0, -2.0]))

    def parameter_groups(self):
        return {"network": list(self.network.parameters()), "rival": [self.rival]}

    def updates(self, batch, progress):
        yield "network", self.losses(batch, progress)
        yield "rival", {"rival": self.rival.square().sum()}


def test_a_group_with_a_rate_of_its_own_is_trained_by_adam_at_that_rate(make_sampler):
    method, batch = Dueller(), make_sampler().draw().to(torch.device("cpu"))
    optimisers = build_optimisers(method, Training(rate=0.3))
    assert isinstance(optimisers["network"], SGD)
    assert isinstance(optimisers["rival"], Adam)
    # Adam, step by step: moving averages of the gradient and of its square, both unbiased.
    weights = np.array([1.0, -2.0])
    mean, square = np.zeros(2), np.zeros(2)
    for t in range(1, 4):
        step(method, optimisers, batch, 0.5, rate=0.01)
        gradient = 2 * weights
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.99 * square + 0.01 * gradient**2
        moved = mean / (1 - 0.9**t) / (np.sqrt(square / (1 - 0.99**t)) + 1e-8)
        weights = weights - 1e-3 * moved
        np.testing.assert_allclose(method.rival.detach().numpy(), weights, rtol=1e-5)
    assert optimisers["network"].param_groups[0]["lr"] == 0.01
    assert optimisers["rival"].param_groups[0]["lr"] == 1e-3


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
