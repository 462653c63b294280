"""The moving average of the weights."""

import torch
from torch import nn

from dvcl.training.averaging import WeightAverage


def test_it_equals_the_recursion_and_forgets_the_first_steps():
    layer = nn.Linear(2, 1, bias=False).double()
    average, expected = WeightAverage(layer, 0.9), None
    for done in range(1, 30):
        with torch.no_grad():
            layer.weight.copy_(torch.tensor([[float(done), done**2.0]]))
        average.follow(done)
        decay = min(1 - 1 / done, 0.9)
        value = layer.weight.detach().clone()
        expected = value if expected is None else decay * expected + (1 - decay) * value
        torch.testing.assert_close(average.means[0], expected)


def test_it_stands_in_the_place_of_the_weights_within_the_block_alone():
    layer = nn.Linear(2, 1)
    average = WeightAverage(layer, 0.5)
    before = [weight.detach().clone() for weight in layer.parameters()]
    with torch.no_grad():
        for weight in layer.parameters():
            weight.add_(1)
    with average.in_place():
        assert all(map(torch.equal, layer.parameters(), before))
    assert not any(map(torch.equal, layer.parameters(), before))
    assert all(map(torch.equal, average.means, before))


def test_without_a_decay_nothing_is_kept():
    layer = nn.Linear(2, 1)
    average = WeightAverage(layer, 0.0)
    average.follow(1)
    with average.in_place():
        assert average.means == []
