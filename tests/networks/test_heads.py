"""Heads on gathered voxels equal heads on the whole map."""

import pytest
import torch

from dvcl.networks.heads import FeatureHead, VoxelTap, gather_voxels


def maps_of(layout=torch.contiguous_format) -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    return torch.randn((2, 3, 4, 2, 5), generator=random).to(memory_format=layout)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
def test_the_head_on_gathered_voxels_equals_the_head_everywhere(layout):
    # The last voxel, the first of the second patch, and one twice.
    voxels = torch.tensor([79, 0, 40, 17, 17])
    head = FeatureHead(3, 6)
    dense, sampled = (maps_of(layout).requires_grad_() for _ in range(2))
    everywhere = head(dense.movedim(1, -1)).flatten(0, 3)
    weights = torch.randn((5, 6), generator=torch.Generator().manual_seed(1))
    (weights * everywhere[voxels]).sum().backward()
    expected = [weight.grad.clone() for weight in head.parameters()]
    head.zero_grad()
    found = head(gather_voxels(sampled, voxels))
    torch.testing.assert_close(found, everywhere[voxels])
    (weights * found).sum().backward()
    torch.testing.assert_close(sampled.grad, dense.grad)
    torch.testing.assert_close([weight.grad for weight in head.parameters()], expected)


def test_rows_are_float32_whatever_the_map_is():
    maps = maps_of().bfloat16()
    rows = gather_voxels(maps, torch.tensor([3]))
    assert rows.dtype == torch.float32
    torch.testing.assert_close(rows[0], maps[0, :, 0, 0, 3].float())


def test_no_voxels_give_no_rows():
    assert gather_voxels(maps_of(), torch.empty(0, dtype=torch.int64)).shape == (0, 3)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_a_tap_gives_the_rows_and_the_gradient_of_the_map_itself(layout, kind):
    maps = [maps_of(layout).to(kind).requires_grad_() for _ in range(2)]
    dense, tapped = (values * 1 for values in maps)
    tap = VoxelTap(tapped)
    sets = torch.tensor([79, 0, 40, 17, 17]), torch.tensor([3, 17]), torch.empty(0).long()
    totals = []
    for values, rows_at in ((dense, lambda v: gather_voxels(dense, v)), (tapped, tap.rows)):
        rows = [rows_at(voxels) for voxels in sets]
        # The map is used directly as well, as the network's own head does.
        totals.append(sum(r.square().sum() for r in rows) + values.float().pow(3).sum())
    torch.testing.assert_close(totals[1], totals[0])
    for total in totals:
        # Norms of single terms are measured on the same graph before the step.
        total.backward(retain_graph=True)
        total.backward()
    # Gradients of a map in bfloat16 are summed in bfloat16, here in another order.
    tolerance = {torch.float32: 1e-5, torch.bfloat16: 0.03}[kind]
    torch.testing.assert_close(maps[1].grad, maps[0].grad, rtol=tolerance, atol=tolerance)
    assert maps[1].grad.stride() == maps[0].grad.stride()


def test_a_tap_makes_its_dense_gradient_after_the_backward_pass_of_later_layers():
    order = []
    first = maps_of().requires_grad_() * 1
    tap = VoxelTap(first)
    first.register_hook(lambda _: order.append("tapped"))
    second = maps_of().requires_grad_() * 1
    second.register_hook(lambda _: order.append("later"))
    (second.sum() + tap.rows(torch.tensor([5])).sum()).backward()
    assert order == ["later", "tapped"]


def test_a_tap_nobody_uses_leaves_no_gradient():
    maps = maps_of().requires_grad_()
    tap = VoxelTap(maps)
    maps.sum().backward()
    assert torch.equal(maps.grad, torch.ones_like(maps))
    with torch.no_grad():
        assert tap.rows(torch.tensor([3])).shape == (1, 3)
