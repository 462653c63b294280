"""Dice and cross-entropy against loops written from their formulas."""

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from dvcl.errors import InputError
from dvcl.losses.supervised import (
    SupervisedLoss,
    dice_loss,
    merge_unannotated,
)

supervised_loss = SupervisedLoss()


def dice_by_loop(probabilities: torch.Tensor, labels: torch.Tensor) -> float:
    batch, classes, *space = probabilities.shape
    losses = []
    for c in range(classes):
        shared = sizes = 0.0
        for b in range(batch):
            for voxel in np.ndindex(*space):
                p = probabilities[(b, c, *voxel)].item()
                y = float(labels[(b, *voxel)].item() == c)
                shared += p * y
                sizes += p * p + y * y
        losses.append(1 - (2 * shared + 1e-5) / (sizes + 1e-5))
    return sum(losses) / classes


def cross_entropy_by_loop(probabilities: torch.Tensor, labels: torch.Tensor) -> float:
    voxels = list(np.ndindex(*labels.shape))
    return -sum(
        math.log(probabilities[b, labels[b, d, h, w], d, h, w].item()) for b, d, h, w in voxels
    ) / len(voxels)


def random_case(classes: int, shape: tuple[int, ...], seed: int = 0):
    random = torch.Generator().manual_seed(seed)
    batch, *space = shape
    logits = 2 * torch.randn(batch, classes, *space, generator=random, dtype=torch.float64)
    return logits.log_softmax(1), torch.randint(classes, shape, generator=random)


@pytest.mark.parametrize("classes", [2, 3, 14])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 2, 4), (3, 1, 5, 2)])
def test_losses_equal_the_loops(classes, shape):
    logs, labels = random_case(classes, shape)
    dice = dice_by_loop(logs.exp(), labels)
    entropy = cross_entropy_by_loop(logs.exp(), labels)
    assert dice_loss(logs.exp(), labels).item() == pytest.approx(dice, rel=1e-12)
    assert supervised_loss(logs, labels).item() == pytest.approx((dice + entropy) / 2, rel=1e-12)


def test_two_voxels_by_hand():
    probabilities = torch.tensor([[0.8, 0.4], [0.2, 0.6]], dtype=torch.float64)
    logs = probabilities.log().reshape(1, 2, 1, 1, 2)
    labels = torch.tensor([0, 1]).reshape(1, 1, 1, 2)
    dice = ((1 - 1.6 / 1.8) + (1 - 1.2 / 1.4)) / 2
    entropy = -(math.log(0.8) + math.log(0.6)) / 2
    assert dice_loss(logs.exp(), labels).item() == pytest.approx(dice, abs=1e-5)
    assert supervised_loss(logs, labels).item() == pytest.approx((dice + entropy) / 2, abs=1e-5)


def test_a_perfect_prediction_costs_nothing_and_a_wrong_one_everything():
    labels = torch.tensor([0, 1, 2, 1]).reshape(1, 1, 2, 2)
    perfect = torch.nn.functional.one_hot(labels, 3).movedim(-1, 1).double()
    assert dice_loss(perfect, labels).item() == pytest.approx(0, abs=1e-12)
    assert dice_loss(perfect.roll(1, dims=1), labels).item() == pytest.approx(1, abs=1e-4)


def test_a_class_that_is_absent_and_not_predicted_costs_nothing():
    labels = torch.zeros(1, 2, 2, 2, dtype=torch.int64)
    certain = torch.zeros(1, 3, 2, 2, 2, dtype=torch.float64)
    certain[:, 0] = 1
    assert dice_loss(certain, labels).item() == pytest.approx(0, abs=1e-12)
    # One hundredth of probability on each absent class makes both count as wholly missed.
    hesitant = certain.clone()
    hesitant[:, 0], hesitant[:, 1:] = 0.98, 0.01
    missed = 1 - 1e-5 / (8 * 0.01**2 + 1e-5)
    assert dice_loss(hesitant, labels).item() == pytest.approx(2 * missed / 3, abs=1e-3)


def test_equal_probabilities():
    labels = torch.tensor([0, 1, 1, 1]).reshape(1, 1, 2, 2)
    equal = torch.full((1, 2, 1, 2, 2), 0.5, dtype=torch.float64)
    by_hand = ((1 - 1 / (1 + 1)) + (1 - 3 / (1 + 3))) / 2
    assert dice_loss(equal, labels).item() == pytest.approx(by_hand, abs=1e-5)


def test_sums_run_over_the_whole_batch():
    logs, labels = random_case(3, (2, 2, 2, 3))
    side_by_side = torch.cat(list(logs), dim=-1).unsqueeze(0)
    joined = torch.cat(list(labels), dim=-1).unsqueeze(0)
    torch.testing.assert_close(supervised_loss(logs, labels), supervised_loss(side_by_side, joined))


def test_the_order_of_classes_and_voxels_is_irrelevant():
    logs, labels = random_case(4, (2, 3, 3, 3))
    order = torch.tensor([2, 0, 3, 1])
    renamed = order.argsort()[labels]
    expected = supervised_loss(logs, labels)
    torch.testing.assert_close(supervised_loss(logs[:, order], renamed), expected)
    torch.testing.assert_close(supervised_loss(logs.flip(2, 4), labels.flip(1, 3)), expected)


def test_gradients():
    logs, labels = random_case(3, (2, 2, 1, 2))
    logits = logs.detach().requires_grad_()
    assert gradcheck(lambda x: supervised_loss(x.log_softmax(1), labels), logits)
    assert gradcheck(lambda x: dice_loss(x.softmax(1), labels), logits)


def test_very_confident_mistakes_stay_finite():
    logits = torch.tensor([200.0, -200.0]).reshape(1, 2, 1, 1, 1).requires_grad_()
    loss = supervised_loss(logits.log_softmax(1), torch.ones(1, 1, 1, 1, dtype=torch.int64))
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.isfinite().all()


def partial_case(classes: int = 4):
    """Logs, labels and annotated classes of three patches; what is not annotated is not in them."""
    logs, labels = random_case(classes, (3, 2, 3, 2), seed=1)
    annotated = torch.ones(3, classes, dtype=torch.bool)
    annotated[0, 1] = annotated[0, 3] = annotated[2, 3] = False
    hidden = ~annotated[torch.arange(3)[:, None, None, None], labels]
    return logs, labels.masked_fill(hidden, 0), annotated


def marginal_loss_by_loop(logs, labels, annotated) -> float:
    """Cross-entropy and Dice, every probability looked up and added voxel by voxel."""
    batch, classes, *space = logs.shape

    def probability(b, c, voxel):
        missing = [k for k in range(classes) if not annotated[b, k]] if c == 0 else []
        return sum(math.exp(logs[(b, k, *voxel)].item()) for k in (c, *missing))

    voxels = [(b, voxel) for b in range(batch) for voxel in np.ndindex(*space)]
    entropy = -sum(
        math.log(probability(b, labels[(b, *voxel)].item(), voxel)) for b, voxel in voxels
    ) / len(voxels)
    losses = []
    for c in range(classes):
        shared = sizes = 0.0
        seen = [(b, voxel) for b, voxel in voxels if annotated[b, c]]
        for b, voxel in seen:
            p, y = probability(b, c, voxel), float(labels[(b, *voxel)].item() == c)
            shared, sizes = shared + p * y, sizes + p * p + y * y
        if seen:
            losses.append(1 - (2 * shared + 1e-5) / (sizes + 1e-5))
    return (sum(losses) / len(losses) + entropy) / 2


@pytest.mark.parametrize("nowhere", [False, True])
def test_the_marginal_loss_equals_the_loop(nowhere):
    logs, labels, annotated = partial_case()
    if nowhere:
        annotated[1, 3], labels = False, labels.masked_fill(labels == 3, 0)
    expected = marginal_loss_by_loop(logs, labels, annotated)
    assert supervised_loss(logs, labels, annotated).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_classes_that_are_all_annotated_change_no_bit(dtype):
    logs, labels = random_case(5, (2, 4, 3, 4))
    logs = logs.to(dtype)
    everything = torch.ones(2, 5, dtype=torch.bool)
    assert torch.equal(merge_unannotated(logs, everything), logs)
    assert torch.equal(supervised_loss(logs, labels, everything), supervised_loss(logs, labels))


def test_an_organ_that_is_not_annotated_is_not_punished():
    labels = torch.zeros(1, 1, 2, 2, dtype=torch.int64)
    logits = torch.zeros(1, 3, 1, 2, 2)
    logits[:, 2] = 50  # certain of an organ where the label map says background
    shown = torch.tensor([[True, True, False]])
    assert supervised_loss(logits.log_softmax(1), labels, shown).item() == pytest.approx(0)
    assert supervised_loss(logits.log_softmax(1), labels).item() > 20


def test_gradients_of_the_marginal_loss():
    logs, labels, annotated = partial_case()
    logits = logs.detach().requires_grad_()
    assert gradcheck(lambda x: supervised_loss(x.log_softmax(1), labels, annotated), logits)


def test_extreme_logits_of_the_marginal_loss_stay_finite():
    logits = torch.tensor([-200.0, 200.0, 0.0]).reshape(1, 3, 1, 1, 1).requires_grad_()
    shown = torch.tensor([[True, True, False]])
    labels = torch.zeros(1, 1, 1, 1, dtype=torch.int64)
    loss = supervised_loss(logits.log_softmax(1), labels, shown)
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.isfinite().all()


def settings_by_loop(logs, labels, dice_over, background, class_weights) -> float:
    """The formula with its settings, voxel by voxel."""
    classes, probabilities = logs.shape[1], logs.exp()
    counts = [int((labels == c).sum()) for c in range(classes)]
    counted = [c for c in range(classes) if dice_over == "all" or counts[c]]
    if not background and any(counts[1:] if dice_over == "present" else [classes > 1]):
        counted = [c for c in counted if c]
    dice = 0.0
    for c in counted:
        p, y = probabilities[:, c].flatten().tolist(), (labels == c).flatten().tolist()
        shared = sum(a * b for a, b in zip(p, y, strict=True))
        sizes = sum(a * a + b for a, b in zip(p, y, strict=True))
        dice += (1 - (2 * shared + 1e-5) / (sizes + 1e-5)) / len(counted)
    weights = [min(math.sqrt(max(counts) / max(n, 1)), 8) for n in counts]
    if class_weights == "none":
        weights = [1.0] * classes
    total = taught = 0.0
    for b, d, h, w in np.ndindex(*labels.shape):
        c = int(labels[b, d, h, w])
        taught -= weights[c] * logs[b, c, d, h, w].item()
        total += weights[c]
    return (dice + taught / total) / 2


@pytest.mark.parametrize("dice_over", ["all", "present"])
@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize("class_weights", ["none", "inverse_sqrt"])
def test_shared_settings_equal_the_loop(dice_over, background, class_weights):
    logs, labels = random_case(5, (2, 4, 3, 4))
    labels[labels == 3] = 0
    labels[0, 0, 0, 0] = 4
    loss = SupervisedLoss(dice_over, background, class_weights)
    expected = settings_by_loop(logs, labels, dice_over, background, class_weights)
    assert loss(logs, labels).item() == pytest.approx(expected, rel=1e-12)
    assert gradcheck(lambda z: loss(z.log_softmax(1), labels), logs.clone().requires_grad_())


def test_a_rare_class_weighs_at_most_eight():
    logs = torch.zeros(1, 2, 1, 1, 1001, dtype=torch.float64).log_softmax(1)
    logs[:, :, :, :, 0] = torch.tensor([0.9, 0.1], dtype=torch.float64).log().view(1, 2, 1, 1)
    labels = torch.zeros(1, 1, 1, 1001, dtype=torch.int64)
    labels[..., 0] = 1
    weighted = SupervisedLoss(class_weights="inverse_sqrt")(logs, labels) * 2
    dice = dice_loss(logs.exp(), labels)
    expected = (8 * -math.log(0.1) + 1000 * math.log(2)) / 1008
    assert (weighted - dice).item() == pytest.approx(expected, rel=1e-12)


def test_a_patch_of_background_alone_still_has_a_dice():
    logs, _ = random_case(3, (1, 2, 2, 2))
    labels = torch.zeros(1, 2, 2, 2, dtype=torch.int64)
    loss = SupervisedLoss("present", background=False)
    assert loss(logs, labels).item() == pytest.approx(
        SupervisedLoss("present")(logs, labels).item()
    )


def test_absent_organs_do_not_count_among_present_ones_when_partly_annotated():
    logs, labels = random_case(4, (2, 2, 2, 2))
    labels[labels == 3] = 0
    annotated = torch.tensor([[True, True, True, False]] * 2)
    found = SupervisedLoss("present")(logs, labels, annotated)
    merged = merge_unannotated(logs, annotated)[:, :3]
    assert found.item() == pytest.approx(supervised_loss(merged, labels).item(), rel=1e-12)


@pytest.mark.parametrize("settings", [{"dice_over": "some"}, {"class_weights": "equal"}])
def test_unknown_settings_are_refused(settings):
    (name,) = settings
    with pytest.raises(InputError, match=f"loss.{name}"):
        SupervisedLoss(**settings)
