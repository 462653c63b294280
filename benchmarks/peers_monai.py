"""MONAI's BasicUNet for given processor seconds."""

from __future__ import annotations

import itertools
import math
from typing import Any

import nibabel
import torch
from peers_job import Clock, Job, Trained

from dvcl.datasets.dataset import Case

# Patches of a step, and validations of a run.
PATCHES, VALIDATIONS = 2, 4


def train_monai(job: Job) -> Trained:
    """MONAI's BasicUNet with what its tutorials use; the weights that validate best, as there.

    Patches half of which are centred on an organ, changed in brightness and contrast, Dice with
    cross-entropy, AdamW at 1e-3 with a cosine to 0 at the last second.
    """
    from monai.data import CacheDataset, DataLoader, list_data_collate
    from monai.losses import DiceCELoss
    from monai.networks.nets import BasicUNet
    from monai.transforms import Compose
    from monai.utils import set_determinism

    set_determinism(job.seed)
    classes = job.project.dataset.labels.classes
    prepared = _prepare(job, "image", "label")
    items = [_item(case) for case in job.cases("labelled")]
    dataset = CacheDataset(
        items, Compose([*prepared.transforms, *_draw(job)]), num_workers=1, progress=False
    )
    loader = DataLoader(
        dataset, batch_size=1, shuffle=True, num_workers=0, collate_fn=list_data_collate
    )
    validation = [prepared(_item(case)) for case in job.cases("validation")]
    network = BasicUNet(out_channels=classes)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-5)
    loss_of = DiceCELoss(to_onehot_y=True, softmax=True)
    best, weights, validated = -1.0, network.state_dict(), 0
    steps, clock = 0, Clock()
    for batch in itertools.chain.from_iterable(itertools.repeat(loader)):
        used = min(clock.seconds(), job.seconds)
        for group in optimiser.param_groups:
            group["lr"] = 1e-3 * (1 + math.cos(math.pi * used / job.seconds)) / 2
        network.train()
        optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=job.bfloat16):
            output = network(batch["image"].as_tensor())
        loss = loss_of(output.float(), batch["label"].as_tensor())
        loss.backward()
        optimiser.step()
        steps += 1
        print(f"{steps} steps, {used:.0f} s, loss {loss.item():.3f}")
        share = clock.seconds() / job.seconds
        if int(share * VALIDATIONS) > validated:
            validated = int(share * VALIDATIONS)
            with clock.pause():
                dice = _dice(job, network, validation)
                print(f"validation Dice {dice:.3f}")
                if dice >= best:
                    best = dice
                    weights = {name: w.clone() for name, w in network.state_dict().items()}
        if share >= 1:
            break
    took = clock.seconds()
    network.load_state_dict(weights)
    _predict(job, network)
    return Trained(
        steps, took,
        {
            "patch": job.patch, "batch": PATCHES, "spacing": job.spacing_mm,
            "weights": sum(weight.numel() for weight in network.parameters()),
            "mirroring": job.mirroring, "precision": "bfloat16" if job.bfloat16 else "float32",
            "validation": best,
        },
    )  # fmt: skip


def _item(case: Case) -> dict[str, str]:
    return {"image": str(case.image), "label": str(case.label)}


def _prepare(job: Job, *keys: str) -> Any:
    """From files to voxels of one size; for CT the window of MONAI's abdominal tutorial."""
    from monai import transforms as t

    modes = [{"image": "bilinear", "label": "nearest"}[key] for key in keys]
    if job.project.dataset.modality == "CT":
        intensity = [
            t.ScaleIntensityRanged("image", -175, 250, 0, 1, clip=True),
            t.CropForegroundd(keys, source_key="image", allow_smaller=True),
        ]
    else:
        intensity = [t.NormalizeIntensityd("image")]
    return t.Compose(
        [
            t.LoadImaged(keys, ensure_channel_first=True),
            t.Orientationd(keys, "RAS", labels=None),
            t.Spacingd(keys, job.spacing_mm, mode=modes),
            *intensity,
            t.SpatialPadd(keys, job.patch),
        ]
    )


def _draw(job: Job) -> list[Any]:
    from monai import transforms as t

    keys = ["image", "label"]
    flips = [t.RandFlipd(keys, 0.5, axis) for axis in range(3)] if job.mirroring else []
    return [
        t.RandCropByPosNegLabeld(keys, "label", job.patch, pos=1, neg=1, num_samples=PATCHES),
        *flips,
        t.RandScaleIntensityd("image", 0.1, prob=0.5),
        t.RandShiftIntensityd("image", 0.1, prob=0.5),
    ]


def _logits(job: Job, network: Any, image: torch.Tensor) -> torch.Tensor:
    """(1, K, x, y, z) of an image (1, x, y, z)."""
    from monai.inferers import sliding_window_inference

    network.eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=job.bfloat16):
        return sliding_window_inference(
            image[None].as_tensor(), job.patch, 4, network, overlap=0.5, mode="gaussian"
        ).float()


def _dice(job: Job, network: Any, cases: list[Any]) -> float:
    from monai.metrics import DiceMetric
    from monai.networks import one_hot

    classes = job.project.dataset.labels.classes
    metric = DiceMetric(include_background=False, reduction="mean_batch")
    for case in cases:
        found = _logits(job, network, case["image"]).argmax(1, keepdim=True)
        metric(one_hot(found, classes), one_hot(case["label"][None].as_tensor(), classes))
    return metric.aggregate().nanmean().item()


def _predict(job: Job, network: Any) -> None:
    """Logits taken back to the scan's own voxels, then the likeliest class."""
    from monai.data import MetaTensor
    from monai.transforms import Invertd

    prepare = _prepare(job, "image")
    undo = Invertd("logits", prepare, "image", nearest_interp=False, to_tensor=True)
    for case in job.cases("test"):
        item = prepare({"image": str(case.image)})
        logits = _logits(job, network, item["image"])[0]
        item["logits"] = MetaTensor(logits, meta=item["image"].meta)
        classes = undo(item)["logits"].argmax(0).to(torch.uint8).numpy()
        written = nibabel.Nifti1Image(classes, nibabel.load(case.image).affine)
        nibabel.save(written, job.target(case))
