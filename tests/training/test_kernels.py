"""A faster way to run networks is used where it is right; chance chooses none."""

from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch

from dvcl.networks import Network, channels_last
from dvcl.networks.channels_last import LAYOUT, use_layout
from dvcl.training import kernels
from dvcl.training.kernels import CANDIDATES, Kernels, faster_kernels, least_seconds, running_with

CPU = torch.device("cpu")
TINY = Network(base_channels=4, levels=2, dropout=0.5)
ASKED = {name: candidate for name, candidate in CANDIDATES.items() if candidate.asked_only}


def measure(asked=False, precision=None) -> Kernels:
    faster_kernels.cache_clear()
    return faster_kernels(TINY, 3, (8, 8, 8), CPU, precision, asked)


@pytest.fixture(autouse=True)
def no_compiler(monkeypatch):
    """In its place a network that runs as it is: compiling takes minutes."""
    usual = replace(CANDIDATES["torch.compile"], use=lambda networks: nullcontext())
    monkeypatch.setitem(CANDIDATES, "torch.compile", usual)
    yield
    faster_kernels.cache_clear()


@pytest.mark.parametrize(
    ("device", "speeds", "asked", "taken"),
    [
        ("cpu", {"channels-first": 1.9}, False, ()),
        ("cpu", {"channels-first": 2.1}, False, ("channels-first",)),
        ("cpu", {"torch.compile": 3.0}, False, ()),
        ("cpu", {"torch.compile": 1.05}, True, ("torch.compile",)),
        ("cpu", {"torch.compile": 0.9}, True, ()),
        ("cuda", {"channels-last": 1.05, "cudnn.benchmark": 1.2}, False, ("cudnn.benchmark",)),
        ("cuda", {"channels-last": 2.0, "channels-first": 9.0}, False, ("channels-last",)),
        ("mps", {"channels-last": 2.0, "torch.compile": 2.0}, True, ()),
    ],
)
def test_what_is_faster_by_its_margin_is_taken(monkeypatch, device, speeds, asked, taken):
    """Each is measured against those that were taken before it."""
    pairs = []

    def speed(usual, other, device):
        pairs.append((usual, other))
        return speeds.get(other[-1], 1.0 if other[-1] not in ASKED else 0.5)

    monkeypatch.setattr(kernels, "_Trial", lambda *arguments: arguments[-1])
    monkeypatch.setattr(kernels, "_speed", speed)
    faster_kernels.cache_clear()
    found = faster_kernels(TINY, 3, (8, 8, 8), torch.device(device), None, asked)
    assert found.taken == taken
    assert [(*usual, other[-1]) for usual, other in pairs] == [other for _, other in pairs]
    assert [other[-1] for _, other in pairs] == list(found.found)
    for name, words in found.found.items():
        assert words.endswith("not used") == (name not in taken)


def broken(networks):
    raise RuntimeError("no compiler here\nand a long explanation")


def wrong(networks):
    for weight in networks[0].parameters():
        weight.data += 1
    return nullcontext()


@pytest.mark.parametrize(
    ("use", "why"),
    [
        (broken, "failed, not used (RuntimeError: no compiler here)"),
        (wrong, "not used: its results differ by "),
    ],
)
def test_what_fails_or_is_wrong_is_told_and_not_used(monkeypatch, use, why):
    monkeypatch.setattr(kernels, "least_seconds", lambda calls, device: [9.0, 1.0])
    monkeypatch.setitem(CANDIDATES, "torch.compile", replace(CANDIDATES["torch.compile"], use=use))
    found = measure(asked=True)
    assert found.taken == ("channels-first",)
    assert why in found.found["torch.compile"]


@pytest.mark.parametrize("precision", [None, torch.bfloat16])
def test_the_layouts_compute_the_same_and_leave_nothing_behind(monkeypatch, precision):
    monkeypatch.setattr(kernels, "least_seconds", lambda calls, device: [9.0, 1.0])
    before = torch.get_rng_state()
    assert measure(precision=precision).taken == ("channels-first",)
    assert torch.equal(torch.get_rng_state(), before)
    assert channels_last._chosen is None


@pytest.mark.parametrize("asked", [False, True])
def test_what_nobody_asked_for_is_measured_on_one_thread(monkeypatch, asked):
    """Threads that wait for each other measure the load; chance chose the layout then."""
    seen, before = {}, torch.get_num_threads()

    def speed(usual, other, device):
        *_, patch, _, _, taken = other
        seen[taken[-1]] = torch.get_num_threads(), list(patch)
        return 0.5

    monkeypatch.setattr(kernels, "_Trial", lambda *arguments: arguments)
    monkeypatch.setattr(kernels, "_speed", speed)
    faster_kernels.cache_clear()
    torch.set_num_threads(2)
    try:
        faster_kernels(TINY, 3, (96, 8, 8), CPU, None, asked)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert seen["channels-first"] == (1, [64, 8, 8])
    assert seen.get("torch.compile") == ((2, [96, 8, 8]) if asked else None)


def test_it_is_measured_once_in_a_process(monkeypatch):
    found = measure()
    monkeypatch.setattr(kernels, "_speed", None)
    assert faster_kernels(TINY, 3, (8, 8, 8), CPU, None, False) is found


def test_networks_run_with_what_was_taken_on_its_kind_of_device_alone():
    network = TINY.build(3, "kaiming", torch.Generator().manual_seed(0)).eval()
    images = torch.rand((2, 1, 8, 8, 8))
    usual = network(images).features
    with running_with(("channels-first",), CPU, network):
        other = network(images).features
    with running_with(("channels-last", "cudnn.benchmark"), CPU, network):
        assert torch.equal(network(images).features, usual)
        assert not torch.backends.cudnn.benchmark
    assert usual.is_contiguous(memory_format=LAYOUT)
    assert other.is_contiguous()
    torch.testing.assert_close(other, usual)
    assert torch.equal(network(images).features, usual)


def test_cudnn_is_as_before_after_the_block():
    with running_with(("cudnn.benchmark",), torch.device("cuda"), torch.nn.Identity()):
        assert torch.backends.cudnn.benchmark
    assert not torch.backends.cudnn.benchmark


@pytest.mark.parametrize("is_trial", [False, True])
def test_a_compiler_that_fails_later_stops_nothing_but_a_trial(is_trial):
    from torch._dynamo import config

    with running_with(("torch.compile",), CPU, torch.nn.Identity(), is_trial):
        assert config.suppress_errors != is_trial
    assert not config.suppress_errors


def test_layouts_end_with_their_blocks_whatever_happens():
    with pytest.raises(KeyboardInterrupt), use_layout(False):
        raise KeyboardInterrupt
    assert channels_last._chosen is None


def test_long_calls_are_made_in_one_round(monkeypatch):
    seconds = iter([0.4, 0.3, 9.0, 9.0])
    monkeypatch.setattr(kernels, "_seconds", lambda call, device: next(seconds))
    assert least_seconds((print, print), CPU) == [0.4, 0.3]
