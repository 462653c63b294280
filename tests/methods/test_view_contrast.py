"""NNCLR and SNCLR on two networks' features against a loop with plain lists as queues."""

import math
from collections import deque

import pytest
import torch

from dvcl.methods.view_contrast import Predictor, ViewContrast

WIDTH = 4
LOSSES = ["nnclr", "snclr"]


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def build(loss: str, queue_size: int = 30, neighbours: int = 3, per_network: bool = False):
    torch.manual_seed(0)
    return ViewContrast(loss, WIDTH, neighbours, queue_size, 0.2, per_network)


def predict(predictor: Predictor, rows: torch.Tensor) -> list[torch.Tensor]:
    """Linear, batch normalisation, ReLU, linear, unit length; by matrix products in float64."""
    first, norm, _, last = (part for part in predictor)
    hidden = rows.double() @ first.weight.double().T + first.bias.double()
    spread = ((hidden - hidden.mean(0)) ** 2).mean(0) + 1e-5
    hidden = (hidden - hidden.mean(0)) / spread.sqrt() * norm.weight.double() + norm.bias.double()
    out = hidden.clamp(min=0) @ last.weight.double().T + last.bias.double()
    return [row / row.norm() for row in out.detach()]


def by_loop(module: ViewContrast, queues, a, b, tau: float = 0.2) -> float:
    """One step; ``queues`` are the deques that the two networks search and fill."""
    z = [[row.double() / row.double().norm() for row in view] for view in (a, b)]
    g = [predict(module.predictor_a, a), predict(module.predictor_b, b)]
    found = []
    for rows, queue in zip(z, queues, strict=True):
        ranked = [sorted(queue, key=lambda q, r=r: -(r @ q).item()) for r in rows]
        found.append([order[: module.neighbours] for order in ranked])
    for rows, queue in zip(z, queues, strict=True):
        queue.extend(rows)
    directions = []
    for view, other in ((0, 1), (1, 0)):
        losses = []
        for m, prediction in enumerate(g[view]):
            if module.loss == "nnclr":
                nearest = found[other][m][0]
                scores = [math.exp((nearest @ p).item() / tau) for p in g[view]]
                losses.append(-math.log(scores[m] / sum(scores)))
                continue
            keys = [*z[other], *(q for order in found[other] for q in order)]
            total = sum(math.exp((prediction @ key).item() / tau) for key in keys)
            attention = [math.exp((z[view][m] @ q).item()) for q in found[other][m]]
            weights = [1.0, *(value / sum(attention) for value in attention)]
            positives = [z[other][m], *found[other][m]]
            losses.append(
                2 * tau * sum(
                    w * (math.log(total) - (prediction @ key).item() / tau)
                    for w, key in zip(weights, positives, strict=True)
                )
            )  # fmt: skip
        directions.append(sum(losses) / len(losses))
    return sum(directions) / (2 if module.loss == "nnclr" else 1)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("per_network", [False, True])
def test_the_loss_equals_the_loop_over_several_steps(loss, per_network):
    module = build(loss, per_network=per_network)
    own = [deque(maxlen=30), deque(maxlen=30)]
    queues = own if per_network else [own[0], own[0]]
    for seed in range(4):
        a, b = normal(7, WIDTH, seed=seed), normal(7, WIDTH, seed=50 + seed)
        found = module(torch.cat([a, b]), torch.empty(0)).item()
        if seed == 0:
            assert found == 0
            for queue, view in zip(queues, (a, b), strict=True):
                queue.extend(row.double() / row.double().norm() for row in view)
            continue
        assert found == pytest.approx(by_loop(module, queues, a, b), rel=1e-4)
    sizes = [len(queue.content()) for queue in module.queues]
    assert sizes == ([28, 28] if per_network else [30])


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_reach_both_views_and_both_predictors(loss):
    module = build(loss)
    module(normal(14, WIDTH), torch.empty(0))
    features = normal(14, WIDTH, seed=1).requires_grad_()
    module(features, torch.empty(0)).backward()
    assert features.grad.abs().sum(1).min() > 0
    for name, weight in module.named_parameters():
        # Batch normalisation takes a bias before it out again.
        assert weight.grad.abs().max() > 0 or name.endswith("0.bias"), name


def test_keys_and_weights_of_snclr_and_neighbours_of_nnclr_are_constants():
    """A view whose predictor passes no gradient gets none: it is but a key of the other."""
    for loss in LOSSES:
        module = build(loss)
        module(normal(14, WIDTH), torch.empty(0))
        for layer in (module.predictor_a, module.predictor_b):
            layer.register_forward_pre_hook(lambda _, inputs: (inputs[0].detach(),))
        features = normal(14, WIDTH, seed=1).requires_grad_()
        module(features, torch.empty(0)).backward()
        assert features.grad is None


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("voxels", [0, 1, 2])
def test_few_voxels_and_a_short_queue_give_0_but_enter_the_queue(loss, voxels):
    module = build(loss, neighbours=3)
    features = normal(2 * voxels, WIDTH).requires_grad_()
    for step in range(2):
        loss_value = module(features, torch.empty(0))
        loss_value.backward()
        assert len(next(iter(module.queues)).content()) == 2 * voxels * (step + 1)
        assert features.grad.isfinite().all()
        assert (loss_value.item() != 0) == (voxels == 2 and step == 1)


@pytest.mark.parametrize("loss", LOSSES)
def test_equal_voxels_stay_finite(loss):
    module, features = build(loss), torch.ones(14, WIDTH).requires_grad_()
    for _ in range(2):
        found = module(features, torch.empty(0))
        found.backward()
        assert found.isfinite()
        assert features.grad.isfinite().all()
    assert found.item() > 0


def test_the_predictor_keeps_no_statistics():
    assert not [*build("nnclr").predictor_a.buffers()]
