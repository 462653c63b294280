"""A second device that is only pretended: its tensors are the processor's, and marked.

Torch has a device without any memory, "meta". Here a tensor that is on it has its values all the
same, on the CPU, where every operation is carried out; so code asks for devices, moves tensors
and makes new ones as on a GPU. What a GPU would refuse is refused, and what makes the host wait for
a GPU is counted.
"""

import contextlib
from collections import Counter
from typing import ClassVar

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map_only

CPU, PRETEND = torch.device("cpu"), torch.device("meta")

aten = torch.ops.aten
MOVING = {aten._to_copy.default, aten.copy_.default}
# How many values there are, or what they are, decides about a shape or is read.
WAITING = {
    aten._local_scalar_dense.default, aten.nonzero.default, aten.masked_select.default,
    aten.bincount.default, aten._unique2.default, aten.unique_dim.default,
    aten.unique_consecutive.default, aten.equal.default,
}  # fmt: skip
INDEXING = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default}
USUAL_GENERATOR, usual_tensor = torch.Generator, torch.tensor


class Marked(torch.Tensor):
    """Of the pretended device; ``inner`` has the values."""

    @staticmethod
    def __new__(cls, inner):
        marked = torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, strides=inner.stride(), storage_offset=inner.storage_offset(),
            dtype=inner.dtype, device=PRETEND,
        )  # fmt: skip
        marked.inner = inner
        return marked

    is_meta = False  # it has values

    def new_tensor(self, values, **keywords):
        return pretended_tensor(values, **{"dtype": self.dtype, "device": PRETEND} | keywords)

    def __repr__(self):
        return f"Marked({self.inner})"

    def tolist(self):
        """Torch has none for a class of its own."""
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, function, types, arguments=(), keywords=None):
        raise AssertionError(f"{function} of the pretended device, outside of its block")


class Generator(USUAL_GENERATOR):
    """In the place of ``torch.Generator``: one of the pretended device says so."""

    marked: ClassVar[list] = []

    def __new__(cls, device="cpu"):
        pretended = is_pretended(device)
        generator = super().__new__(cls, CPU if pretended else device)
        if pretended:
            cls.marked.append(generator)
        return generator

    @property
    def device(self):
        return PRETEND if is_marked(self) else super().device


def pretended_tensor(values, *, device="cpu", **keywords):
    """In the place of ``torch.tensor``, which makes nothing of values on the device without any."""
    return usual_tensor(values, **keywords).to(device)


class PretendedDevice(TorchDispatchMode):
    """Within the block the pretended device is there.

    Attributes:
        waits: How often the host waited for it, by operation.
    """

    def __init__(self):
        super().__init__()
        self.waits = Counter()

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        keywords = keywords or {}
        asked = keywords.get("device")
        here = is_pretended(asked) if asked else any(map(is_marked, tree_leaves(arguments)))
        self._refuse(function, arguments, keywords, here)
        self.waits.update(waits(function, arguments, keywords))
        plain = {key: CPU if is_pretended(value) else value for key, value in keywords.items()}
        plain_arguments, plain = tree_map_only(Marked, lambda leaf: leaf.inner, (arguments, plain))
        found = function(*plain_arguments, **plain)
        if not here:
            return found
        found = tree_map_only(torch.Tensor, Marked, found)
        return return_and_correct_aliasing(function, arguments, keywords, found)

    def _refuse(self, function, arguments, keywords, here):
        """What a GPU would refuse: tensors of two devices, and another device's numbers."""
        leaves = tree_leaves((arguments, keywords))
        tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
        if function not in MOVING:
            # A number may come from the host.
            others = [leaf for leaf in tensors if is_marked(leaf) != here and leaf.dim()]
            assert not others, f"{function}: tensors of two devices"
        drawn_from = [leaf for leaf in leaves if isinstance(leaf, USUAL_GENERATOR)]
        others = [leaf for leaf in drawn_from if is_marked(leaf) != here]
        assert not others, f"{function}: numbers of another device"


def is_marked(leaf):
    if isinstance(leaf, USUAL_GENERATOR):  # torch hands on another object of the same generator
        return any(leaf._cdata == generator._cdata for generator in Generator.marked)
    return isinstance(leaf, Marked)


def is_pretended(device):
    return isinstance(device, torch.device | str) and torch.device(device) == PRETEND


def waits(function, arguments, keywords):
    """The operation's name, where the host waits for the device to answer."""
    leaves = tree_leaves((arguments, keywords))
    name = str(function).removeprefix("aten.").partition(".")[0]
    marked = any(map(is_marked, leaves))
    if function in MOVING:
        source = arguments[-1] if function == aten.copy_.default else arguments[0]
        device = keywords.get("device") or arguments[0].device
        moved = is_marked(source) != is_pretended(device)
        blocks = not (keywords.get("non_blocking") or (len(arguments) > 2 and arguments[2]))
        return [name] if moved and blocks else []
    if function in INDEXING:
        masks = [i for i in tree_leaves(arguments[1]) if is_marked(i) and i.dtype == torch.bool]
        # One value for a mask is filled in.
        filled = function != aten.index.Tensor and arguments[2].numel() == 1
        return [f"{name} by a mask"] if masks and not filled else []
    if function == aten.repeat_interleave.Tensor:
        return [name] if marked and keywords.get("output_size") is None else []
    return [name] if marked and function in WAITING else []


@pytest.fixture
def pretended(monkeypatch):
    """The pretended device, at hand until the end of the test."""
    device = PretendedDevice()
    monkeypatch.setattr(torch, "Generator", Generator)
    monkeypatch.setattr(torch, "tensor", pretended_tensor)
    # Networks run in float32, so that there is nothing to cast.
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())
    with device:
        yield device
