"""Trains every method a few steps, alone or under torchrun: python run_methods.py OUT [EARLIER].

Writes OUT/whole/METHOD (uninterrupted), OUT/cut/METHOD (stopped and resumed), OUT/stopped/METHOD
(as it was stopped) and each process's weights; EARLIER/stopped is resumed in OUT/handed_over.
"""

import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from dvcl.methods import METHODS, Method
from dvcl.methods.bacon import TwoClassifiers
from dvcl.networks import Network, SegmentationNetwork
from dvcl.networks.distance_head import DistanceHead
from dvcl.networks.two_decoders import TwoDecoders
from dvcl.recipe import load_recipe
from dvcl.sampling.settings import Sampling
from dvcl.sampling.streams import Chosen, Sampler
from dvcl.training.distributed import Processes, joined
from dvcl.training.engine import train
from dvcl.training.interruption import Interrupted
from dvcl.training.optimisation import Training

TRAINING = Training(iterations=4, rate=0.02, validate_every=2, precision="float32")
INTERRUPTED = ("dan", "dvcl")  # a second optimiser; two networks, queues and sampled voxels
STOPPED_AFTER = 3
SIDE = 16
SMALL = load_recipe(str(Path(__file__).parents[1] / "methods" / "small.toml")).methods


class Case:
    """Stands in for a prepared case: two organs in noise."""

    annotated = None

    def __init__(self, id: str, number: int) -> None:
        random = np.random.default_rng(number)
        self.id, self.scale, self.offset = id, 1e-3, 0.1
        self.label = np.zeros((SIDE, SIDE, SIDE + 4), np.uint8)
        self.label[4:8] = 1
        self.label[:, 8:, :4] = 2
        noise = random.integers(0, 900, self.label.shape)
        self.image = (400 * self.label.astype(np.int16) + noise).astype(np.int16)


class StoppedSampler(Sampler):
    """Sends this process SIGTERM while it draws the batch of one step."""

    stop_at = 0

    def choose(self, *arguments) -> Chosen:
        self.stop_at -= 1
        if self.stop_at == 0:
            signal.raise_signal(signal.SIGTERM)
        return super().choose(*arguments)


def build(name: str) -> Method:
    random = torch.Generator().manual_seed(1)
    torch.manual_seed(1)
    network = Network("unet3d", base_channels=2, levels=2, dropout=0.3)
    settings = {"start": 0.0} if name == "u2pl" else {}
    settings |= {"contrast_start": 0.2} if name in ("bacon", "ugpcl") else {}
    settings |= SMALL.get(name, {})
    return precise(METHODS[name](lambda scheme: network.build(3, scheme, random), 3, **settings))


def precise(method: Method) -> Method:
    """The method with networks in float64, whose rounding changes no voxel's choice."""
    for module in method.modules():
        if isinstance(module, SegmentationNetwork | TwoClassifiers | TwoDecoders | DistanceHead):
            module.double().register_forward_pre_hook(lambda _, inputs: (inputs[0].double(),))
    return method


def go_on(name: str, folder: Path, processes: Processes, stop_at: int = 0) -> Method:
    """Train, or continue, in ``folder``; one labelled and two unlabelled patches a batch."""
    method = build(name)
    labelled = [Case(f"labelled-{n}", n) for n in range(4)]
    unlabelled = [Case(f"unlabelled-{n}", 10 + n) for n in range(4)]
    sampling = Sampling((SIDE, SIDE, SIDE), labelled=1, unlabelled=2)
    classes = 3 if method.needs_distance_maps else None
    sampler = StoppedSampler(labelled, unlabelled, sampling, 5, classes)
    # The last process alone receives the signal.
    sampler.stop_at = stop_at if processes.place.rank == processes.place.world_size - 1 else 0
    images = torch.from_numpy(labelled[0].image).float()[None, None, ..., :SIDE] / 1000

    def validate(validated: Method) -> dict[str, float]:
        assert processes.is_first
        return {"mean_dice": validated.predict(images)[:, 1].mean().item()}

    train(
        method, sampler, TRAINING, folder, device=torch.device("cpu"), seed=2,
        validate=validate, processes=processes,
    )  # fmt: skip
    return method


def main(out: Path, earlier: Path | None, processes: Processes) -> None:
    rank = processes.place.rank
    for name in METHODS:
        method = go_on(name, out / "whole" / name, processes)
        weights = {key: value.contiguous() for key, value in method.state_dict().items()}
        (out / f"weights-{rank}").mkdir(parents=True, exist_ok=True)
        save_file(weights, out / f"weights-{rank}" / f"{name}.safetensors")
    for name in INTERRUPTED:
        cut, stopped = out / "cut" / name, out / "stopped" / name
        with pytest.raises(Interrupted, match=f"SIGTERM after iteration {STOPPED_AFTER}"):
            go_on(name, cut, processes, STOPPED_AFTER)
        processes.lead(lambda cut=cut, stopped=stopped: shutil.copytree(cut, stopped))
        go_on(name, cut, processes)
        if earlier:
            shutil.copytree(earlier / "stopped" / name, out / "handed_over" / name)
            go_on(name, out / "handed_over" / name, processes)


if __name__ == "__main__":
    with joined("cpu") as (processes, _):
        main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None, processes)
