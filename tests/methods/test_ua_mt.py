"""UA-MT: the uncertainty, its threshold and the masked loss against a loop."""

import math

import numpy as np
import pytest
import torch

from dvcl.errors import InputError
from dvcl.methods import METHODS


def apart(method):
    """Give the teacher weights of its own, and opinions that differ from voxel to voxel."""
    random = torch.Generator().manual_seed(3)
    for weight in method.teacher.parameters():
        weight.add_(0.3 * torch.randn(weight.shape, generator=random))
    method.teacher.network.segmentation_head.weight.mul_(3)
    return method


def teach_again(method, images, passes: int) -> tuple[np.ndarray, np.ndarray]:
    """Targets, and the mean of the passes, with the draws of a fresh generator of seed 0."""
    random = torch.Generator().manual_seed(0)

    def once() -> np.ndarray:
        noise = (0.1 * torch.randn(images.shape, generator=random)).clamp(-0.2, 0.2)
        with torch.no_grad():
            logits = method.teacher.network(images + noise).logits
        return logits.double().softmax(1).numpy()

    return once(), sum(once() for _ in range(passes)) / passes


def by_loop(p, q, mean, threshold) -> tuple[float, int]:
    total, chosen = 0.0, 0
    patches, classes, *space = p.shape
    for b, *place in np.ndindex(patches, *space):
        values = [mean[(b, c, *place)] for c in range(classes)]
        if -sum(value * math.log(value + 1e-6) for value in values) < threshold:
            chosen += 1
            total += sum((p[(b, c, *place)] - q[(b, c, *place)]) ** 2 for c in range(classes))
    return total / (classes * chosen + 1e-16), chosen


@pytest.mark.parametrize("progress", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("settings", [{}, {"passes": 3, "threshold": 0.4}])
def test_the_consistency_equals_the_loop(progress, settings, build_method, make_batch):
    method, batch = apart(build_method("ua_mt", **settings)), make_batch(side=8)
    q, mean = teach_again(method, batch.unlabelled, settings.get("passes", 8))
    with torch.no_grad():
        p = method.network(batch.unlabelled).logits.double().softmax(1).numpy()
    ramp, start = math.exp(-5 * (1 - progress) ** 2), settings.get("threshold", 0.75)
    loss, chosen = by_loop(p, q, mean, (start + (1 - start) * ramp) * math.log(3))
    assert 0 < chosen < p[:, 0].size or progress == 1
    found = method.losses(batch, progress)["consistency"].item()
    assert found == pytest.approx(0.1 * ramp * loss, rel=1e-4)


def test_the_threshold_rises_to_the_largest_entropy_of_all_classes(build_method, make_batch):
    """With ln 2 in place of ln K, voxels of three nearly equal classes would never take part."""
    method, batch = build_method("ua_mt"), make_batch(side=8)
    with torch.no_grad():
        method.teacher.network.segmentation_head.weight.mul_(1e-3)
        entropy = method._uncertainty(batch.unlabelled)
    assert entropy.min() > math.log(2)
    assert entropy.max() <= math.log(3) + 1e-6
    assert method.losses(batch, 0.0)["consistency"].item() == 0
    assert method.losses(batch, 1.0)["consistency"].item() > 0


def test_without_a_certain_voxel_the_term_is_0_and_so_is_its_gradient(build_method, make_batch):
    method, batch = build_method("ua_mt", threshold=0.0), make_batch(side=8)
    loss = method.losses(batch, 0.0)["consistency"]
    assert loss.item() == 0
    loss.backward()
    assert all(weight.grad.abs().max() == 0 for weight in method.network.parameters())


def test_passes_differ_by_dropout_and_by_noise(build_method, make_batch):
    images = make_batch(side=8).unlabelled
    for settings in ({"dropout": 0.5, "noise": 0.0}, {"dropout": 0.0}):
        method = build_method("ua_mt", **settings).train()
        assert not torch.equal(method._teach(images), method._teach(images))
    same = build_method("ua_mt", noise=0.0)
    assert torch.equal(same._teach(images), same._teach(images))


def test_the_number_of_passes(build_method, make_batch):
    method, batch, calls = build_method("ua_mt", passes=5), make_batch(side=8), []
    for name, network in (("student", method.network), ("teacher", method.teacher.network)):
        network.register_forward_hook(lambda *_, name=name: calls.append(name))
    method.losses(batch, 0.5)
    assert (calls.count("teacher"), calls.count("student")) == (6, 1)


def test_the_consistency_reaches_the_student_alone(build_method, make_batch):
    method, batch = apart(build_method("ua_mt")), make_batch(side=8)
    method.losses(batch, 1.0)["consistency"].backward()
    assert all(weight.grad is None for weight in method.teacher.parameters())
    assert all(weight.grad is not None for weight in method.network.parameters())


def test_the_student_predicts(build_method, make_batch):
    method, images = apart(build_method("ua_mt")).eval(), make_batch(side=8).images
    expected = method.network(images).logits.softmax(1)
    torch.testing.assert_close(method.predict(images), expected)


@pytest.mark.parametrize(
    "setting", [{"passes": 0}, {"threshold": -0.1}, {"noise": float("nan")}, {"consistency": -1}]
)
def test_settings_without_sense_are_refused_at_the_start(setting):
    with pytest.raises(InputError, match=next(iter(setting))):
        METHODS["ua_mt"](lambda scheme: pytest.fail("built"), 3, **setting)
