"""The predicting part of a method as one network: patches in, class probabilities out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dvcl.inference.sliding_window import AIR, Window
from dvcl.methods import Method

BATCH = 2  # that programs are traced with; they take any number of patches
PATCHES = "images"
PROBABILITIES = "probabilities"

# How far a written program may be from the network that it was made of.
TOLERANCE = 1e-4


class Predictor(nn.Module):
    """What a method predicts with, whole: of two networks both, and the mean of their softmax maps.

    Patches of nothing but air are background, where the run's windows leave air out.

    Args:
        method: Trained, as `Run.trained_method` gives it; it is changed in place. What does not
            predict is taken out of it: heads, discriminators, students that a teacher stands for,
            and queues, which hold features of patients' scans.
        window: That the run predicts with.
    """

    background: Tensor

    def __init__(self, method: Method, window: Window) -> None:
        super().__init__()
        method.precision = None  # float32: other programs need not know bfloat16
        _keep_what_predicts(method, torch.zeros(1, 1, *window.size))
        self.method = method.eval().requires_grad_(False)
        self.skips_air = window.skip_air
        only_background = torch.zeros(1, method.classes, 1, 1, 1)
        only_background[:, 0] = 1
        self.register_buffer("background", only_background)

    def forward(self, images: Tensor) -> Tensor:
        """Class probabilities (B, K, D, H, W) of prepared patches (B, 1, D, H, W), all float32."""
        probabilities = self.method.predict(images)
        if not self.skips_air:
            return probabilities
        is_air = images.amax((1, 2, 3, 4), keepdim=True) < AIR
        return torch.where(is_air, self.background, probabilities)


@torch.inference_mode()
def _keep_what_predicts(method: Method, patch: Tensor) -> None:
    ran: set[nn.Module] = set()
    modules = [*method.modules()]
    hooks = [part.register_forward_hook(lambda part, *_: ran.add(part)) for part in modules]
    method.predict(patch)
    for hook in hooks:
        hook.remove()
    for part in modules:
        if part not in ran:
            own = [*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)]
            for name, _ in own:
                setattr(part, name, None)


def make_program(predictor: Predictor, window: Window) -> torch.export.ExportedProgram:
    """Trace the predictor for patches of the window's size, in batches of any size."""
    example = torch.zeros(BATCH, 1, *window.size)
    batch = torch.export.Dim("batch", min=1)
    with torch.no_grad():
        return torch.export.export(predictor, (example,), dynamic_shapes={PATCHES: {0: batch}})


def trial_patches(window: Window) -> Tensor:
    """Patches (2 or 3, 1, D, H, W) to compare programs with: two of noise, one of air if skipped.

    A network that sees air would divide rounding errors by the deviation of a constant patch, which
    is next to none: float32 and float64 already differ there, and it says nothing of the program.
    """
    random = torch.Generator().manual_seed(0)
    noise = torch.rand((2, 1, *window.size), generator=random)
    return torch.cat([noise, torch.zeros(int(window.skip_air), 1, *window.size)])
