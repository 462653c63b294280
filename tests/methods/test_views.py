"""The strong view changes every patch's intensities, never their places."""

import pytest
import torch

from dvcl.methods.views import strong


def images(count: int = 6) -> torch.Tensor:
    return torch.rand((count, 1, 4, 5, 6), generator=torch.Generator().manual_seed(0))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def test_without_noise_it_is_linear_about_the_mean_within_its_limits():
    before = images()
    after = strong(before, generator(), jitter=0.4, deviation=0.0)
    contrasts, shifts = [], []
    for old, new in zip(before.flatten(1), after.flatten(1), strict=True):
        centred = old - old.mean()
        contrast = (centred @ new) / (centred @ centred)
        shift = new.mean() - old.mean()
        torch.testing.assert_close(new, old.mean() + contrast * centred + shift)
        contrasts.append(contrast.item())
        shifts.append(shift.item())
    assert all(0.6 <= contrast <= 1.4 for contrast in contrasts)
    assert all(-0.2 <= shift <= 0.2 for shift in shifts)
    assert len({round(contrast, 4) for contrast in contrasts}) == 6
    assert len({round(shift, 4) for shift in shifts}) == 6


def test_noise_comes_on_top_and_is_clamped():
    plain = strong(images(), generator(), deviation=0.0)
    noise = strong(images(), generator(), deviation=0.3, limit=0.2) - plain
    assert noise.abs().max() == pytest.approx(0.2, abs=1e-6)
    assert noise.std() > 0.1


def test_the_same_generator_gives_the_same_view_and_the_images_stay():
    before = images()
    assert torch.equal(strong(before, generator()), strong(before, generator()))
    assert torch.equal(before, images())


def test_nothing_is_changed_without_jitter_and_noise():
    torch.testing.assert_close(strong(images(), generator(), 0.0, 0.0), images())
    assert strong(images(0), generator()).shape == (0, 1, 4, 5, 6)
