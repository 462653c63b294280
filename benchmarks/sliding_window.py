"""`predict_volume` against the bare network on the same windows and MONAI's sliding window.

Claim: windows, averages and padding cost at most 5 % on top of the network (which ends in its
softmax here), not more than in MONAI's sliding_window_inference, with the same result and about its
memory. The rows "without network" put a constant in the network's place and so measure what remains
by itself: a few percent drown in the noise of a minute of convolutions. `Window.fast()` is another
protocol: little overlap, air left out.

    python benchmarks/sliding_window.py [--quick] [--device cuda]
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable

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
from torch import Tensor

from dvcl.inference.sliding_window import Predict, Window, predict_volume, window_starts
from dvcl.networks import Network

CLASSES = 14
SHAPE, WINDOW = (96, 256, 256), Window((64, 160, 160), (32, 80, 80))
QUICK_SHAPE, QUICK_WINDOW = (48, 144, 144), Window((32, 96, 96), (16, 48, 48))


def make_image(shape: tuple[int, int, int]) -> Tensor:
    """A noisy body in air."""
    axes = torch.meshgrid(*(torch.linspace(-1, 1, side) for side in shape), indexing="ij")
    body = (axes[1] / 0.7) ** 2 + (axes[2] / 0.9) ** 2 < 1
    return body * (0.3 + 0.4 * torch.rand(shape, generator=torch.Generator().manual_seed(0)))


def make_predict(device: str) -> Callable[[Tensor], Tensor]:
    """Softmax of an untrained network, in bfloat16 on a GPU, as a method predicts."""
    network = Network().build(CLASSES, "kaiming", torch.Generator().manual_seed(0))
    network.to(device).eval()

    def predict(images: Tensor) -> Tensor:
        with torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda"):
            logits = network(images).logits
        return logits.float().softmax(1)

    return predict


def make_calls(quick: bool, device: str) -> dict[str, Callable[[], Tensor | None]]:
    """All ways to predict one volume."""
    shape, window = (QUICK_SHAPE, QUICK_WINDOW) if quick else (SHAPE, WINDOW)
    image, predict, where = make_image(shape).to(device), make_predict(device), torch.device(device)
    overlap = [1 - b / a for a, b in zip(window.size, window.stride, strict=True)]
    constant = torch.rand((1, CLASSES, *window.size), device=device)

    def bare() -> None:
        starts = itertools.product(*map(window_starts, shape, window.size, window.stride))
        for start in starts:
            place = tuple(slice(a, a + side) for a, side in zip(start, window.size, strict=True))
            predict(image[place][None, None])

    def fixed(images: Tensor) -> Tensor:
        return constant.expand(len(images), *constant.shape[1:])

    def ours(network: Predict = predict, window: Window = window) -> Tensor:
        return predict_volume(network, image, window, where)

    def monai(network: Predict = predict) -> Tensor:
        # Here, so that make_image and make_predict serve where there is no MONAI.
        from monai.inferers import sliding_window_inference

        return sliding_window_inference(image[None, None], window.size, 1, network, overlap)[0]

    return {
        "network alone": bare,
        "dvcl": ours,
        "MONAI": monai,
        "dvcl, Window.fast()": lambda: ours(window=window.fast()),
        "dvcl without network": lambda: ours(fixed),
        "MONAI without network": lambda: monai(fixed),
    }


@torch.inference_mode()
def memory(name: str, quick: bool, device: str, threads: int) -> float:
    torch.set_num_threads(threads)
    return peak_mib(make_calls(quick, device)[name], device)


@torch.inference_mode()
def main() -> None:
    chosen = options(__doc__, repeats=2)
    calls = make_calls(chosen.quick, chosen.device)
    peaks = {
        name: in_fresh_process(memory, name, chosen.quick, chosen.device, chosen.threads)
        for name in calls
    }
    difference = (calls["dvcl"]() - calls["MONAI"]()).abs().amax().item()
    seconds = interleaved(calls, chosen.repeats)
    bare = seconds["network alone"]
    print_table(
        ("", "s", "x network", "MiB"),
        [
            (name, statistics.median(values), median_ratio(values, bare), peaks[name])
            for name, values in seconds.items()
        ],
    )
    print(f"largest difference of a probability to MONAI: {difference:.1e}")
    rest = median_ratio(seconds["dvcl without network"], bare)
    verdict("time relative to the network alone", 1 + rest, 1.05)
    theirs = median_ratio(seconds["dvcl without network"], seconds["MONAI without network"])
    verdict("time without the network, relative to MONAI's", theirs, 1)
    verdict("peak memory relative to MONAI", peaks["dvcl"] / peaks["MONAI"], 1.05)


if __name__ == "__main__":
    main()
