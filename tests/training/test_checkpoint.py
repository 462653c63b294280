"""Checkpoints: whole, exact, and refused with a reason when they do not fit."""

import math
import os

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from dvcl.errors import InputError
from dvcl.methods import METHODS
from dvcl.training.checkpoint import (
    load_state,
    load_weights,
    save_state,
    save_weights,
    saved_facts,
    weights_hash,
)
from dvcl.training.optimisation import Training, build_optimisers


@pytest.mark.parametrize("name", ["supervised", "cps", "dvcl"])
def test_weights_come_back_exactly(name, build_method, tmp_path):
    method, path = build_method(name), tmp_path / "best.safetensors"
    save_weights(path, method, iteration=7, best=0.5, note=None)
    other = build_method(name, seed=1)
    assert load_weights(path, other) == {"iteration": 7, "best": 0.5, "note": None}
    expected = method.state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in other.state_dict().items())
    assert [file.name for file in tmp_path.iterdir()] == ["best.safetensors"]


def test_a_full_state_holds_the_weights_too(build_method, tmp_path):
    method, path = build_method("cps"), tmp_path / "last.safetensors"
    save_state(path, method, build_optimisers(method, Training()), iteration=3)
    other = build_method("cps", seed=1)
    assert load_weights(path, other)["iteration"] == 3
    expected = method.state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in other.state_dict().items())


def test_loading_restores_the_generators(build_method, tmp_path):
    method, path = build_method("dvcl"), tmp_path / "last.safetensors"
    optimisers = build_optimisers(method, Training())
    torch.manual_seed(4)
    method.random.manual_seed(5)
    save_state(path, method, optimisers)
    expected = torch.rand(3), torch.rand(3, generator=method.random)
    load_state(path, method, optimisers)
    assert torch.equal(torch.rand(3), expected[0])
    assert torch.equal(torch.rand(3, generator=method.random), expected[1])


def test_a_missing_checkpoint(build_method, tmp_path):
    with pytest.raises(InputError, match="best.safetensors: no such checkpoint"):
        load_weights(tmp_path / "best.safetensors", build_method("supervised"))


@pytest.mark.parametrize("keep", [0, 4, 8, 100, 0.5, -1])
def test_a_truncated_checkpoint(keep, build_method, tmp_path):
    method, path = build_method("supervised"), tmp_path / "best.safetensors"
    save_weights(path, method)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    with pytest.raises(InputError, match="not a readable checkpoint.*truncated"):
        load_weights(path, method)


def test_a_checkpoint_that_may_not_be_read(build_method, tmp_path):
    method, path = build_method("supervised"), tmp_path / "best.safetensors"
    save_weights(path, method)
    path.chmod(0)
    user = os.geteuid()
    if user == 0:  # who may read everything
        os.seteuid(65534)
    try:
        with pytest.raises(
            InputError, match="best.safetensors: cannot be read.* .Permission denied"
        ):
            load_weights(path, method)
    finally:
        os.seteuid(user)


def test_other_files_are_no_checkpoints(build_method, tmp_path):
    method, path = build_method("supervised"), tmp_path / "best.safetensors"
    path.write_text("weights")
    with pytest.raises(InputError, match="not a readable checkpoint"):
        load_weights(path, method)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(InputError, match="not a readable checkpoint"):
        load_weights(path, method)


def test_weights_alone_cannot_be_continued(build_method, tmp_path):
    method, path = build_method("supervised"), tmp_path / "last.safetensors"
    save_weights(path, method, iteration=3)
    with pytest.raises(InputError, match="weights alone"):
        load_state(path, method, build_optimisers(method, Training()))


@pytest.mark.parametrize(
    ("other", "found"),
    [
        ({"name": "supervised", "classes": 5}, "2 found, 5 expected"),
        ({"name": "supervised", "base_channels": 4}, "2 found, 4 expected"),
        ({"name": "cps"}, "nothing expected"),
    ],
)
def test_a_checkpoint_of_something_else(other, found, build_method, tmp_path):
    path = tmp_path / "best.safetensors"
    save_weights(path, build_method("supervised"))
    method = build_method(**other)
    before = {key: value.clone() for key, value in method.state_dict().items()}
    with pytest.raises(InputError, match="does not fit") as caught:
        load_weights(path, method)
    assert found in str(caught.value)
    assert f"with {method.classes} classes" in str(caught.value)
    assert all(torch.equal(method.state_dict()[key], value) for key, value in before.items())


def test_every_flipped_bit_is_found(build_method, tmp_path):
    method, path = build_method("supervised"), tmp_path / "best.safetensors"
    save_weights(path, method, iteration=7)
    content = path.read_bytes()
    random = np.random.default_rng(0)
    for place in random.integers(0, 8 * len(content), 60):
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        # In the name of the hash itself nothing else is changed.
        if rb"\"sha256\":" in flipped:
            with pytest.raises(InputError, match="best.safetensors: "):
                load_weights(path, build_method("supervised"))
    path.write_bytes(content)
    load_weights(path, build_method("supervised"))


def test_equal_states_are_equal_files(build_method, tmp_path):
    method = build_method("supervised")
    for name in "abcdefgh":
        save_weights(tmp_path / name, method, iteration=7, best=0.5)
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


def test_files_without_a_hash_are_read_as_before(build_method, tmp_path):
    method, path = build_method("supervised"), tmp_path / "best.safetensors"
    tensors = {f"method/{name}": value for name, value in method.state_dict().items()}
    save_file(tensors, path, metadata={"dvcl": '{"iteration": 7}'})
    assert load_weights(path, build_method("supervised", seed=1)) == {"iteration": 7}
    assert weights_hash(path) is None
    assert saved_facts(path) == {"iteration": 7}
    assert saved_facts(tmp_path / "last.safetensors") == {}


def test_weights_that_are_not_finite_are_neither_written_nor_read(build_method, tmp_path):
    method, path = build_method("supervised"), tmp_path / "best.safetensors"
    save_weights(path, method, iteration=7)
    before = path.read_bytes()
    with torch.no_grad():
        next(method.parameters())[0] = math.nan
    with pytest.raises(InputError, match=r"not written, since the weights .* not finite|no longer"):
        save_weights(path, method, iteration=8)
    assert path.read_bytes() == before
    tensors = {f"method/{name}": value for name, value in method.state_dict().items()}
    save_file(tensors, path, metadata={"dvcl": "{}"})
    with pytest.raises(InputError, match=r"best.safetensors: holds weights that are not finite"):
        load_weights(path, build_method("supervised"))


@pytest.mark.parametrize("name", METHODS)
def test_a_method_begins_with_finite_weights_and_buffers(name, build_method, tmp_path):
    save_weights(tmp_path / "best.safetensors", build_method(name, classes=3))
