"""The head of signed distance maps."""

import torch

from dvcl.networks.distance_head import DistanceHead


def test_maps_are_a_linear_map_of_each_voxel_squashed():
    torch.manual_seed(0)
    head, features = DistanceHead(4, 2), torch.randn(2, 4, 3, 2, 5)
    rows = features.movedim(1, -1) @ head.weight.reshape(2, 4).T + head.bias
    torch.testing.assert_close(head(features), rows.tanh().movedim(-1, 1))


def test_squashing_is_float32_in_bfloat16_too():
    torch.manual_seed(0)
    head, features = DistanceHead(4, 2), 5 * torch.randn(1, 4, 8, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        maps = head(features)
    assert maps.dtype == torch.float32
    # More values than bfloat16 has close to 1.
    high = maps[maps > 0.9]
    assert len(high.unique()) > len(high.bfloat16().unique())
