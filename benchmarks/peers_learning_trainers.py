"""nnU-Net, a MONAI network and dvcl's methods, each trained for given processor seconds.

Every function trains on a job's labelled cases and writes label maps of its test cases on the
scans' own voxels. Only training counts: the clock stands while data are prepared beforehand, while
validation cases are predicted, and before the test.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import os
import random
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import torch

from dvcl.commands.predict import predict_files
from dvcl.commands.train import train_run
from dvcl.datasets.dataset import Case
from dvcl.recipe import Recipe
from dvcl.splits import Split
from dvcl.studies.project import Project
from dvcl.volume import volume_stem

# Enough for a mean: a schedule may make late steps dearer than early ones, so that a pilot run goes
# through all of it. Its first steps pay for starting.
PILOT_STEPS, PILOT_SKIPPED = 60, 5

# Patches of a step, and validations of a run.
MONAI_PATCHES, MONAI_VALIDATIONS = 2, 4


@dataclass(frozen=True)
class Job:
    """What is to be learned from, for how long, and where it goes.

    Attributes:
        project: The prepared study; peers take the paths of its files.
        recipe: dvcl's settings.
        split: Which case is for what.
        seconds: Of the processor, for training.
        seed: Of initialisation and sampling.
        folder: New folder for what is written.
        patch: MONAI's patch in voxels, (x, y, z).
        spacing_mm: MONAI's voxels, (x, y, z).
        mirroring: For peers; dvcl's flips are in its recipe.
        bfloat16: For MONAI; nnU-Net has no autocast on a CPU.
        memory_gb: That nnU-Net's planner aims at; None leaves it its choice.
    """

    project: Project
    recipe: Recipe
    split: Split
    seconds: float
    seed: int
    folder: Path
    patch: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    mirroring: bool = False
    bfloat16: bool = False
    memory_gb: float | None = None

    def cases(self, part: str) -> list[Case]:
        """The cases of "labelled", "validation" or "test"."""
        by_id = {case.id: case for case in self.project.dataset.cases}
        return [by_id[case_id] for case_id in getattr(self.split, part)]

    def target(self, case: Case) -> Path:
        """Where the label map of a case is written."""
        return self.folder / "predictions" / f"{volume_stem(case.image)}.nii.gz"


@dataclass(frozen=True)
class Trained:
    """Steps done, the processor seconds they took, and settings worth knowing."""

    steps: int
    seconds: float
    settings: Mapping[str, Any]


class Clock:
    """Processor seconds of this process, of all its threads, without what `pause` holds."""

    def __init__(self) -> None:
        self.began = time.process_time()

    def seconds(self) -> float:
        return time.process_time() - self.began

    @contextlib.contextmanager
    def pause(self) -> Iterator[None]:
        before = time.process_time()
        yield
        self.began += time.process_time() - before


def train_nnunet(job: Job) -> Trained:
    """nnU-Net: its own plan, preprocessing, augmentation, loss and optimiser; its last weights.

    Its epochs only set the learning rate, by the share of epochs that are over. Here the rate goes
    down with the share of seconds instead, to the same end, so that no step needs to be measured
    first. Augmentation runs in this process and counts.
    """
    _prepare_nnunet(job)
    os.environ |= {"nnUNet_n_proc_DA": "0"}  # the planner refuses 0
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
    from nnunetv2.training.nnUNetTrainer.variants.data_augmentation import nnUNetTrainerNoMirroring

    plain = nnUNetTrainerNoMirroring.nnUNetTrainerNoMirroring
    kind = nnUNetTrainer if job.mirroring else plain
    prepared = job.folder / "preprocessed/Dataset001_peers"
    plans = json.loads((prepared / "nnUNetPlans.json").read_text())
    dataset = json.loads((prepared / "dataset.json").read_text())
    _seed(job.seed)
    trainer = kind(
        {**plans, "continue_training": False}, "3d_fullres", "all", dataset, torch.device("cpu")
    )
    trainer.on_train_start()
    trainer.network.train()
    trainer.lr_scheduler.max_steps = job.seconds
    steps, clock = 0, Clock()
    while (used := clock.seconds()) < job.seconds:
        trainer.lr_scheduler.step(used)
        loss = trainer.train_step(next(trainer.dataloader_train))["loss"]
        steps += 1
        print(f"{steps} steps, {used:.0f} s, loss {loss:.3f}")
    took = clock.seconds()
    trainer.set_deep_supervision_enabled(False)
    trainer.network.eval()
    _predict_nnunet(job, trainer)
    plan = plans["configurations"]["3d_fullres"]
    return Trained(
        steps, took,
        {
            "patch": plan["patch_size"], "batch": plan["batch_size"], "spacing": plan["spacing"],
            "weights": sum(weight.numel() for weight in trainer.network.parameters()),
            "mirroring": job.mirroring, "memory_gb": job.memory_gb, "precision": "float32",
        },
    )  # fmt: skip


def _prepare_nnunet(job: Job) -> None:
    """The labelled cases in nnU-Net's folders, looked at, planned for and preprocessed."""
    for name in ("raw", "preprocessed", "results"):
        (job.folder / name).mkdir(parents=True)
        os.environ[f"nnUNet_{name}"] = str(job.folder / name)
    os.environ |= {"nnUNet_n_proc_DA": "1", "nnUNet_compile": "0"}
    raw, labels = job.folder / "raw/Dataset001_peers", job.project.dataset.labels
    for name in ("imagesTr", "labelsTr"):
        (raw / name).mkdir(parents=True)
    for case in job.cases("labelled"):
        (raw / f"imagesTr/{case.id}_0000.nii.gz").symlink_to(case.image)
        (raw / f"labelsTr/{case.id}.nii.gz").symlink_to(case.label)
    (raw / "dataset.json").write_text(
        json.dumps(
            {
                "channel_names": {"0": "CT" if job.project.dataset.modality == "CT" else "MRI"},
                "labels": dict(zip(labels.names, labels.values, strict=True)),
                "numTraining": len(job.split.labelled),
                "file_ending": ".nii.gz",
            }
        )
    )
    from nnunetv2.experiment_planning import plan_and_preprocess_api as api

    api.extract_fingerprints([1], num_processes=1, verbose=False, show_progress_bar=False)
    api.plan_experiments([1], gpu_memory_target_in_gb=job.memory_gb)
    api.preprocess([1], configurations=("3d_fullres",), num_processes=(1,), show_progress_bar=False)


def _predict_nnunet(job: Job, trainer: Any) -> None:
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
    predictor.manual_initialization(
        trainer.network,
        trainer.plans_manager,
        trainer.configuration_manager,
        [trainer.network.state_dict()],
        trainer.dataset_json,
        type(trainer).__name__,
        trainer.inference_allowed_mirroring_axes,
    )
    cases = job.cases("test")
    predictor.predict_from_files_sequential(
        [[str(case.image)] for case in cases],
        [str(job.target(case)).removesuffix(".nii.gz") for case in cases],
    )


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
    prepared = _monai_prepare(job, "image", "label")
    items = [_monai_item(case) for case in job.cases("labelled")]
    dataset = CacheDataset(
        items, Compose([*prepared.transforms, *_monai_draw(job)]), num_workers=1, progress=False
    )
    loader = DataLoader(
        dataset, batch_size=1, shuffle=True, num_workers=0, collate_fn=list_data_collate
    )
    validation = [prepared(_monai_item(case)) for case in job.cases("validation")]
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
        if int(share * MONAI_VALIDATIONS) > validated:
            validated = int(share * MONAI_VALIDATIONS)
            with clock.pause():
                dice = _monai_dice(job, network, validation)
                print(f"validation Dice {dice:.3f}")
                if dice >= best:
                    best = dice
                    weights = {name: w.clone() for name, w in network.state_dict().items()}
        if share >= 1:
            break
    took = clock.seconds()
    network.load_state_dict(weights)
    _predict_monai(job, network)
    return Trained(
        steps, took,
        {
            "patch": job.patch, "batch": MONAI_PATCHES, "spacing": job.spacing_mm,
            "weights": sum(weight.numel() for weight in network.parameters()),
            "mirroring": job.mirroring, "precision": "bfloat16" if job.bfloat16 else "float32",
            "validation": best,
        },
    )  # fmt: skip


def _monai_item(case: Case) -> dict[str, str]:
    return {"image": str(case.image), "label": str(case.label)}


def _monai_prepare(job: Job, *keys: str) -> Any:
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


def _monai_draw(job: Job) -> list[Any]:
    from monai import transforms as t

    keys = ["image", "label"]
    flips = [t.RandFlipd(keys, 0.5, axis) for axis in range(3)] if job.mirroring else []
    return [
        t.RandCropByPosNegLabeld(keys, "label", job.patch, pos=1, neg=1, num_samples=MONAI_PATCHES),
        *flips,
        t.RandScaleIntensityd("image", 0.1, prob=0.5),
        t.RandShiftIntensityd("image", 0.1, prob=0.5),
    ]


def _monai_logits(job: Job, network: Any, image: torch.Tensor) -> torch.Tensor:
    """(1, K, x, y, z) of an image (1, x, y, z)."""
    from monai.inferers import sliding_window_inference

    network.eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=job.bfloat16):
        return sliding_window_inference(
            image[None].as_tensor(), job.patch, 4, network, overlap=0.5, mode="gaussian"
        ).float()


def _monai_dice(job: Job, network: Any, cases: list[Any]) -> float:
    from monai.metrics import DiceMetric
    from monai.networks import one_hot

    classes = job.project.dataset.labels.classes
    metric = DiceMetric(include_background=False, reduction="mean_batch")
    for case in cases:
        found = _monai_logits(job, network, case["image"]).argmax(1, keepdim=True)
        metric(one_hot(found, classes), one_hot(case["label"][None].as_tensor(), classes))
    return metric.aggregate().nanmean().item()


def _predict_monai(job: Job, network: Any) -> None:
    """Logits taken back to the scan's own voxels, then the likeliest class."""
    from monai.data import MetaTensor
    from monai.transforms import Invertd

    prepare = _monai_prepare(job, "image")
    undo = Invertd("logits", prepare, "image", nearest_interp=False, to_tensor=True)
    for case in job.cases("test"):
        item = prepare({"image": str(case.image)})
        logits = _monai_logits(job, network, item["image"])[0]
        item["logits"] = MetaTensor(logits, meta=item["image"].meta)
        classes = undo(item)["logits"].argmax(0).to(torch.uint8).numpy()
        written = nibabel.Nifti1Image(classes, nibabel.load(case.image).affine)
        nibabel.save(written, job.target(case))


def train_dvcl(job: Job, method: str) -> Trained:
    """A method of dvcl with a recipe; the weights that validate best.

    Ramps and rates follow the number of steps, which a pilot run through the whole schedule says.
    """
    pilot = _timed_run(job, method, _with_steps(job.recipe, PILOT_STEPS, PILOT_STEPS), "pilot")
    step = statistics.mean(pilot[PILOT_SKIPPED:-1])
    # Steps before a validation also measure gradients, as the pilot's last one does.
    training = job.recipe.training
    validations = math.ceil(training.iterations / training.validate_every)
    steps = max(1, round((job.seconds - validations * (pilot[-1] - step)) / step))
    every = math.ceil(steps / validations)
    recipe = _with_steps(job.recipe, steps, every)
    seconds = _timed_run(job, method, recipe, "run", predict=True)
    return Trained(
        len(seconds), sum(seconds),
        {
            "patch": recipe.sampling.patch, "batch": recipe.sampling.labelled,
            "spacing": recipe.preprocessing.spacing_mm, "precision": recipe.training.precision,
            "recipe": recipe.name, "pilot_s": round(sum(pilot), 1),
        },
    )  # fmt: skip


def _with_steps(recipe: Recipe, steps: int, every: int) -> Recipe:
    training = replace(recipe.training, iterations=steps, validate_every=every)
    return replace(recipe, training=training)


def _timed_run(
    job: Job, method: str, recipe: Recipe, name: str, predict: bool = False
) -> list[float]:
    """Processor seconds of every step, without validation."""
    seconds: list[float] = []
    before = 0.0

    def observe(row: Mapping[str, Any]) -> None:
        nonlocal before
        now = time.process_time()
        if row["kind"] == "step":
            # Before the first step lies the reading of all cases.
            seconds.append(now - before if seconds else row["seconds"])
        print({key: row[key] for key in ("iteration", "terms", "mean_dice") if key in row})
        before = time.process_time()

    run = train_run(
        job.project, recipe, method, job.split,
        seed=job.seed, name=f"{job.folder.name}-{name}", device="cpu", observe=observe,
    )  # fmt: skip
    if predict:
        images = [case.image for case in job.cases("test")]
        predict_files(run, images, job.folder / "predictions", device=torch.device("cpu"))
    return seconds


def _seed(seed: int) -> None:
    """The global generators, which nnU-Net draws from."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)


PEERS: dict[str, Callable[[Job], Trained]] = {"nnunet": train_nnunet, "monai": train_monai}


def run_job(job: Job, who: str) -> Trained:
    """Train and predict with one thread; what the trainer prints goes to log.txt of the folder."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    (job.folder / "predictions").mkdir(parents=True)
    log = (job.folder / "log.txt").open("w", buffering=1)
    with log, contextlib.redirect_stdout(log):
        return PEERS[who](job) if who in PEERS else train_dvcl(job, who)
