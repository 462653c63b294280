"""Checkpoints as one safetensors file: nothing in it can run code, and it is whole or absent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.optim import Optimizer

from dvcl.errors import InputError
from dvcl.files import write_atomically
from dvcl.methods import Method


def save_weights(path: Path, method: Method, **facts: Any) -> None:
    """Write a method's parameters and buffers, with ``facts`` (plain values) in the header."""
    _save(path, _prefixed("method", method.state_dict()), facts)


def load_weights(path: Path, method: Method) -> dict[str, Any]:
    """Read `save_weights` or `save_state` back into ``method``; returns the facts.

    Raises:
        InputError: When the file is missing, damaged, or of another network or class count.
    """
    tensors, facts = _load(path)
    _fill(path, method, tensors)
    return facts


def save_state(
    path: Path,
    method: Method,
    optimisers: Mapping[str, Optimizer],
    averages: Sequence[Tensor] = (),
    **facts: Any,
) -> None:
    """Write everything that an exact continuation needs.

    That is the method with its banks and queues, the optimisers, the ``averages`` of the weights,
    the generators of torch and of the method, and ``facts`` (plain values: iteration, sampler
    state, best result).
    """
    tensors = _prefixed("method", method.state_dict())
    groups = {}
    for name, optimiser in optimisers.items():
        state = optimiser.state_dict()
        groups[name] = state["param_groups"]
        for index, values in state["state"].items():
            tensors |= _prefixed(f"optimiser/{name}/{index}", values)
    tensors |= _prefixed("average", {str(index): mean for index, mean in enumerate(averages)})
    tensors |= _prefixed("random", _random_states(method))
    _save(path, tensors, {**facts, "optimisers": groups})


def load_state(
    path: Path,
    method: Method,
    optimisers: Mapping[str, Optimizer],
    averages: Sequence[Tensor] = (),
) -> dict[str, Any]:
    """Read `save_state` back; returns the facts.

    Raises:
        InputError: As `load_weights`, and when the file holds weights alone.
    """
    tensors, facts = _load(path)
    if "optimisers" not in facts:
        raise InputError(
            f"{path}: holds weights alone, the state of a run was expected. Only the run's own "
            "last.safetensors can be continued."
        )
    _fill(path, method, tensors)
    for name, optimiser in optimisers.items():
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in _below(f"optimiser/{name}", tensors).items():
            index, field = key.split("/")
            state.setdefault(int(index), {})[field] = value
        optimiser.load_state_dict({"state": state, "param_groups": facts["optimisers"][name]})
    for number, mean in enumerate(averages):
        mean.copy_(tensors[f"average/{number}"])
    random = _below("random", tensors)
    torch.set_rng_state(random["torch"])
    method.random.set_state(random["method"])
    if "cuda" in random and torch.cuda.is_available():
        torch.cuda.set_rng_state(random["cuda"])
    return facts


def _random_states(method: Method) -> dict[str, Tensor]:
    states = {"torch": torch.get_rng_state(), "method": method.random.get_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def _prefixed(prefix: str, tensors: Mapping[str, Any]) -> dict[str, Tensor]:
    return {
        f"{prefix}/{name}": value.detach().contiguous().clone()
        for name, value in tensors.items()
        if isinstance(value, Tensor)
    }


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    start = f"{prefix}/"
    return {
        key.removeprefix(start): value for key, value in tensors.items() if key.startswith(start)
    }


def _save(path: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    with write_atomically(path) as temporary:
        save_file(tensors, temporary, metadata={"dvcl": json.dumps(facts)})


def _load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads(file.metadata()["dvcl"])
            return {key: file.get_tensor(key) for key in file.keys()}, facts  # noqa: SIM118
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: no such checkpoint. Train first, or name another run."
        ) from error
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: not a readable checkpoint ({error}). It may be truncated: restore it from a "
            "copy, or delete it and train again; the same command then starts from the beginning."
        ) from error


def _fill(path: Path, method: Method, tensors: Mapping[str, Tensor]) -> None:
    stored, wanted = _below("method", tensors), method.state_dict()
    problems = [
        f"{name}: {_shape(stored.get(name))} found, {_shape(wanted.get(name))} expected"
        for name in sorted(stored.keys() | wanted.keys())
        if _shape(stored.get(name)) != _shape(wanted.get(name))
    ]
    if problems:
        raise InputError(
            f"{path}: does not fit {type(method).__name__} with {method.classes} classes "
            f"({len(problems)} tensors differ, first {problems[0]}). Use the settings and the "
            "labels that it was trained with."
        )
    method.load_state_dict(stored)


def _shape(tensor: Tensor | None) -> str:
    return "nothing" if tensor is None else " x ".join(map(str, tensor.shape)) or "a number"
