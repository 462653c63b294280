"""Mean teacher: who sees what, who follows whom, and the loss against a loop."""

import math

import pytest
import torch

from dvcl.errors import InputError
from dvcl.methods import METHODS
from dvcl.methods.views import noisy
from dvcl.training.engine import step
from dvcl.training.optimisation import Training, build_optimisers


def apart(method):
    """Give the teacher weights of its own."""
    random = torch.Generator().manual_seed(3)
    for weight in method.teacher.parameters():
        weight.add_(0.3 * torch.randn(weight.shape, generator=random))
    return method


@pytest.mark.parametrize("progress", [0.0, 0.4, 1.0])
def test_the_consistency_equals_the_loop(progress, build_method, make_batch):
    method, batch = apart(build_method("mean_teacher")), make_batch(side=4)
    random = torch.Generator().manual_seed(0)
    noise = 0.1 * torch.randn(batch.unlabelled.shape, generator=random)
    with torch.no_grad():
        p = method.network(batch.unlabelled).logits.double().softmax(1)
        view = batch.unlabelled + noise.clamp(-0.2, 0.2)
        q = method.teacher.network(view).logits.double().softmax(1)
    squares = [
        (a - b) ** 2 for a, b in zip(p.flatten().tolist(), q.flatten().tolist(), strict=True)
    ]
    ramp = math.exp(-5 * (1 - progress) ** 2)
    found = method.losses(batch, progress)["consistency"].item()
    assert found == pytest.approx(0.1 * ramp * sum(squares) / len(squares), rel=1e-4)


def test_the_student_sees_clean_images_and_the_teacher_noisy_unlabelled_ones(
    build_method, make_batch
):
    method, batch = build_method("mean_teacher"), make_batch(side=8)
    seen = {}
    for name, network in (("student", method.network), ("teacher", method.teacher.network)):
        network.register_forward_pre_hook(
            lambda _, inputs, name=name: seen.setdefault(name, inputs[0])
        )
    method.losses(batch, 0.5)
    assert torch.equal(seen["student"], batch.images)
    difference = (seen["teacher"] - batch.unlabelled).abs()
    assert difference.max() == pytest.approx(0.2, abs=1e-5)
    assert difference.mean() > 0.05


def test_noise_is_clamped_and_drawn_anew():
    random = torch.Generator().manual_seed(0)
    images = torch.zeros(1, 1, 20, 20, 20)
    first, second = (noisy(images, random, 0.1, 0.2) for _ in range(2))
    assert not torch.equal(first, second)
    assert first.abs().max() == pytest.approx(0.2)
    # Four in a hundred lie beyond two standard deviations.
    assert (first.abs() == first.abs().max()).float().mean() == pytest.approx(0.0455, abs=0.01)
    assert noisy(images, random, 0.0).abs().max() == 0


def test_the_consistency_reaches_the_student_alone(build_method, make_batch):
    method, batch = apart(build_method("mean_teacher")), make_batch(side=8)
    method.losses(batch, 1.0)["consistency"].backward()
    assert all(weight.grad is None for weight in method.teacher.parameters())
    assert all(weight.grad is not None for weight in method.network.parameters())


def test_the_teacher_is_the_moving_average_of_the_student(build_method, make_batch):
    method = build_method("mean_teacher", decay=0.6)
    optimisers = build_optimisers(method, Training(precision="float32"))
    average = None
    for t in range(5):
        step(method, optimisers, make_batch(t, side=8), 0.5, 0.1)
        decay = min(1 - 1 / (t + 1), 0.6)  # 0, 0.5, 0.6, 0.6, 0.6
        student = [weight.detach().double() for weight in method.network.parameters()]
        if average is None:
            average = [weight.clone() for weight in student]
            for mine, theirs in zip(method.teacher.parameters(), student, strict=True):
                assert torch.equal(mine.double(), theirs)
        average = [decay * a + (1 - decay) * w for a, w in zip(average, student, strict=True)]
        for mine, expected in zip(method.teacher.parameters(), average, strict=True):
            torch.testing.assert_close(mine.double(), expected, rtol=1e-5, atol=1e-6)


def test_the_student_predicts(build_method, make_batch):
    method, images = apart(build_method("mean_teacher")).eval(), make_batch(side=8).images
    expected = method.network(images).logits.softmax(1)
    torch.testing.assert_close(method.predict(images), expected)


@pytest.mark.parametrize("setting", ["consistency", "decay", "noise", "noise_limit"])
def test_settings_without_sense_are_refused_at_the_start(setting):
    with pytest.raises(InputError, match=rf"method.{setting}: -1 found, at least 0"):
        METHODS["mean_teacher"](lambda scheme: pytest.fail("built"), 3, **{setting: -1})
