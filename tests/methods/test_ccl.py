"""CCL's terms against loops over the voxels it draws, and where its gradients go."""

import math

import numpy as np
import pytest
import torch

from dvcl.errors import InputError
from dvcl.methods.views import strong

ALL = 100_000  # more voxels than there are: everything takes part


def maps_of(method, batch):
    """Logits and features of labelled patches, weak views and strong views."""
    random = torch.Generator().set_state(method.random.get_state())
    views = torch.cat([batch.images, strong(batch.unlabelled, random, method.jitter)])
    with torch.no_grad():
        logits, features = method.network(views)
    return logits.double().softmax(1), method.projection(features.movedim(1, -1)).detach().double()


def test_consistency_equals_the_formula(build_method, make_batch):
    method, batch = build_method("ccl", cutoff=0.45), make_batch(side=8)
    p, _ = maps_of(method, batch)
    terms = method.losses(batch, 0.3)
    weak, hard = p[2:4], p[4:]
    best = weak.max(1)
    mask = best.values >= 0.45
    assert 0.05 < mask.float().mean() < 0.95
    losses = -hard.log().gather(1, best.indices.unsqueeze(1)).squeeze(1)
    assert terms["consistency"].item() == pytest.approx((losses * mask).mean().item(), rel=1e-4)


@pytest.mark.parametrize("divide_by", ["positives", "rows"])
def test_the_contrast_equals_the_loop_over_all_pairs(divide_by, build_method, make_batch):
    method = build_method("ccl", confident=ALL, doubtful=ALL, divide_by=divide_by, cutoff=0.5)
    batch = make_batch(side=4)
    p, features = maps_of(method, batch)
    found = method.losses(batch, 0.3)["contrast"].item()
    # Rows: (label or None, complementary labels, voxel, feature).
    size = 64
    p, features = p.movedim(1, -1).reshape(6 * size, 3), features.reshape(6 * size, -1)
    features = features / features.norm(dim=1, keepdim=True)
    truth = batch.labels.flatten().tolist()
    rows = [(label, None, voxel, features[voxel]) for voxel, label in enumerate(truth)]
    for voxel in range(2 * size, 4 * size):
        sure, best = p[voxel].max().item() >= 0.5, int(p[voxel].argmax())
        unlike = None if sure else set(p[voxel].argsort()[: int(0.7 * 3)].tolist())
        views = (voxel, voxel + 2 * size)
        rows += [(best if sure else None, unlike, voxel, features[view]) for view in views]
    assert 0 < sum(row[0] is None for row in rows) < 256
    s = (torch.stack([row[3] for row in rows]) @ torch.stack([row[3] for row in rows]).T) / 0.07
    s, losses = s.numpy(), []
    for i, (label, unlike, voxel, _) in enumerate(rows):
        attracted, company = [], []
        for j, (other, other_unlike, other_voxel, _) in enumerate(rows):
            if i == j:
                continue
            if label is None:
                positive = other is None and voxel == other_voxel
                negative = other is not None and other in unlike
            else:
                positive = other == label
                negative = label in other_unlike if other is None else other != label
            attracted += [s[i, j]] if positive else []
            company += [s[i, j]] if positive or negative else []
        if attracted:
            normaliser = max(company) + math.log(np.exp(np.array(company) - max(company)).sum())
            count = len(attracted) if divide_by == "positives" else len(rows)
            losses.append(-sum(a - normaliser for a in attracted) / count)
    assert found == pytest.approx(np.mean(losses), rel=1e-3)


def test_drawn_voxels_are_bounded(build_method, make_batch):
    method = build_method("ccl", confident=5, doubtful=7, cutoff=0.5)
    rows = []
    method.projection.register_forward_pre_hook(lambda _, inputs: rows.append(len(inputs[0])))
    method.losses(make_batch(), 0.3)
    # 15 labelled or confident ones, of which some are seen twice, and 7 doubtful ones twice.
    assert 15 + 14 <= rows[0] <= 30 + 14


@pytest.mark.parametrize("cutoff", [0.0, 1.0])
def test_all_confident_and_all_doubtful_are_fine(cutoff, build_method, make_batch):
    method = build_method("ccl", cutoff=cutoff)
    terms = method.losses(make_batch(side=8), 0.3)
    sum(terms.values()).backward()
    assert all(term.isfinite() for term in terms.values())
    assert (terms["consistency"].item() > 0) == (cutoff == 0.0)
    assert terms["contrast"].item() > 0


def test_pseudo_labels_send_no_gradient_and_contrast_spares_the_classifier(
    build_method, make_batch
):
    method, batch = build_method("ccl"), make_batch(side=8)
    terms = method.losses(batch, 0.3)
    terms["contrast"].backward(retain_graph=True)
    assert method.network.segmentation_head.weight.grad is None
    assert next(method.network.encoder.parameters()).grad.abs().max() > 0
    assert all(weight.grad is not None for weight in method.projection.parameters())
    method.zero_grad()
    # What moves the network is its strong view alone: the same loss against constants.
    random = torch.Generator().manual_seed(0)
    views = torch.cat([batch.images, strong(batch.unlabelled, random, method.jitter)])
    logs = method.network(views).logits.log_softmax(1)
    best = logs[2:4].detach().exp().max(1)
    losses = torch.nn.functional.nll_loss(logs[4:], best.indices, reduction="none")
    learner = [*method.network.parameters()]
    expected = torch.autograd.grad((losses * (best.values >= 0.5)).mean(), learner)
    found = torch.autograd.grad(terms["consistency"], learner)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-7)
    assert all(weight.grad is None for weight in method.average.parameters())


def test_prediction_comes_from_the_moving_average(build_method, make_batch):
    method, images = build_method("ccl"), make_batch(side=8).images
    with torch.no_grad():
        before = method.predict(images)
        method.network.segmentation_head.bias.add_(torch.tensor([1.0, 0.0, 0.0]))
        torch.testing.assert_close(method.predict(images), before)
        method.after_step()
        moved = method.network(images).logits.softmax(1)
        torch.testing.assert_close(method.predict(images), moved)


@pytest.mark.parametrize(
    "setting",
    [{"cutoff": 1.5}, {"complementary": 0.3}, {"complementary": 1.0}, {"temperature": 0.0},
     {"divide_by": "columns"}, {"doubtful": 0}, {"jitter": -1.0}],
)  # fmt: skip
def test_settings_without_sense_are_refused(setting, build_method):
    with pytest.raises(InputError, match=next(iter(setting))):
        build_method("ccl", **setting)
