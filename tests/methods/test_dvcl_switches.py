"""Settings of DVCL that are not the paper's: each does what it says, within the whole method."""

import math

import pytest
import torch

from dvcl.losses.entropy import Selection, select_reliable
from dvcl.losses.pseudo_labels import near_boundaries
from dvcl.methods.contrast import DistanceContrast
from dvcl.methods.cross_teaching import CrossTeaching
from dvcl.training.engine import step
from dvcl.training.optimisation import Training, build_optimisers

SETTINGS = Training(precision="float32")


@pytest.fixture
def contrasted(monkeypatch) -> list[tuple]:
    """What the distance-aware term was given in every step: features, probabilities, more."""
    found, original = [], DistanceContrast.forward

    def forward(self, *given):
        found.append(given)
        return original(self, *given)

    monkeypatch.setattr(DistanceContrast, "forward", forward)
    return found


@pytest.fixture
def taught(monkeypatch) -> list[list[Selection]]:
    """The selections of every step, one per network."""
    found, original = [], CrossTeaching.loss

    def loss(self, logs, selections):
        found.append(selections)
        return original(self, logs, selections)

    monkeypatch.setattr(CrossTeaching, "loss", loss)
    return found


def test_voxels_in_dispute_are_queries_and_no_anchors(build_method, make_batch, contrasted):
    batch, unreliable = make_batch(side=8), []
    for agreement in (False, True):
        # Nothing is unreliable by its entropy.
        method = build_method("dvcl", alpha=50.0, queries=100_000, agreement=agreement)
        method.losses(batch, 0.5)
        a, b = (network(batch.unlabelled).logits.argmax(1) for network in method.networks)
        unreliable.append(2 * int((a != b).sum()))
    assert [len(features) for features, _ in contrasted] == [0, unreliable[1]]
    assert unreliable[1] > 0


def test_outsiders_of_other_classes_reach_the_loss(build_method):
    (part,) = build_method("dvcl", foreign_outsiders=True).distance_contrast
    assert part.foreign_outsiders
    assert not build_method("dvcl").distance_contrast[0].foreign_outsiders


def test_averages_make_the_pseudo_labels_and_follow_by_the_recurrence(build_method, make_batch):
    method = build_method("dvcl", decay=0.6, dropout=0.5)
    averages = [average.network for average in method.teaching.averages]
    expected = [[weight.double() for weight in network.parameters()] for network in method.networks]
    optimisers = build_optimisers(method, SETTINGS)
    for t in range(4):
        step(method, optimisers, make_batch(t, side=8), 0.5, 0.1)
        decay = min(1 - 1 / (t + 1), 0.6)
        for network, average, weights in zip(method.networks, averages, expected, strict=True):
            for index, weight in enumerate(network.parameters()):
                now = weight.detach().double()
                weights[index] = decay * weights[index].detach() + (1 - decay) * now
            torch.testing.assert_close(
                [weight.double() for weight in average.parameters()], weights, rtol=1e-4, atol=1e-6
            )


def test_averages_make_the_pseudo_labels_without_dropout(build_method, make_batch, taught):
    method = build_method("dvcl", decay=0.6, dropout=0.5)
    optimisers = build_optimisers(method, SETTINGS)
    for t in range(2):
        step(method, optimisers, make_batch(t, side=8), 0.5, 0.1)
    batch = make_batch(9, side=8)
    terms = method.losses(batch, 1.0)
    assert all(part.training for part in method.modules())
    averages = [average.network.eval() for average in method.teaching.averages]
    for average, selection in zip(averages, taught[-1], strict=True):
        with torch.no_grad():
            logs = average(batch.unlabelled).logits.log_softmax(1)
        assert torch.equal(selection.pseudo_labels, logs.argmax(1))
        torch.testing.assert_close(selection.entropy, -(logs.exp() * logs).sum(1))
    sum(terms.values()).backward()
    assert all(weight.grad is None for network in averages for weight in network.parameters())


def test_an_average_of_the_last_step_alone_is_the_network(build_method, make_batch):
    """Decay so small that it rounds away: the averages are the networks, and change nothing."""
    losses = []
    for decay in (0.0, 1e-30):
        method = build_method("dvcl", decay=decay)
        optimisers = build_optimisers(method, SETTINGS)
        losses.append(
            [step(method, optimisers, make_batch(t, side=8), 0.5, 0.1)[0] for t in range(3)]
        )
    assert losses[0] == losses[1]
    assert len(build_method("dvcl").teaching.averages) == 0


@pytest.mark.parametrize("decay", [0.0, 0.6])
def test_strong_views_are_learnt_from_and_the_patches_make_the_labels(
    decay, build_method, make_batch, taught
):
    method, batch, seen = build_method("dvcl", jitter=0.4, decay=decay), make_batch(side=8), []
    for network in method.networks:
        network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    method.random.manual_seed(5)
    terms = method.losses(batch, 1.0)
    view = batch.unlabelled.double()
    random = torch.Generator().manual_seed(5)
    a, b = torch.rand((2, 2, 1, 1, 1, 1), generator=random).double() - 0.5
    noise = 0.1 * torch.randn(view.shape, generator=random).double()
    mean = view.mean((2, 3, 4), keepdim=True)
    view = mean + (1 + 0.8 * a) * (view - mean) + 0.4 * b + noise.clamp(-0.2, 0.2)
    expected = torch.cat([batch.labelled.double(), view])
    for images in seen[:2]:
        torch.testing.assert_close(images.double(), expected, rtol=1e-5, atol=1e-6)
    assert all(torch.equal(images, batch.unlabelled) for images in seen[2:])
    assert len(seen) == (2 if decay else 4)

    ecps = 0.0
    with torch.no_grad():
        logs = [network(batch.unlabelled).logits.double().softmax(1) for network in method.networks]
        said = [network(view.float()).logits.double().log_softmax(1) for network in method.networks]
    for teacher, student in ((0, 1), (1, 0)):
        p = logs[teacher]
        entropy = -(p * p.log()).sum(1)
        weight = torch.where(
            entropy > entropy.mean() + 0.5 * entropy.std(correction=0),
            (-entropy / math.log2(3)).exp(),
            1.0,
        )
        ecps -= (weight * said[student].gather(1, p.argmax(1, keepdim=True))[:, 0]).mean()
        assert torch.equal(taught[0][teacher].pseudo_labels, p.argmax(1))
    assert terms["ecps"].item() == pytest.approx(0.1 * ecps.item(), rel=1e-4)


def test_queries_lie_near_boundaries_alone(build_method, make_batch, contrasted):
    method, batch = build_method("dvcl", queries=100_000, boundary=1), make_batch(side=8)
    with torch.no_grad():  # large regions of one pseudo-label
        for network in method.networks:
            network.segmentation_head.bias += torch.tensor([0.0, 0.0, -9.0])
    method.losses(batch, 0.5)
    everyone = expected = 0
    for network in method.networks:
        logs = network(batch.unlabelled).logits.detach().log_softmax(1)
        chosen = select_reliable(logs, 0.5)
        everyone += int((~chosen.reliable).sum())
        expected += int((~chosen.reliable & near_boundaries(logs.argmax(1), 1)).sum())
    ((features, _),) = contrasted
    assert len(features) == expected
    assert 0 < expected < everyone


def test_trusted_candidates_are_the_banks_after_this_step(build_method, make_batch, contrasted):
    for trusted in (False, True):
        method = build_method("dvcl", trusted_candidates=trusted)
        method.losses(make_batch(side=8), 0.5)
    rows, classes = method.hqc.trusted()
    (_, _), (_, _, (found, certain)) = contrasted
    assert torch.equal(found, rows)
    assert torch.equal(certain, classes)
    assert method.worked_on["distance candidates"] == 63 + len(rows)


EVERY_SWITCH = {
    "agreement": True, "decay": 0.6, "jitter": 0.3, "foreign_outsiders": True,
    "trusted_candidates": True, "boundary": 2,
}  # fmt: skip


def test_all_switches_together_resume_exactly(build_method, resumed):
    state = resumed(**EVERY_SWITCH)
    assert any(key.startswith("teaching.averages.1") for key in state)
    assert not any(key.startswith("teaching") for key in build_method("dvcl").state_dict())


def test_all_switches_together_in_bfloat16(build_method, make_batch):
    method = build_method("dvcl", **EVERY_SWITCH)
    method.precision = torch.bfloat16
    method.losses(make_batch(1, side=8), 0.5)
    terms = method.losses(make_batch(side=8), 0.5)
    assert all(term.isfinite() and term.dtype == torch.float32 for term in terms.values())
    sum(terms.values()).backward()
    with torch.inference_mode():
        found = method.eval().diagnose(make_batch(side=8))
    assert {key[-1] for key in found} == {"A", "B"}
