"""BaCon's terms against loops over voxels, its memories, and which voxels it contrasts."""

import math
from collections import deque

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from dvcl.errors import InputError
from dvcl.methods.balanced_contrast import BalancedContrast
from dvcl.methods.views import strong

ALL = 100_000  # more voxels than there are: every anchor takes part


def maps_of(method, batch):
    """Main and auxiliary logits of labelled patches, weak views and strong views, in float64."""
    random = torch.Generator().set_state(method.random.get_state())
    views = torch.cat([batch.images, strong(batch.unlabelled, random, method.jitter)])
    with torch.no_grad():
        features = method.student.network(views).features
        network = method.student.network
        main = network.segmentation_head(features).double()
        auxiliary = method.student.auxiliary(features).double()
    return main.split(2), auxiliary.split(2), features, random


def nll(logits: torch.Tensor, labels: torch.Tensor) -> np.ndarray:
    p = logits.softmax(1).numpy()
    return -np.log(np.take_along_axis(p, labels.numpy()[:, None], 1)[:, 0])


@pytest.mark.parametrize("progress", [0.0, 0.4])
def test_classifier_terms_equal_the_formulas(progress, build_method, make_batch):
    method, batch = build_method("bacon", cutoff=0.45), make_batch(side=8)
    main, auxiliary, _, random = maps_of(method, batch)
    terms = method.losses(batch, progress)
    assert list(terms) == [
        "supervised",
        "supervised_balanced",
        "consistency",
        "balanced_consistency",
    ]

    def believed(logits):
        p = logits.softmax(1)
        return p.argmax(1), (p.max(1).values >= 0.45).numpy()

    labels, mask = believed(main[1])
    assert 0.05 < mask.mean() < 0.95
    consistency = (nll(main[2], labels) * mask).mean()
    assert terms["consistency"].item() == pytest.approx(consistency, rel=1e-4)

    counts = [(batch.labels == k).sum().item() for k in range(3)]
    rates = torch.tensor([min(counts) / count for count in counts])
    labels, mask = believed(auxiliary[1])
    kept = torch.rand(labels.shape, generator=random) < (1 - progress * (1 - rates))[labels]
    balanced = (nll(auxiliary[2], labels) * (kept.numpy() & mask)).sum() / kept.sum().item()
    assert terms["balanced_consistency"].item() == pytest.approx(balanced, rel=1e-4)

    kept = torch.rand(batch.labels.shape, generator=random) < rates[batch.labels]
    per_class = [(kept & (batch.labels == k)).sum().item() for k in range(3)]
    assert max(per_class) < 1.5 * min(per_class) < max(counts)
    supervised = nll(auxiliary[0], batch.labels)[kept.numpy()].mean()
    assert terms["supervised_balanced"].item() == pytest.approx(supervised, rel=1e-4)


def test_labels_are_counted_over_all_steps(build_method, make_batch):
    method, total = build_method("bacon"), torch.zeros(3, dtype=torch.int64)
    for seed in range(2):
        batch = make_batch(seed, side=8)
        method.losses(batch, 0.0)
        total += batch.labels.flatten().bincount(minlength=3)
    assert torch.equal(method.counts, total)


@pytest.fixture
def pools(monkeypatch) -> list[list[int]]:
    """The voxels that are drawn as negatives, step by step."""
    drawn, randint = [], torch.randint

    def record(*arguments, **keywords):
        found = randint(*arguments, **keywords)
        drawn.append(found.tolist())
        return found

    monkeypatch.setattr("dvcl.methods.balanced_contrast.torch.randint", record)
    return drawn


def test_the_contrast_equals_the_loop_over_two_steps(build_method, make_batch, pools):
    method = build_method("bacon", anchors=ALL, anchor_cutoff=0.4, bank_size=300, negatives=50)
    head = method.feature_contrast.projection
    banks = [deque(maxlen=300) for _ in range(3)]
    frequency = np.zeros(3)
    for seed in (0, 1):
        batch = make_batch(seed, side=8)
        _, auxiliary, features, _ = maps_of(method, batch)
        p = torch.cat(auxiliary[:2]).softmax(1).movedim(1, -1).reshape(-1, 3).numpy()
        raw = head(features[:4].movedim(1, -1)).detach().double().reshape(-1, 8).numpy()
        rows = raw / np.linalg.norm(raw, axis=1, keepdims=True)
        truth, known = batch.labels.flatten().numpy(), batch.labels.numel()

        anchors = []
        for voxel, row in enumerate(p):
            best = int(row.argmax())
            if voxel < known:
                anchors += [(voxel, best)] if best == truth[voxel] else []
            elif row[best] >= 0.4:
                anchors.append((voxel, best))
        for k in range(3):
            banks[k].extend(raw[voxel] for voxel, c in anchors if c == k)
        frequency = 0.99 * frequency + 0.01 * np.bincount([c for _, c in anchors], minlength=3)

        pools.clear()
        found = method.losses(batch, 0.6)["contrast"].item()
        (pool,) = pools
        losses = []
        for voxel, c in anchors:
            centre = np.mean(banks[c], axis=0)
            tau = 0.1 - 0.4**2 * 0.0005 * math.sqrt(frequency[c] / frequency.max())
            positive = math.exp(rows[voxel] @ centre / np.linalg.norm(centre) / tau)
            others = []
            for other in pool:
                # Of three classes two are possible for an unlabelled voxel.
                likely = {truth[other]} if other < known else set(p[other].argsort()[-2:].tolist())
                if c not in likely:
                    others.append(math.exp(rows[voxel] @ rows[other] / 0.1))
            if others:
                losses.append(-math.log(positive / (positive + 64 * np.mean(others))))
        assert len(losses) > 100
        assert found == pytest.approx(np.mean(losses), rel=2e-3)
        assert method.feature_contrast.frequency.tolist() == pytest.approx(frequency, rel=1e-4)


def test_contrast_begins_at_its_start_and_trains_the_projection(build_method, make_batch):
    method, batch = build_method("bacon", contrast_start=0.3), make_batch(side=8)
    assert "contrast" not in method.losses(batch, 0.29)
    assert all(not len(bank.content()) for bank in method.feature_contrast.banks)
    method.losses(batch, 0.3)["contrast"].backward()
    assert all(w.grad is not None for w in method.feature_contrast.projection.parameters())
    assert method.student.auxiliary.weight.grad is None
    assert method.student.network.segmentation_head.weight.grad is None
    assert next(method.student.network.encoder.parameters()).grad.abs().max() > 0
    assert all(weight.grad is None for weight in method.average.parameters())


def contrast(**settings) -> BalancedContrast:
    torch.manual_seed(0)
    return BalancedContrast(3, 4, **{
        "dimension": 5, "anchors": 4, "negatives": 20, "negative_weight": 64.0, "possible": 2,
        "cutoff": 0.9, "temperature": 0.1, "spread": 0.0005, "bank_size": 6,
    } | settings)  # fmt: skip


def inputs(strength: float = 9.0):
    """Logits that are right on labelled patches and sure (or not) on unlabelled ones."""
    random = torch.Generator().manual_seed(0)
    labels = torch.randint(3, (1, 2, 2, 4), generator=random)
    onehot = F.one_hot(labels, 3).movedim(-1, 1).float()
    features = torch.randn((3, 4, 2, 2, 4), generator=random)
    return [(9 * onehot).log_softmax(1), (strength * onehot).log_softmax(1), labels, features]


def test_unsure_unlabelled_voxels_are_no_anchors_and_wrong_labelled_ones_neither():
    labelled, weak, labels, features = inputs(strength=1.0)
    module = contrast(anchors=100, bank_size=100)
    counts = labels.flatten().bincount(minlength=3).tolist()
    module(labelled, weak, labels, features, 0.5, torch.Generator())
    assert [len(bank.content()) for bank in module.banks] == counts
    module = contrast(anchors=100, bank_size=100)
    module(labelled, inputs()[1], labels, features, 0.5, torch.Generator())
    assert [len(bank.content()) for bank in module.banks] == [2 * count for count in counts]
    module = contrast(anchors=100, bank_size=100)
    module(labelled.roll(1, 1), weak, labels, features, 0.5, torch.Generator())
    assert [len(bank.content()) for bank in module.banks] == [0, 0, 0]


def test_numbers_of_anchors_and_kept_features():
    module = contrast()
    for step in (1, 2):
        module(*inputs(), 0.5, torch.Generator())
        assert [len(bank.content()) for bank in module.banks] == [min(4 * step, 6)] * 3


def test_a_step_without_anchors_gives_0_and_a_gradient_of_0():
    labelled, weak, labels, features = inputs(strength=1.0)
    module = contrast()
    features.requires_grad_()
    loss = module(labelled.roll(1, 1), weak, labels, features, 0.5, torch.Generator())
    loss.backward()
    assert loss.item() == 0
    assert features.grad.abs().max() == 0


def test_an_absent_class_and_a_lonely_one_leave_finite_numbers():
    _, weak, labels, features = inputs()
    sure = torch.zeros_like(weak)
    sure[:, 0] = 9.0
    sure = sure.log_softmax(1)
    # Class 0 everywhere, though the labels know class 1: class 0 has negatives, the others have no
    # anchors. Then class 0 in the labels too: there are no negatives either.
    loss = contrast()(sure, sure, labels, features, 0.5, torch.Generator())
    assert loss.isfinite()
    assert loss > 0
    everywhere = torch.zeros_like(labels)
    assert contrast()(sure, sure, everywhere, features, 0.5, torch.Generator()).item() == 0


def test_the_main_classifier_predicts_where_asked(build_method, make_batch):
    method, batch = build_method("bacon", predict_with="main"), make_batch(side=8)
    with torch.no_grad():
        expected = method.average.network.network(batch.images).logits.softmax(1)
        torch.testing.assert_close(method.predict(batch.images), expected)


def test_prediction_comes_from_the_averaged_auxiliary_classifier(build_method, make_batch):
    method, batch = build_method("bacon"), make_batch(side=8)
    with torch.no_grad():
        for weight in method.student.parameters():
            weight.add_(0.1)
        network = method.average.network
        features = network.network(batch.images).features
        expected = network.auxiliary(features).softmax(1)
        torch.testing.assert_close(method.predict(batch.images), expected)
        method.after_step()
        moved = method.student.auxiliary(method.student.network(batch.images).features).softmax(1)
        # In the first step the average copies the student.
        torch.testing.assert_close(method.predict(batch.images), moved)
        assert not torch.allclose(expected, moved)


@pytest.mark.parametrize(
    "setting",
    [{"cutoff": 1.1}, {"anchor_cutoff": -0.1}, {"temperature": 0.0}, {"possible": 0},
     {"jitter": 2.0}, {"negatives": 0}, {"negative_weight": 0.0}, {"predict_with": "both"}],
)  # fmt: skip
def test_settings_without_sense_are_refused(setting, build_method):
    with pytest.raises(InputError, match=next(iter(setting))):
        build_method("bacon", **setting)
