"""The sliding window equals MONAI's, covers everything, and fits small volumes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dvcl.errors import InputError
from dvcl.inference.sliding_window import (
    SPREAD,
    Importance,
    Size,
    Window,
    predict_volume,
    window_starts,
    windows_at_once,
)

CPU = torch.device("cpu")


def network(images: Tensor) -> Tensor:
    """Something that depends on the place in the window, as a padded convolution does."""
    ramp = torch.linspace(0, 1, images.shape[-1])
    scores = torch.cat([images, images * ramp, 1 - images], dim=1)
    return scores.softmax(1)


@pytest.mark.parametrize(("importance", "mode"), [("equal", "constant"), ("gaussian", "gaussian")])
@pytest.mark.parametrize("shape", [(20, 30, 27), (8, 16, 12), (5, 40, 9)])
def test_result_is_that_of_monai(shape: Size, importance: Importance, mode: str) -> None:
    inferers = pytest.importorskip("monai.inferers")
    image = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    window = Window((8, 16, 12), (4, 8, 6), importance=importance)
    ours = predict_volume(network, image, window, CPU)
    theirs = inferers.sliding_window_inference(
        image[None, None], window.size, 1, network,
        overlap=0.5, mode=mode, sigma_scale=SPREAD,
    )[0]  # fmt: skip
    assert ours.shape == (3, *shape)
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_windows_go_through_the_network_together(monkeypatch: pytest.MonkeyPatch) -> None:
    image = torch.rand((20, 30, 27), generator=torch.Generator().manual_seed(0))
    window = Window((8, 16, 12), (4, 8, 6))
    together, alone = [], []
    result = predict_volume(lambda x: together.append(len(x)) or network(x), image, window, CPU)
    monkeypatch.setattr("dvcl.inference.sliding_window.VOXELS_AT_ONCE_ON_CPU", 1)
    seen = []
    expected = predict_volume(
        lambda x: alone.append(len(x)) or network(x),
        image, window, CPU, lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert sum(together) == sum(alone) == len(alone) > len(together)
    assert seen == [(done, len(alone)) for done in range(1, len(alone) + 1)]
    assert torch.equal(result, expected)


def test_a_cpu_takes_fewer_windows_together_than_a_gpu() -> None:
    for size, on_cpu, on_gpu in (
        ((16, 32, 32), 16, 91), ((32, 64, 64), 2, 11), ((32, 96, 96), 1, 5), ((64, 160, 160), 1, 1),
    ):  # fmt: skip
        assert windows_at_once(size, CPU) == on_cpu
        assert windows_at_once(size, torch.device("cuda")) == on_gpu


def test_last_window_ends_at_the_border() -> None:
    assert window_starts(20, 8, 5) == [0, 5, 10, 12]
    assert window_starts(8, 8, 5) == [0]
    assert window_starts(16, 8, 8) == [0, 8]


@pytest.mark.parametrize("importance", ["equal", "gaussian"])
def test_every_voxel_is_a_probability_distribution(importance: Importance) -> None:
    image = torch.rand(17, 9, 23, generator=torch.Generator().manual_seed(1))
    window = Window((8, 8, 8), (8, 8, 8), skip_air=True, importance=importance)
    image[:9] = 0
    total = predict_volume(network, image, window, CPU).sum(0)
    assert torch.allclose(total, torch.ones_like(total), atol=1e-6)


def test_the_middle_of_a_window_counts_most_and_its_border_still_counts() -> None:
    importance = Window((8, 16, 12), (4, 8, 6), importance="gaussian").importance_map(CPU)
    assert importance.shape == (8, 16, 12)
    assert (importance.flip(0, 1, 2) == importance).all()
    assert 0 < importance.min() < 0.01 < 0.9 < importance.max() <= 1
    assert (importance[:4].diff(dim=0) > 0).all()
    assert (Window((8, 16, 12), (4, 8, 6)).importance_map(CPU) == 1).all()


def test_windows_of_earlier_versions_are_those_of_equal_importance() -> None:
    """Hashes of their predictions stay valid."""
    assert "importance" not in Window().to_json()
    assert Window(importance="gaussian").to_json()["importance"] == "gaussian"
    assert Window(importance="gaussian").fast().importance == "gaussian"


def test_an_unknown_importance_is_refused() -> None:
    with pytest.raises(InputError, match=r"window.importance: 'cosine' found"):
        Window(importance="cosine")  # type: ignore[arg-type]


def test_windows_of_air_are_skipped_and_become_background() -> None:
    image = torch.zeros(32, 8, 8)
    image[:8] = 1.0
    calls = []

    def counting(images: Tensor) -> Tensor:
        calls.append(images)
        return network(images)

    window = Window((8, 8, 8), (8, 8, 8), skip_air=True)
    result = predict_volume(counting, image, window, CPU)
    assert len(calls) == 1
    assert torch.equal(result[0, 8:], torch.ones(24, 8, 8))
    assert torch.allclose(result[:, :8], predict_volume(network, image[:8], window, CPU))


def test_a_scan_of_nothing_but_air_is_background() -> None:
    window = Window((8, 8, 8), (8, 8, 8), skip_air=True)
    result = predict_volume(network, torch.zeros(16, 8, 8), window, CPU)
    assert (result.argmax(0)[:8] == 0).all()


def test_fast_windows_fit_the_volume() -> None:
    fast = Window((32, 96, 96), (16, 48, 48)).fast()
    assert fast.size == (32, 96, 96)
    assert fast.stride == (28, 84, 84)
    fitted = fast.fitted((20, 100, 50))
    assert fitted.size == (32, 96, 64)
    assert all(stride <= side for stride, side in zip(fitted.stride, fitted.size, strict=True))


def test_a_stride_larger_than_the_window_is_refused() -> None:
    with pytest.raises(InputError, match="stride"):
        Window((8, 8, 8), (9, 8, 8))
