"""Tells maps predicted for labelled patches from those for unlabelled ones."""

from __future__ import annotations

from torch import Tensor, nn

from dvcl.errors import InputError
from dvcl.networks.convolution import Convolution

HALVINGS = 4
SLOPE = 0.2


class Discriminator(nn.Module):
    """Four strided convolutions over a map and its image (the one of SASSNet and SSL4MIS).

    Those pool with a window that fits one patch size; the mean over all positions fits any.

    Args:
        map_channels: Channels of the map that is judged.
        channels: After the first convolution; each further one doubles them.
        dropout: Of whole channels, after each convolution but the last.
    """

    def __init__(self, map_channels: int, channels: int = 64, dropout: float = 0.5) -> None:
        super().__init__()
        self.map_stem = Convolution(map_channels, channels, 4, stride=2, padding=1)
        self.image_stem = Convolution(1, channels, 4, stride=2, padding=1)
        layers: list[nn.Module] = [nn.LeakyReLU(SLOPE)]
        for _ in range(HALVINGS - 1):
            layers += [
                nn.Dropout3d(dropout),
                Convolution(channels, 2 * channels, 4, stride=2, padding=1),
                nn.LeakyReLU(SLOPE),
            ]
            channels *= 2
        self.body = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels, 2)

    def forward(self, maps: Tensor, images: Tensor) -> Tensor:
        """Scores of unlabelled and labelled.

        Args:
            maps: (B, C, D, H, W), what a network predicts.
            images: (B, 1, D, H, W), for which it predicts it.

        Returns:
            (B, 2) float32 logits.
        """
        features = self.body(self.map_stem(maps) + self.image_stem(images))
        scores: Tensor = self.classifier(features.mean((2, 3, 4)))
        return scores.float()

    def judge(self, maps: Tensor, images: Tensor) -> Tensor:
        """As ``forward``, as it is now: no dropout, and no gradient for its weights."""
        was_training = self.training
        self.eval().requires_grad_(False)
        scores: Tensor = self(maps, images)
        self.train(was_training).requires_grad_(True)
        return scores

    def check_patch(self, patch: tuple[int, int, int]) -> None:
        """Refuse a patch that cannot be halved four times.

        Raises:
            InputError: With the smallest side that can.
        """
        if min(patch) < 2**HALVINGS:
            raise InputError(
                f"patch {patch}: each side must be at least {2**HALVINGS}; the discriminator "
                f"halves it {HALVINGS} times."
            )
