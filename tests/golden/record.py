"""Twenty steps of every method in float64, kept as text: python tests/golden/record.py [NAME ...].

Writes ROW.txt beside this file for every row of `ROWS`, or for the named rows and methods: all
terms of all steps, and the probability that the method then gives each class where it is. A change
that keeps the mathematics keeps these files; one that means to change it writes them anew.
"""

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dvcl.files import write_text
from dvcl.losses import neighbours
from dvcl.methods import METHODS, Method
from dvcl.methods.distance_losses import DistanceLoss
from dvcl.networks import Network
from dvcl.recipe import load_recipe
from dvcl.sampling.batch import Batch
from dvcl.sampling.distance_maps import signed_distance_maps
from dvcl.training.engine import step
from dvcl.training.optimisation import Training, build_optimisers, decayed_rate

FOLDER = Path(__file__).parent
SMALL = load_recipe(str(FOLDER.parent / "methods" / "small.toml")).methods
COMMAND = ".venv/bin/python tests/golden/record.py"
# Other instructions, layouts and numbers of threads move the numbers by about 1e-13, images that
# differ by 1e-12 move them by less than 1e-9.
RELATIVE, ABSOLUTE = 1e-6, 1e-12
# Of two neighbours that are equally near but for such rounding, another processor may take the
# other one (seen on an AMD EPYC): the term moves by less than this, and later steps follow it.
SWAPPED, SWAPS = 5e-3, ["distance"]

CLASSES, BATCHES, LABELLED = 4, 3, 2
RADII = (4.0, 3.0, 2.5)  # of the organs, in voxels
TRAINING = Training(iterations=20, rate=0.05, precision="float32")

# What the tiny methods of tests/methods need, so that twenty steps show every part of their losses.
SETTINGS = {
    "dan": {"discriminator_rate": 1e-3},
    "sassnet": {"discriminator_rate": 1e-3},
    "dtc": {"steepness": 50.0},  # with the paper's 1500 rounding grows a millionfold in 20 steps
    "magicnet": {"cube": (6, 6, 6), "blend_after": 4, "refresh": 4},
    "ugpcl": {"contrast_start": 0.2},
    "u2pl": {"start": 0.2},
    "dvcl": {"contrast": 0.5, "distance": 1.0, "temperature": 0.2},
}
# No level of any network has two slices, which are convolved in float32 (`networks.convolution`);
# discriminators halve their patch four times.
USUAL_SIDES = (12, 8, 8)
SIDES = {
    "dan": (32, 16, 16), "sassnet": (32, 16, 16), "magicnet": (12, 12, 12), "ugpcl": (12, 12, 12),
}  # fmt: skip
LEVELS = {"ugpcl": 3}  # its contrast reads the third one
# The large patches need fewer. A limit of U2PL is some voxel's entropy, which all voxels share in
# which every channel is 0: of eight channels hardly any.
CHANNELS = {"dan": 2, "sassnet": 2, "u2pl": 8}

Terms = dict[str, float]
Curve = dict[str, Terms]  # by "step 1" to "step 20", then "prediction"
Row = tuple[str, str, dict]  # method, network, settings that differ

OF_DVCL = {loss: {"distance_loss": loss} for loss in get_args(DistanceLoss)} | {
    "mean": {"reduction": "mean"},
    "ramp": {"distance_ramp": True, "distance_start": 0.3},
    "balanced-queries": {"balance_queries": True},
    "no-high-quality": {"high_quality": False},
    "detach-negatives": {"detach_negatives": True},
    "no-entropy-weighting": {"entropy_weighting": False},
    "agreement": {"agreement": True},
    "decay": {"decay": 0.9},
    "jitter": {"jitter": 0.3},
    "boundary": {"boundary": 1},
    "trusted-candidates": {"trusted_candidates": True},
    "foreign-outsiders": {"foreign_outsiders": True},
    "per-network": {"per_network": True},
    "snclr-per-network": {"distance_loss": "snclr", "per_network": True},
}
del OF_DVCL["loglikelihood"]  # the default, in the row of the method itself
ROWS: dict[str, Row] = {
    **{name: (name, "unet3d", {}) for name in METHODS},
    "supervised-vnet": ("supervised", "vnet", {}),
    "bacon-main": ("bacon", "unet3d", {"predict_with": "main"}),
    "ccl-rows": ("ccl", "unet3d", {"divide_by": "rows"}),
    **{f"dvcl-{name}": ("dvcl", "unet3d", settings) for name, settings in OF_DVCL.items()},
}


def curve(row: str) -> Curve:
    """The twenty steps of a row, progress growing from 0 to 1."""
    with float64():
        method, batches = _build(row), [_make_batch(row, seed) for seed in range(BATCHES)]
        optimisers = build_optimisers(method, TRAINING)
        found, before = {}, torch.get_rng_state()
        for t in range(TRAINING.iterations):
            progress, rate = t / (TRAINING.iterations - 1), decayed_rate(TRAINING, t)
            terms, _ = step(method, optimisers, batches[t % BATCHES], progress, rate)
            found[f"step {t + 1}"] = terms
        # Dropout is off; its draws would follow the order in which voxels lie in memory.
        assert torch.equal(torch.get_rng_state(), before), "not drawn from method.random"
        return found | {"prediction": _predicted(method.eval(), batches[0])}


@contextmanager
def float64() -> Iterator[None]:
    """Everything is float64, the losses too.

    In float32 twenty steps would carry the rounding of another processor into the sixth digit, and
    into a voxel's choice now and then.
    """
    usual = torch.get_default_dtype()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tensor, "float", Tensor.double)
        patch.setattr(neighbours, "_rank", _rank)
        torch.set_default_dtype(torch.float64)
        try:
            yield
        finally:
            torch.set_default_dtype(usual)


def _rank(values: Tensor, count: int) -> Tensor:
    """In the place of a function that reads the bits of float32 numbers to the same end."""
    return values.sort(dim=1, descending=True, stable=True).indices[:, :count]


def _build(row: str) -> Method:
    name, network, changes = ROWS[row]
    random = torch.Generator().manual_seed(1)
    torch.manual_seed(1)
    shape = Network(network, CHANNELS.get(name, 4), LEVELS.get(name, 2), dropout=0.0)
    settings = SMALL.get(name, {}) | SETTINGS.get(name, {}) | changes
    method = METHODS[name](lambda start: shape.build(CLASSES, start, random), CLASSES, **settings)
    method.random.manual_seed(1)
    for part in method.modules():
        if isinstance(part, nn.Dropout3d):  # of discriminators
            part.p = 0.0
    return method


def _make_batch(row: str, seed: int) -> Batch:
    """Three balls in noise, in two labelled and two unlabelled patches."""
    sides = SIDES.get(ROWS[row][0], USUAL_SIDES)
    random, grid = np.random.default_rng(seed), np.indices(sides)
    labels = np.zeros((2 * LABELLED, *sides), np.int64)
    for patch in labels:
        for organ, radius in enumerate(RADII, start=1):
            centre = 2 + (np.array(sides) - 5) * random.random(3)
            squares = (grid - centre[:, None, None, None]) ** 2
            patch[squares.sum(0) < radius**2] = organ
    images = torch.from_numpy(0.4 * labels + random.random(labels.shape)).unsqueeze(1)
    maps = torch.from_numpy(signed_distance_maps(labels[:LABELLED], CLASSES)).double()
    return Batch(
        images[:LABELLED], torch.from_numpy(labels[:LABELLED]), images[LABELLED:], tuple("abcd"),
        maps,
    )  # fmt: skip


@torch.inference_mode()
def _predicted(method: Method, batch: Batch) -> Terms:
    """Mean probability of every class over the labelled voxels that it has."""
    found = method.predict(batch.labelled).movedim(1, 0)
    return {
        f"class {index}": probabilities[batch.labels == index].mean().item()
        for index, probabilities in enumerate(found)
    }


def path_of(row: str) -> Path:
    return FOLDER / f"{row}.txt"


def as_text(values: Curve) -> str:
    """One line per step: ``step 3: supervised 1.23456789012, contrast 0.123456789012``."""
    return "".join(
        f"{place}: {', '.join(f'{term} {value:.12g}' for term, value in terms.items())}\n"
        for place, terms in values.items()
    )


def read(row: str) -> Curve:
    """The curve that `as_text` wrote into the row's file."""
    found = {}
    for line in path_of(row).read_text(encoding="utf-8").splitlines():
        place, terms = line.split(": ")
        pairs = (pair.rsplit(" ", 1) for pair in terms.split(", "))
        found[place] = {term: float(value) for term, value in pairs}
    return found


def differences(expected: Curve, found: Curve) -> list[str]:
    """Every term of every step that is not the one on record, in the order of the steps.

    Ends at a step that differs by a swap of neighbours alone.
    """
    problems = []
    for place in expected | found:
        old, new = expected.get(place, {}), found.get(place, {})
        # NaN is a term that one of them lacks; a loss never is.
        pairs = {term: (old.get(term, math.nan), new.get(term, math.nan)) for term in old | new}
        unlike = [
            term for term, pair in pairs.items()
            if not math.isclose(*pair, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
        ]  # fmt: skip
        if unlike == SWAPS and math.isclose(*pairs[SWAPS[0]], rel_tol=SWAPPED):
            break
        for term in unlike:
            was, now = pairs[term]
            problems.append(f"{place}, {term}: {was:.12g} expected, {now:.12g} found")
    return problems


def main(names: list[str]) -> None:
    if unknown := set(names) - {*ROWS, *METHODS}:
        sys.exit(f"{', '.join(sorted(unknown))}: no such row; there are {', '.join(ROWS)}.")
    for row, (method, *_) in ROWS.items():
        if not names or row in names or method in names:
            write_text(path_of(row), as_text(curve(row)))
            print(path_of(row))
    for path in FOLDER.glob("*.txt"):
        if path.stem not in ROWS:
            path.unlink()
            print(f"{path} removed: no row has this name.")


if __name__ == "__main__":
    main(sys.argv[1:])
