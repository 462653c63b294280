"""The test of a device finds layers that are wrong, and none where all are right."""

import math

import pytest
import torch
from torch import nn

from dvcl.networks import self_test
from dvcl.networks.convolution import Convolution
from dvcl.networks.self_test import BOUNDS, LAYERS, convolve_and_compare

CPU = torch.device("cpu")


class Faulty(Convolution):
    """As a broken kernel: in float32 all is right, in bfloat16 every value is multiplied."""

    factor = 1.5

    def forward(self, input):  # noqa: A002
        result = super().forward(input)
        return result * self.factor if result.dtype == torch.bfloat16 else result


class Poisoned(Faulty):
    factor = math.nan


@pytest.mark.parametrize("kind", BOUNDS, ids=str)
def test_this_processor_convolves_rightly(kind):
    test = convolve_and_compare(CPU, kind, seconds=0)
    assert test.wrong == []
    assert test.errors.keys() == LAYERS.keys()
    assert test.gflops > 0


@pytest.mark.parametrize("layer", [Faulty, Poisoned])
def test_a_wrong_layer_is_found(layer, monkeypatch):
    layers = {**LAYERS, "faulty": (lambda: layer(16, 16, 3, padding=1), (8, 8, 8))}
    monkeypatch.setattr(self_test, "LAYERS", layers)
    assert convolve_and_compare(CPU, torch.bfloat16, seconds=0).wrong == ["faulty"]
    assert convolve_and_compare(CPU, torch.float32, seconds=0).wrong == []


def test_maps_of_two_slices_keep_the_type_of_the_weights():
    layer: nn.Module = Convolution(4, 4, 3, padding=1).double()
    assert layer(torch.ones(1, 4, 2, 4, 4, dtype=torch.float64)).dtype == torch.float64
