"""How much one training step may take on: the starting point of a plan."""

from __future__ import annotations

from dataclasses import dataclass, replace

# So few structures lie beside each other, and one patch can show them all.
FEW_ORGANS = 3


@dataclass(frozen=True)
class Effort:
    """Size of a step.

    Attributes:
        voxels: Of one patch, at most.
        channels: Of the network's finest level.
        patches: Labelled ones per step, and as many unlabelled ones.
        is_short: Whether thousands of steps are out of reach, as on a CPU.
    """

    voxels: int
    channels: int
    patches: int
    is_short: bool

    def smaller(self) -> Effort | None:
        """Half of it: first fewer patches, then smaller ones; None where nothing is left to halve.

        Two patches per stream are kept, so that patches of two cases meet in a step.
        """
        if self.patches > 2:
            return replace(self, patches=self.patches // 2)
        if self.voxels >= 2 * LEAST_VOXELS:
            return replace(self, voxels=self.voxels // 2)
        return None


# The paper's step on a GPU: 4 + 4 patches of 64 x 128 x 128 voxels.
GPU = Effort(voxels=64 * 128 * 128, channels=16, patches=4, is_short=False)
# What learned best in minutes on a CPU: 2 + 2 patches of 32 x 32 x 32 voxels (docs/experiments.md).
CPU = Effort(voxels=32 * 32 * 32, channels=16, patches=2, is_short=True)
LEAST_VOXELS = 16 * 16 * 16


def starting_effort(device: str, organs: int) -> Effort:
    """What to try first on a device type; twice the voxels for few organs on a CPU."""
    effort = GPU if device == "cuda" else CPU
    if effort.is_short and organs <= FEW_ORGANS:
        return replace(effort, voxels=effort.voxels * 2)
    return effort
