"""Instance normalisation against torch's own."""

import pytest
import torch
from torch.nn import functional as F

from dvcl.networks.normalisation import InstanceNorm


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
@pytest.mark.parametrize("shape", [(1, 1, 2, 2, 2), (3, 5, 4, 2, 6)])
def test_values_and_gradients_equal_those_of_torch(shape, layout):
    random = torch.Generator().manual_seed(0)
    maps = 3 + 2 * torch.randn(shape, generator=random, dtype=torch.float64)
    weights = torch.randn(shape, generator=random, dtype=torch.float64)
    results = []
    for normalise in (InstanceNorm(), F.instance_norm):
        inputs = maps.clone().to(memory_format=layout).requires_grad_()
        outputs = normalise(inputs)
        (weights * outputs).sum().backward()
        results.append((outputs.detach(), inputs.grad))
    torch.testing.assert_close(results[0], results[1])


def test_every_channel_of_every_sample_has_mean_0_and_variance_1():
    maps = torch.randn((2, 3, 4, 4, 4), generator=torch.Generator().manual_seed(0))
    found = InstanceNorm()(7 * maps - 2)
    torch.testing.assert_close(found.mean((2, 3, 4)), torch.zeros(2, 3), rtol=0, atol=1e-5)
    variances = found.var((2, 3, 4), correction=0)
    torch.testing.assert_close(variances, torch.ones(2, 3), rtol=0, atol=1e-4)


def test_a_constant_channel_becomes_zero():
    assert InstanceNorm()(torch.full((1, 2, 2, 2, 2), 5.0)).abs().max() < 1e-3


def test_bfloat16_stays_bfloat16():
    maps = torch.randn((2, 3, 4, 4, 4), generator=torch.Generator().manual_seed(0))
    found = InstanceNorm()(maps.bfloat16())
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), F.instance_norm(maps), rtol=0.02, atol=0.02)


def test_it_has_neither_weights_nor_memory():
    layer = InstanceNorm()
    assert not layer.state_dict()
    maps = torch.randn((1, 2, 4, 4, 4), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(layer.train()(maps), layer.eval()(maps))
