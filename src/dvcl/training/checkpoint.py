"""Checkpoints as one safetensors file: nothing in it can run code, and it is whole or absent.

Its header holds a SHA-256 of all tensors and facts, which is checked on load; files of earlier
versions have none.
"""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.optim import Optimizer

from dvcl.errors import InputError
from dvcl.files import refusal, write_atomically
from dvcl.methods import Method
from dvcl.records import explained

FACTS, HASH = "dvcl", "sha256"
DAMAGED = (
    "Restore the file from a copy, or delete it and train again; the same command then goes on "
    "from what is left, or from the beginning."
)


def save_weights(path: Path, method: Method, **facts: Any) -> None:
    """Write a method's parameters and buffers, with ``facts`` (plain values) in the header."""
    _save(path, _prefixed("method", method.state_dict()), facts)


def load_weights(path: Path, method: Method) -> dict[str, Any]:
    """Read `save_weights` or `save_state` back into ``method``; returns the facts.

    Raises:
        InputError: When the file is missing, damaged, or of another network or class count, or
            holds weights that are not finite.
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
    with explained(path, DAMAGED):
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


def saved_facts(path: Path) -> dict[str, Any]:
    """The facts of a checkpoint, from its header alone; nothing without the file.

    Raises:
        InputError: When the file is damaged.
    """
    return _header(path)[0] if path.exists() else {}


def weights_hash(path: Path) -> str | None:
    """The SHA-256 that a checkpoint says it has; None where it is of an earlier version.

    Raises:
        InputError: When the file is missing or damaged.
    """
    return _header(path)[1]


def _header(path: Path) -> tuple[dict[str, Any], str | None]:
    with _readable(path) as file:
        return _facts(file)


def _facts(file: Any) -> tuple[dict[str, Any], str | None]:
    facts = json.loads(file.metadata()[FACTS])
    return facts, facts.pop(HASH, None)


def load_averages(path: Path, averages: Sequence[Tensor]) -> None:
    """Read the averages of the weights from what `save_state` wrote, without the rest."""
    tensors, _ = _load(path)
    for number, mean in enumerate(averages):
        mean.copy_(tensors[f"average/{number}"])


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
    if faulty := _not_finite(_below("method", tensors)):
        raise InputError(
            f"{path}: not written, since the weights are no longer finite ({faulty}); the file "
            "that was there is unharmed. Lower training.rate, or set training.precision to float32."
        )
    # In one entry: safetensors writes several in any order, and equal states are equal files.
    text = json.dumps({**facts, HASH: _hash(tensors, facts)})
    with write_atomically(path) as temporary:
        save_file(tensors, temporary, metadata={FACTS: text})


def _not_finite(tensors: Mapping[str, Tensor]) -> str:
    faulty = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    return f"{len(faulty)} of {len(tensors)} tensors, first {faulty[0]}" if faulty else ""


def _hash(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(facts).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    with _readable(path) as file:
        facts, expected = _facts(file)
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        found = _hash(tensors, facts)
    if expected and found != expected:
        raise InputError(
            f"{path}: has the SHA-256 {found[:12]}..., {expected[:12]}... was written; the file is "
            f"damaged. {DAMAGED}"
        )
    return tensors, facts


@contextmanager
def _readable(path: Path) -> Iterator[Any]:
    try:
        # Safetensors calls a file that may not be read missing.
        path.open("rb").close()
        with safe_open(path, framework="pt") as file:
            yield file
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: no such checkpoint. Train first, or name another run."
        ) from error
    except PermissionError as error:
        raise refusal(errno.EACCES, path) from error
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: not a readable checkpoint ({error}). It may be truncated. {DAMAGED}"
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
    if faulty := _not_finite(stored):
        raise InputError(f"{path}: holds weights that are not finite ({faulty}). {DAMAGED}")
    method.load_state_dict(stored)


def _shape(tensor: Tensor | None) -> str:
    return "nothing" if tensor is None else " x ".join(map(str, tensor.shape)) or "a number"
