"""Uncertainty of voxels and organs, against numpy and by hand."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from dvcl.datasets.dataset import LabelTable
from dvcl.inference.uncertainty import restore_uncertainty, share_of_entropy, sureness
from dvcl.preprocessing.geometry import make_grid
from dvcl.volume import Geometry

LABELS = LabelTable.from_mapping({1: "liver", 2: "spleen", 3: "aorta"})


def random_probabilities(shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return (3 * torch.randn(shape, generator=random)).softmax(0)


def entropy(probabilities: np.ndarray) -> np.ndarray:
    return -(probabilities * np.log(probabilities)).sum(0) / np.log(len(probabilities))


def test_entropy_is_a_share_of_the_largest_possible() -> None:
    probabilities = random_probabilities((4, 3, 4, 5))
    expected = entropy(probabilities.double().numpy())
    assert share_of_entropy(probabilities).numpy() == pytest.approx(expected, abs=1e-6)
    certain, undecided = torch.eye(4)[0], torch.full((4,), 0.25)
    assert share_of_entropy(torch.stack([certain, undecided], 1)).tolist() == [0, 1]


@pytest.mark.parametrize("codes", ["LPI", "RAS", "SLA"])
def test_the_map_is_the_entropy_of_interpolated_probabilities(codes: str) -> None:
    source = Geometry((12, 10, 8), np.diag([-1.0, -1.0, 1.0, 1.0]))
    grid = make_grid(source, codes, (2.0, 2.0, 2.0))
    probabilities = random_probabilities((4, *grid.prepared.shape))
    scores = probabilities.numpy()
    for axis, (size, start, step) in enumerate(
        zip(grid.oriented_shape, grid.starts, grid.steps, strict=True), start=1
    ):
        places = (np.arange(size) - start) / step
        scores = ndimage.map_coordinates(
            scores,
            np.meshgrid(
                *(places if a == axis else np.arange(n) for a, n in enumerate(scores.shape)),
                indexing="ij",
            ),
            order=1,
            mode="nearest",
        )
    found = restore_uncertainty(probabilities, grid)
    assert found.dtype == np.float32
    assert found.shape == source.shape
    assert grid.moves.apply(found) == pytest.approx(entropy(scores), abs=6e-4)


def test_an_organ_is_measured_with_its_rim() -> None:
    """A liver of one voxel, 0.7 sure, in a background that is sure but for one neighbour."""
    probabilities = torch.zeros(4, 5, 5, 5)
    probabilities[0] = 1
    probabilities[:, 2, 2, 2] = torch.tensor([0.3, 0.7, 0, 0])
    probabilities[:, 1, 1, 1] = torch.tensor([0.8, 0.2, 0, 0])
    probabilities[:, 0, 0, 0] = torch.tensor([0.6, 0, 0.4, 0])
    found = sureness(probabilities, LABELS)
    assert set(found) == {"liver"}
    around = [-(p * np.log(p) + (1 - p) * np.log(1 - p)) / np.log(4) for p in (0.7, 0.2)]
    assert found["liver"].uncertainty == pytest.approx(sum(around) / 27, abs=1e-6)
    assert found["liver"].agreement == pytest.approx(2 * 0.7 / (1 + 0.7 + 0.2), abs=1e-6)


def test_a_sure_mask_agrees_with_itself() -> None:
    classes = torch.zeros(4, 4, 4, dtype=torch.int64)
    classes[:2, :2], classes[3] = 1, 2
    found = sureness(torch.nn.functional.one_hot(classes, 4).movedim(-1, 0).float(), LABELS)
    assert {name: (s.uncertainty, s.agreement) for name, s in found.items()} == {
        "liver": (0, 1), "spleen": (0, 1),
    }  # fmt: skip
