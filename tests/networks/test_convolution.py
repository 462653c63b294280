"""The bfloat16 convolution has the true weight gradient, also for maps of two slices."""

import pytest
import torch

from dvcl.networks.convolution import Convolution


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_weight_gradient_in_bfloat16_is_that_of_float32(depth: int) -> None:
    random = torch.Generator().manual_seed(depth)
    layer = Convolution(32, 64, 3, padding=1)
    maps = torch.randn(2, 32, depth, 4, 4, generator=random)
    direction = torch.randn(2, 64, depth, 4, 4, generator=random)

    def gradient(low_precision: bool) -> torch.Tensor:
        layer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=low_precision):
            result = layer(maps)
        (result.float() * direction).sum().backward()
        assert layer.weight.grad is not None
        return layer.weight.grad.clone()

    exact, rounded = gradient(False), gradient(True)
    assert (rounded - exact).norm() < 0.02 * exact.norm()
