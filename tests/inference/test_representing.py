"""A volume in windows: every voxel's belief and features are those of one window."""

import pytest
import torch
from torch import Tensor

from dvcl.inference.representing import represent_volume
from dvcl.inference.sliding_window import Window
from dvcl.methods.method import Representation
from dvcl.networks.heads import gather_voxels

CPU = torch.device("cpu")


def see(images: Tensor) -> Representation:
    """A network whose voxels know their intensity and their place in the window, nothing else."""
    ramp = torch.arange(images[0, 0].numel()).reshape(images.shape[2:]).expand_as(images)
    maps = torch.cat([images, ramp], dim=1)
    return Representation(
        torch.cat([images, -images], dim=1).log_softmax(1),
        lambda voxels: gather_voxels(maps, voxels),
    )


@pytest.mark.parametrize("together", [1, 10**6])
@pytest.mark.parametrize("shape", [(9, 8, 13), (3, 8, 5)])
def test_beliefs_and_features_belong_to_their_voxels(
    shape: tuple[int, int, int], together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dvcl.inference.sliding_window.VOXELS_AT_ONCE_ON_CPU", together)
    image = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    voxels = torch.cartesian_prod(*map(torch.arange, shape))
    window = Window((4, 4, 6), (2, 2, 3))
    log_probabilities, features = represent_volume(see, image, window, voxels, CPU)
    expected = torch.stack([image, -image]).log_softmax(0)
    torch.testing.assert_close(log_probabilities, expected)
    torch.testing.assert_close(features[:, 0], image.flatten())
    # Each voxel's place in the last window that holds it.
    padded = [max(side, wanted) for side, wanted in zip(shape, window.size, strict=True)]
    for voxel, place in zip(voxels.tolist(), features[:, 1].tolist(), strict=True):
        index = 0
        for d, side, full, size in zip(voxel, shape, padded, window.size, strict=True):
            at = d + (full - side) // 2
            starts = [first for first in (*range(0, full - size, size), full - size) if first <= at]
            index = index * size + at - starts[-1]
        assert place == index


def test_no_voxel_asked_for_is_no_error() -> None:
    window = Window((4, 4, 6), (4, 4, 6))
    _, features = represent_volume(
        see, torch.rand(8, 8, 8), window, torch.empty((0, 3), dtype=torch.int64), CPU
    )
    assert features.shape == (0, 2)
