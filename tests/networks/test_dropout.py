"""Dropout of a shared batch is that of the whole batch."""

import pytest
import torch
from torch import nn

from dvcl.networks.dropout import Dropout
from dvcl.networks.sharing import divided, shared_batches

LAYOUTS = (torch.contiguous_format, torch.channels_last_3d)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_parts_are_those_of_the_whole_batch_and_generators_stay_equal(layout, dtype):
    maps = torch.rand(5, 3, 4, 4, 4, dtype=dtype).contiguous(memory_format=layout)
    torch.manual_seed(0)
    expected = nn.Dropout(0.3)(maps)
    after = torch.get_rng_state()
    parts = []
    for rank in range(2):
        torch.manual_seed(0)
        with shared_batches(rank, 2), divided(maps) as mine:
            parts.append(Dropout(0.3)(mine))
        assert torch.equal(torch.get_rng_state(), after)
    assert torch.equal(torch.cat(parts), expected)
    assert expected.eq(0).any()


def test_one_process_alone_drops_as_torch_does():
    maps = torch.rand(2, 3, 4, 4, 4)
    torch.manual_seed(0)
    expected = nn.Dropout(0.5)(maps)
    torch.manual_seed(0)
    assert torch.equal(Dropout(0.5)(maps), expected)


@pytest.mark.parametrize("dropout", [Dropout(0.0), Dropout(0.5).eval()])
def test_nothing_is_drawn_where_nothing_is_dropped(dropout):
    maps, before = torch.rand(4, 1, 2, 2, 2), torch.get_rng_state()
    with shared_batches(0, 2), divided(maps) as mine:
        assert torch.equal(dropout(mine), mine)
    assert torch.equal(torch.get_rng_state(), before)
