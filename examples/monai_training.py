"""DVCL's distance-aware term in a training loop of MONAI, on noise; your loaders take its place."""

import torch
from monai.losses import DiceCELoss
from monai.networks.nets import UNet
from torch import Tensor
from torch.nn import Conv3d, functional

from dvcl.losses import distance_aware, find_neighbours, sample_mask, select_reliable

CLASSES, FEATURES = 3, 16


def distance_term(logits: Tensor, features: Tensor, random: torch.Generator) -> Tensor:
    """Doubtful voxels agree with their neighbours in feature space and not with the outsiders."""
    log = logits.log_softmax(1)
    doubtful = sample_mask(~select_reliable(log, alpha=0.5).reliable, 256, random)
    rows = [maps.movedim(1, -1).flatten(0, -2)[doubtful] for maps in (log.exp(), features)]
    probabilities, known, unit = rows[0], rows[0].detach(), functional.normalize(rows[1].detach())
    if len(unit) <= 15:
        return logits.sum() * 0
    near, far = find_neighbours(unit, unit, 10, 15, itself=torch.arange(len(unit)))
    return distance_aware(probabilities, known[near], known[far]).mean()


def train(steps: int = 20) -> list[float]:
    """The loss of every step."""
    random = torch.Generator().manual_seed(0)
    network = UNet(3, 1, FEATURES, channels=(8, 16), strides=(2,))
    head = Conv3d(FEATURES, CLASSES, 1)
    supervised = DiceCELoss(to_onehot_y=True, softmax=True)
    optimiser = torch.optim.Adam([*network.parameters(), *head.parameters()], 1e-3)
    losses = []
    for _ in range(steps):
        labelled, unlabelled = torch.randn(2, 1, 16, 16, 16), torch.randn(2, 1, 16, 16, 16)
        labels = (labelled > 0).long() + (labelled > 1).long()
        features = network(torch.cat([labelled, unlabelled]))
        logits = head(features)
        loss = supervised(logits[:2], labels)
        loss = loss + 0.03 * distance_term(logits[2:], features[2:], random)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


if __name__ == "__main__":
    print(*(f"{loss:.3f}" for loss in train()))
