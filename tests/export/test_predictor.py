"""What is exported predicts as the method does, and holds nothing else of it."""

import pytest
import torch

from dvcl.export.predictor import Predictor, make_program, trial_patches
from dvcl.inference.sliding_window import Window
from dvcl.methods import METHODS, Method
from dvcl.networks import Network

CLASSES = 3
WINDOW = Window((16, 16, 16), (8, 8, 8))


def make_method(name: str, network: str = "unet3d") -> Method:
    random = torch.manual_seed(0)
    settings = Network(network, base_channels=2, levels=2)
    method = METHODS[name](lambda scheme: settings.build(CLASSES, scheme, random), CLASSES)
    return method.eval()


@pytest.mark.parametrize("name", METHODS)
def test_of_a_method_stays_what_predicts(name: str) -> None:
    method, patches = make_method(name), trial_patches(WINDOW)
    method.precision = torch.bfloat16  # in which it may have been trained
    expected = make_method(name).predict(patches)
    predictor = Predictor(method, WINDOW)
    assert torch.equal(predictor(patches), expected)
    # Queues hold features of patients' scans, and heads cost room: they must not travel.
    for value in predictor.parameters():
        value.requires_grad_()
    kept = [*predictor.parameters()]
    gradients = torch.autograd.grad(
        predictor(patches)[:, 0].square().sum(), kept, allow_unused=True
    )
    unused = [n for n, g in zip(dict(predictor.named_parameters()), gradients, strict=True)
              if g is None]  # fmt: skip
    assert unused == []
    assert [name for name, _ in predictor.named_buffers()] == ["background"]


@pytest.mark.parametrize("skip_air", [False, True])
def test_programs_are_tried_with_air_only_where_no_network_sees_it(skip_air: bool) -> None:
    patches = trial_patches(Window(WINDOW.size, WINDOW.stride, skip_air=skip_air))
    assert [bool(patch.any()) for patch in patches] == [True, True, *[False] * skip_air]


@pytest.mark.parametrize("skip_air", [False, True])
def test_air_is_background_where_the_windows_leave_it_out(skip_air: bool) -> None:
    window = Window(WINDOW.size, WINDOW.stride, skip_air=skip_air)
    *_, air = Predictor(make_method("supervised"), window)(torch.zeros(1, 1, *WINDOW.size))
    assert bool((air[0] == 1).all()) == skip_air


@pytest.mark.parametrize(("method", "network"), [("cps", "unet3d"), ("supervised", "vnet")])
def test_a_program_takes_batches_of_any_size(method: str, network: str) -> None:
    window = Window(WINDOW.size, WINDOW.stride, skip_air=True)
    predictor = Predictor(make_method(method, network), window)
    program = make_program(predictor, window).module()
    for count in (1, 3):
        patches = trial_patches(window)[-count:]
        assert torch.allclose(program(patches), predictor(patches), atol=1e-5)
