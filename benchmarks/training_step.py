"""One training step of DVCL against cross pseudo supervision, on the same networks and batch.

Claim: the two contrastive losses of `dvcl` cost at most 15 % of the time of a step of `cps` and
5 % of its peak memory, because features are computed at sampled voxels only. The common form, a
256-channel map of all voxels from which every class takes its voxels by a boolean mask, is measured
beside it, with the same losses. The queue and the class banks are full, all terms are at work.

    python benchmarks/training_step.py [--quick] [--device cuda]
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

import torch
from measuring import (
    in_fresh_process,
    interleaved,
    median_ratio,
    options,
    peak_mib,
    print_table,
    verdict,
)
from steps import make_batch, make_step, patch_size
from torch import Tensor, nn

from dvcl.losses.entropy import Selection
from dvcl.losses.voxel_sampling import sample_mask
from dvcl.methods import DVCL, METHODS, Method
from dvcl.methods.method import Terms
from dvcl.methods.voxel_sets import Maps, among_all, contrast_codes, draw_unreliable
from dvcl.networks.heads import VoxelTap
from dvcl.networks.network import Prediction


class DenseContrast(DVCL):
    """The same losses from feature maps of all voxels and one boolean mask per class."""

    features: tuple[Tensor, ...] = ()

    def run(self, network: nn.Module, images: Tensor) -> Prediction:
        prediction = super().run(network, images)
        self.features = (*self.features, prediction.features)
        return prediction

    def _contrast(
        self,
        labelled: Maps,
        unlabelled: Maps,
        taps: Sequence[VoxelTap],
        labels: Tensor,
        selections: list[Selection],
        progress: float,
    ) -> Terms:
        anchors, wrong = contrast_codes(labelled, labels, selections)
        maps, self.features = self.features, ()
        dense = torch.cat([self._dense(*pair) for pair in zip(self.heads, maps, strict=True)])
        anchor_rows, wrong_rows = (self._masked(dense, codes) for codes in (anchors, wrong))
        queries = [torch.cat(draw_unreliable(selections, self.queries, self.random))]
        rows = [dense[among_all(voxels, labels, selections)].float() for voxels in queries]
        hqc = self.hqc(anchor_rows, wrong_rows, self.random)
        distance = self._distance(unlabelled, queries, rows)
        return {
            "hqc": self.contrast * hqc,
            "distance": self._distance_strength(progress) * distance,
        }

    def _dense(self, head: Callable[[Tensor], Tensor], features: Tensor) -> Tensor:
        enabled = self.precision is not None
        with torch.autocast(features.device.type, dtype=self.precision, enabled=enabled):
            return head(features.movedim(1, -1)).flatten(0, -2)

    def _masked(self, dense: Tensor, codes: Tensor) -> list[Tensor]:
        rows = []
        for index in range(self.classes):
            mine = dense[codes.flatten() == index]
            everyone = torch.ones(len(mine), dtype=torch.bool, device=mine.device)
            rows.append(mine[sample_mask(everyone, self.anchors, self.random)].float())
        return rows


STEPS: dict[str, type[Method]] = {
    **{name: METHODS[name] for name in ("supervised", "cps", "dvcl")},
    "dvcl, dense features": DenseContrast,
}


def prepare(name: str, quick: bool, device: str) -> Callable[[], None]:
    return make_step(STEPS[name], make_batch(patch_size(quick), device), device)


def memory(name: str, quick: bool, device: str, threads: int) -> float:
    torch.set_num_threads(threads)
    # The first step fills momentum and caches, which stay; the peak of the second is above them.
    return peak_mib(prepare(name, quick, device), device)


def main() -> None:
    chosen = options(__doc__, repeats=3)
    peaks = {
        name: in_fresh_process(memory, name, chosen.quick, chosen.device, chosen.threads)
        for name in STEPS
    }
    steps = {name: prepare(name, chosen.quick, chosen.device) for name in STEPS}
    dense = steps.pop("dvcl, dense features")
    # cps stands at both ends: a machine that drifts shows in its two columns.
    order = {"cps before": steps["cps"], **steps, "cps after": steps["cps"]}
    order = {name: call for name, call in order.items() if name != "cps"}
    seconds = interleaved(order, chosen.repeats)
    seconds["dvcl, dense features"] = interleaved({"": dense}, 1)[""]
    ends = zip(seconds["cps before"], seconds["cps after"], strict=True)
    cps = [sum(pair) / 2 for pair in ends]
    peaks |= {"cps before": peaks["cps"], "cps after": peaks["cps"]}
    print_table(
        ("", "s per step", "x cps", "MiB", "x cps"),
        [
            (
                name,
                statistics.median(values),
                median_ratio(values, cps[-len(values) :]),
                peaks[name],
                peaks[name] / peaks["cps"],
            )
            for name, values in seconds.items()
        ],
    )
    verdict("time of dvcl relative to cps", median_ratio(seconds["dvcl"], cps), 1.15)
    verdict("peak memory of dvcl relative to cps", peaks["dvcl"] / peaks["cps"], 1.05)


if __name__ == "__main__":
    main()
