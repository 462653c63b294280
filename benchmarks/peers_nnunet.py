"""nnU-Net 2 for given processor seconds."""

from __future__ import annotations

import json
import os
import random
from typing import Any

import numpy as np
import torch
from peers_job import Clock, Job, Trained


def train_nnunet(job: Job) -> Trained:
    """nnU-Net: its own plan, preprocessing, augmentation, loss and optimiser; its last weights.

    Its epochs only set the learning rate, by the share of epochs that are over. Here the rate goes
    down with the share of seconds instead, to the same end, so that no step needs to be measured
    first. Augmentation runs in this process and counts.
    """
    _prepare(job)
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
    _predict(job, trainer)
    plan = plans["configurations"]["3d_fullres"]
    return Trained(
        steps, took,
        {
            "patch": plan["patch_size"], "batch": plan["batch_size"], "spacing": plan["spacing"],
            "weights": sum(weight.numel() for weight in trainer.network.parameters()),
            "mirroring": job.mirroring, "memory_gb": job.memory_gb, "precision": "float32",
        },
    )  # fmt: skip


def _prepare(job: Job) -> None:
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


def _predict(job: Job, trainer: Any) -> None:
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


def _seed(seed: int) -> None:
    """The global generators, which nnU-Net draws from."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)
