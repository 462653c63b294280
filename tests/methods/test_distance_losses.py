"""DVCL with each loss in the place of Eq. 17: what every method keeps, every variant keeps."""

from typing import get_args

import pytest
import torch

from dvcl.errors import InputError
from dvcl.methods import METHODS
from dvcl.methods.contrast import DistanceContrast
from dvcl.methods.distance_losses import VIEW_LOSSES, DistanceLoss
from dvcl.methods.view_contrast import ViewContrast
from dvcl.training.optimisation import Training

LOSSES = get_args(DistanceLoss)
OF_PROBABILITIES = ("loglikelihood", "kl", "nccl")
SETTINGS = Training(precision="float32")

every_loss = pytest.mark.parametrize("loss", LOSSES)


@pytest.fixture
def build(build_method, make_batch):
    """build("infonce", **settings) -> a tiny DVCL whose queue holds the voxels of two steps."""

    def start(loss: str, **settings):
        method = build_method("dvcl", distance_loss=loss, **settings)
        for seed in (1, 2):
            method.losses(make_batch(seed, side=8), 0.5)
        return method

    return start


@every_loss
@pytest.mark.parametrize("precision", [None, torch.bfloat16])
def test_the_gradient_goes_where_it_should(loss, precision, build, make_batch):
    method, batch = build(loss), make_batch(side=8)
    method.precision = precision
    batch.unlabelled.requires_grad_()
    batch.labelled.requires_grad_()
    term = method.losses(batch, 0.5)["distance"]
    assert term.shape == ()
    assert term.dtype == torch.float32
    assert term.isfinite()
    term.backward()
    assert batch.unlabelled.grad.flatten(1).abs().sum(1).min() > 0
    assert batch.labelled.grad is None or not batch.labelled.grad.any()
    for network, head in zip(method.networks, method.heads, strict=True):
        assert next(network.encoder.parameters()).grad.abs().max() > 0
        assert (network.segmentation_head.weight.grad is not None) == (loss in OF_PROBABILITIES)
        for weight in head.parameters():
            assert (weight.grad is not None) == (loss not in OF_PROBABILITIES)
    own = list(method.distance_contrast.parameters())
    assert bool(own) == (loss in VIEW_LOSSES)
    assert all(weight.grad.isfinite().all() for weight in own)
    assert all(weight.grad.any() for weight in own if weight.dim() == 2)


@every_loss
def test_only_the_distance_term_depends_on_the_loss(loss, build_method, make_batch):
    batch = make_batch(side=8)
    plain = build_method("dvcl").losses(batch, 0.5)
    found = build_method("dvcl", distance_loss=loss).losses(batch, 0.5)
    assert found.keys() == plain.keys()
    # Two views draw other voxels, and with them other negatives of HqC.
    same = ["supervised", "ecps"] + ["hqc"] * (loss not in VIEW_LOSSES)
    assert all(torch.equal(found[key], plain[key]) for key in same)
    assert torch.equal(found["distance"], plain["distance"]) == (loss == "loglikelihood")


@every_loss
@pytest.mark.parametrize("balance", [False, True])
def test_too_few_or_no_candidates_give_0(loss, balance, build_method, make_batch):
    few = build_method("dvcl", distance_loss=loss, queries=3, balance_queries=balance)
    none = build_method("dvcl", distance_loss=loss, alpha=50.0, balance_queries=balance)
    for method in (few, none, none):
        terms = method.losses(make_batch(side=8), 0.5)
        assert terms["distance"].item() == 0
        sum(terms.values()).backward()
    later = [few.losses(make_batch(seed, side=8), 0.5)["distance"] for seed in range(3)]
    assert later[-1].item() != 0


@every_loss
@pytest.mark.parametrize("per_network", [False, True])
def test_three_steps_a_checkpoint_and_two_steps_are_five_steps(loss, per_network, resumed):
    state = resumed(distance_loss=loss, per_network=per_network)
    assert any(key.startswith("distance_contrast") for key in state)


@pytest.mark.parametrize("loss", VIEW_LOSSES)
@pytest.mark.parametrize("per_network", [False, True])
def test_views_are_the_same_voxels_of_both_networks(
    loss, per_network, build_method, make_batch, monkeypatch
):
    calls = []
    original = ViewContrast.forward

    def forward(self, features, probabilities):
        calls.append(features.detach())
        return original(self, features, probabilities)

    monkeypatch.setattr(ViewContrast, "forward", forward)
    method = build_method("dvcl", distance_loss=loss, queries=100_000, per_network=per_network)
    batch = make_batch(side=8)
    method.losses(batch, 0.5)
    unreliable, rows = [], []
    for network, head in zip(method.networks, method.heads, strict=True):
        logits, maps = network(batch.unlabelled)
        logs = logits.log_softmax(1)
        entropy = -(logs.exp() * logs).sum(1)
        unreliable.append(entropy > entropy.mean() + 0.5 * entropy.std(correction=0))
        rows.append(head(maps.movedim(1, -1)))
    either = unreliable[0] | unreliable[1]
    assert max(mask.sum() for mask in unreliable) < either.sum()
    (found,) = calls
    torch.testing.assert_close(found, torch.cat([view[either] for view in rows]).detach())


def test_defaults_of_the_temperature(build_method):
    found = {
        loss: build_method("dvcl", distance_loss=loss, temperature=0.5)
        .distance_contrast[0]
        .temperature
        for loss in LOSSES
    }
    feature_losses = dict.fromkeys(("infonce", "simclr", "simclr_union"), 0.5)
    assert feature_losses.items() <= found.items()
    assert (found["nccl"], found["nnclr"], found["snclr"]) == (1.0, 0.1, 0.2)
    for loss in ("infonce", "snclr"):
        method = build_method("dvcl", distance_loss=loss, distance_temperature=0.3)
        assert method.distance_contrast[0].temperature == 0.3


@every_loss
def test_plain_cross_supervision_can_be_the_host(loss, build, build_method, make_batch):
    batch = make_batch(side=8)
    method = build(loss, entropy_weighting=False, high_quality=False)
    terms = method.losses(batch, 0.5)
    assert [*terms] == ["supervised", "ecps", "distance"]
    cps = build_method("cps")
    for mine, theirs in zip(method.networks, cps.networks, strict=True):
        theirs.load_state_dict(mine.state_dict())
    expected = cps.losses(batch, 0.5)
    torch.testing.assert_close(terms["supervised"], expected["supervised"])
    torch.testing.assert_close(terms["ecps"], expected["cross_supervision"])
    assert terms["distance"].item() != 0


def test_the_default_has_no_weights_of_its_own_and_one_queue_per_group(build_method):
    for per_network in (False, True):
        parts = build_method("dvcl", per_network=per_network).distance_contrast
        assert [type(part) for part in parts] == [DistanceContrast] * (1 + per_network)
        assert not [*parts.parameters()]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"distance_loss": "triplet"}, r"method.distance_loss: 'triplet' found, one of"),
        ({"distance_loss": "infonce", "distance_temperature": 0.0}, "method.distance_temperature"),
        ({"queries": 3, "queue_size": 19}, "19 found, at least 20 expected, .* 10 neighbours"),
        (
            {"queries": 3, "queue_size": 22, "per_network": True},
            "method.queue_size: 22 found, at least 23 expected",
        ),
        ({"distance_loss": "nnclr", "queue_size": 0}, "queue_size: 0 found, at least 1 expected"),
        ({"distance_loss": "snclr", "queue_size": 9}, "queue_size: 9 found, at least 10 expected"),
        *(
            ({"distance_loss": loss, "foreign_outsiders": True}, "method.foreign_outsiders: true")
            for loss in ("nccl", "nnclr", "snclr")
        ),
        *(
            ({"distance_loss": loss, "trusted_candidates": True}, "method.trusted_candidates: true")
            for loss in LOSSES
            if loss != "loglikelihood"
        ),
        ({"high_quality": False, "trusted_candidates": True}, "features that high_quality keeps"),
        ({"queue_size": -1}, "queue_size: -1 found, at least 0 expected"),
    ],
)
def test_what_makes_no_sense_is_refused_before_a_network_is_built(settings, message):
    with pytest.raises(InputError, match=message):
        METHODS["dvcl"](lambda scheme: pytest.fail("no network is built"), 3, **settings)
