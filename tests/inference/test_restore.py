import itertools

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from dvcl.inference.restore import restore_classes
from dvcl.preprocessing.geometry import Grid, make_grid
from dvcl.preprocessing.interpolation import resampling_matrix
from dvcl.volume import Geometry

ORIENTATIONS = [
    "".join(codes)
    for pairs in itertools.permutations(("LR", "PA", "IS"))
    for codes in itertools.product(*pairs)
]


def oblique_affine(spacing_xyz: tuple[float, float, float]) -> np.ndarray:
    a = np.deg2rad(20)
    affine = np.diag([*spacing_xyz, 1.0])
    affine[:2, :2] = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) * spacing_xyz[:2]
    affine[:3, 3] = [-31.5, 12.25, 7]
    return affine


def random_probabilities(grid: Grid, classes: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(classes, *grid.prepared.shape, generator=generator).softmax(0)


def dense_scores(probabilities: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Interpolate every class to the oriented file grid at once, by matrices."""
    scores = probabilities.double()
    axes = zip(grid.prepared.shape, grid.oriented_shape, grid.starts, grid.steps, strict=True)
    for axis, (source, target, start, step) in enumerate(axes, start=1):
        matrix = resampling_matrix(source, target, -start / step, 1 / step, 1).double()
        scores = torch.tensordot(matrix, scores, dims=([1], [axis])).movedim(0, axis)
    return scores


def assert_equal_up_to_ties(classes: np.ndarray, scores: torch.Tensor, grid: Grid) -> None:
    oriented = torch.from_numpy(np.ascontiguousarray(grid.moves.apply(classes))).long()
    chosen = scores.gather(0, oriented[None])[0]
    assert (scores.amax(0) - chosen).max() < 1e-6
    assert (oriented != scores.argmax(0)).float().mean() < 1e-4


@pytest.mark.parametrize("spacing", [(2.5, 1.7, 1.9), (0.7, 0.6, 2.3), (3.0, 1.0, 1.3)])
def test_restoring_is_dense_interpolation_and_argmax(spacing: tuple[float, float, float]) -> None:
    grid = make_grid(Geometry((11, 18, 15), oblique_affine((1.0, 1.3, 3.0))), "LPI", spacing)
    probabilities = random_probabilities(grid)
    restored = restore_classes(probabilities, grid)
    assert restored.shape == grid.source.shape
    assert_equal_up_to_ties(restored, dense_scores(probabilities, grid), grid)


def test_organs_with_insides_are_dense_interpolation_and_argmax() -> None:
    grid = make_grid(
        Geometry((23, 40, 36), oblique_affine((1.0, 1.3, 3.0))), "LPI", (4.0, 2.0, 2.0)
    )
    random = torch.Generator().manual_seed(0)
    # Blobs of many voxels: the shortcut within them must not show.
    logits = 4 * torch.randn((5, 4, 5, 4), generator=random)
    probabilities = F.interpolate(logits[None], grid.prepared.shape, mode="trilinear")[0].softmax(0)
    restored = restore_classes(probabilities, grid)
    assert len(np.unique(restored)) == 5
    assert_equal_up_to_ties(restored, dense_scores(probabilities, grid), grid)


@pytest.mark.parametrize("codes", ORIENTATIONS[::5])
def test_dense_interpolation_in_any_orientation(codes: str) -> None:
    grid = make_grid(Geometry((7, 12, 9), oblique_affine((1.0, 1.3, 3.0))), codes, (2.1, 1.7, 1.9))
    probabilities = random_probabilities(grid)
    restored = restore_classes(probabilities, grid)
    assert_equal_up_to_ties(restored, dense_scores(probabilities, grid), grid)


def test_equals_torch_trilinear_where_the_positions_agree() -> None:
    grid = make_grid(Geometry((12, 20, 16), np.diag([1.0, 1.0, 1.5, 1.0])), "RAS", (3.0, 2.0, 2.0))
    probabilities = random_probabilities(grid)
    dense = F.interpolate(probabilities[None], size=grid.source.shape, mode="trilinear")[0]
    assert_equal_up_to_ties(restore_classes(probabilities, grid), dense.double(), grid)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_any_floating_dtype_is_taken(dtype: torch.dtype) -> None:
    grid = make_grid(Geometry((7, 12, 9), np.eye(4)), "LPI", (1.5, 1.5, 1.5))
    probabilities = random_probabilities(grid).to(dtype)
    expected = restore_classes(probabilities.float(), grid)
    assert np.array_equal(restore_classes(probabilities, grid), expected)


def test_equal_probabilities_go_to_the_lower_class() -> None:
    grid = make_grid(Geometry((4, 5, 6), np.eye(4)), "LPI", (1.0, 2.0, 1.0))
    assert restore_classes(torch.full((3, *grid.prepared.shape), 1 / 3), grid).max() == 0


def test_the_input_is_left_as_it_was() -> None:
    grid = make_grid(Geometry((4, 5, 6), np.eye(4)), "RAS", (1.0, 1.0, 1.0))
    probabilities = random_probabilities(grid)
    before = probabilities.clone()
    restore_classes(probabilities, grid)
    assert torch.equal(probabilities, before)


def test_probabilities_of_another_grid_are_refused() -> None:
    grid = make_grid(Geometry((4, 5, 6), np.eye(4)), "RAS", (1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match="do not lie on the prepared grid"):
        restore_classes(torch.zeros(3, 6, 5, 4), grid)
