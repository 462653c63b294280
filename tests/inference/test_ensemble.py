"""Several members predict as their mean, in the memory of one."""

import numpy as np
import pytest
import torch
from torch import Tensor

from dvcl.inference.ensemble import Ensemble, mirrored
from dvcl.inference.sliding_window import Window, predict_volume

CPU = torch.device("cpu")
CLASSES = 4
WINDOW = Window((8, 8, 8), (4, 4, 4))


def member(seed: int):
    """Something that depends on the image and on the place in the window."""
    random = torch.Generator().manual_seed(seed)
    slopes, shifts = torch.randn((2, CLASSES, 1, 1, 1), generator=random)

    def predict(images: Tensor) -> Tensor:
        ramp = torch.linspace(-1, 1, images.shape[-1])
        return (3 * images * slopes + ramp * shifts).softmax(1)

    return predict


def image(seed: int = 0) -> Tensor:
    return torch.rand((11, 9, 13), generator=torch.Generator().manual_seed(seed))


def believed(ensemble: Ensemble, scan: Tensor, window: Window = WINDOW):
    return ensemble.read(predict_volume(ensemble, scan, window, CPU, None, ensemble.background))


def entropy(probabilities: np.ndarray) -> np.ndarray:
    return -(probabilities * np.log(probabilities)).sum(0) / np.log(len(probabilities))


def test_the_mean_of_members_is_that_of_their_own_predictions() -> None:
    predicts = tuple(map(member, range(3)))
    alone = [predict_volume(predict, image(), WINDOW, CPU) for predict in predicts]
    expected = torch.stack(alone).mean(0)
    for apart in (False, True):
        found = believed(Ensemble(predicts, CLASSES, apart, disagreement=True), image())
        assert torch.allclose(found.probabilities, expected, atol=1e-6)
        assert len(found.members) == (3 if apart else 0)
        for own, other in zip(found.members, alone, strict=False):
            assert torch.allclose(own, other, atol=1e-6)


def test_twice_the_same_member_is_that_member() -> None:
    predict = member(0)
    found = believed(Ensemble((predict, predict), CLASSES, disagreement=True), image())
    assert torch.equal(found.probabilities, predict_volume(predict, image(), WINDOW, CPU))
    assert found.disagreement is not None
    assert found.disagreement.max() < 1e-6


def test_disagreement_is_the_mutual_information_in_a_window() -> None:
    predicts = tuple(map(member, range(3)))
    scan = image()[:8, :8, :8].contiguous()
    found = believed(Ensemble(predicts, CLASSES, disagreement=True), scan)
    each = [predict(scan[None, None])[0].double().numpy() for predict in predicts]
    expected = entropy(np.mean(each, 0)) - np.mean([entropy(own) for own in each], 0)
    assert found.disagreement is not None
    assert found.disagreement.numpy() == pytest.approx(expected, abs=1e-6)
    assert expected.max() > 0.05


@pytest.mark.parametrize("apart", [False, True])
def test_air_that_is_left_out_is_background_to_every_member(apart: bool) -> None:
    scan = image()
    scan[:, :, 8:] = 0
    window = Window((8, 8, 4), (8, 8, 4), skip_air=True)
    found = believed(Ensemble((member(0), member(1)), CLASSES, apart), scan, window)
    for probabilities in (found.probabilities, *found.members):
        assert torch.allclose(probabilities.sum(0), torch.ones(scan.shape), atol=1e-6)
        assert (probabilities[0, :, :, 12] == 1).all()


def test_one_member_holds_its_classes_and_no_more() -> None:
    alone = Ensemble((member(0),), CLASSES, disagreement=True)
    several = Ensemble((member(0), member(1)), CLASSES)
    assert (alone.maps_held, several.maps_held) == (CLASSES, CLASSES)
    assert believed(alone, image()).disagreement is None


def test_mirrored_windows_are_turned_back() -> None:
    scan, predict = image()[None, None], member(1)
    expected = torch.stack(
        [
            predict(scan),
            predict(scan.flip(2)).flip(2),
            predict(scan.flip(4)).flip(4),
            predict(scan.flip(2, 4)).flip(2, 4),
        ]
    ).mean(0)
    assert torch.allclose(mirrored(predict, ("D", "W"))(scan), expected, atol=1e-6)
    assert not torch.allclose(predict(scan), expected, atol=1e-3)
