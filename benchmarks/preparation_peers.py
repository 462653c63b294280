"""One CT with its label, from .nii.gz to prepared arrays on disk, as the peers do it.

Every function does what `dvcl.store` does to a case, in the peer's own words: read, turn, clip,
resample, scale, write. Each writes what its users train from: torch files (MONAI's persistent
cache), blosc2 (nnU-Net), or float32 and uint8 arrays.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from pathlib import Path

import numpy as np
import torch

SPACING_MM = (2.5, 1.25, 1.25)  # (z, y, x)
WINDOW, PERCENTILES, ORIENTATION = (-325.0, 325.0), (0.5, 99.5), "LPI"


def monai_transform(order: int):
    from monai import transforms as t

    keys, modes = ["image", "label"], ["bilinear" if order == 1 else order, "nearest"]
    return t.Compose(
        [
            t.LoadImaged(keys, ensure_channel_first=True),
            t.Orientationd(keys, ORIENTATION, labels=None),
            t.ScaleIntensityRanged("image", *WINDOW, *WINDOW, clip=True),
            t.Spacingd(keys, SPACING_MM[::-1], mode=modes),
            t.ScaleIntensityRangePercentilesd("image", *PERCENTILES, 0, 1),
        ]
    )


def monai(image: Path, label: Path, out: Path, order: int) -> None:
    case = monai_transform(order)({"image": image, "label": label})
    torch.save(
        {key: value.as_tensor() for key, value in case.items() if key in ("image", "label")},
        out / "case.pt",
    )


def monai_read(image: Path, label: Path) -> None:
    from monai.transforms import LoadImaged

    LoadImaged(["image", "label"])({"image": image, "label": label})


def torchio(image: Path, label: Path, out: Path, order: int) -> None:
    import torchio as tio

    subject = tio.Subject(image=tio.ScalarImage(image), label=tio.LabelMap(label))
    prepare = tio.Compose(
        [
            tio.ToOrientation(ORIENTATION),
            tio.Clamp(*WINDOW),
            tio.Resample(
                SPACING_MM[::-1], image_interpolation="linear" if order == 1 else "bspline"
            ),
            tio.RescaleIntensity((0, 1), PERCENTILES),
        ]
    )
    prepared = prepare(subject)
    np.save(out / "image.npy", prepared.image.numpy())
    np.save(out / "label.npy", prepared.label.numpy().astype(np.uint8))


def torchio_read(image: Path, label: Path) -> None:
    import torchio as tio

    tio.ScalarImage(image).load()
    tio.LabelMap(label).load()


def simpleitk(image: Path, label: Path, out: Path, order: int) -> None:
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(torch.get_num_threads())
    scan = SimpleITK.DICOMOrient(SimpleITK.ReadImage(image), ORIENTATION)
    scan = SimpleITK.Clamp(scan, SimpleITK.sitkFloat32, *WINDOW)
    axes = [*zip(scan.GetSize(), scan.GetSpacing(), SPACING_MM[::-1], strict=True)]
    size = [round(n * mm / to) for n, mm, to in axes]
    # Centre on centre, as dvcl.
    first = [(n - 1) / 2 - (m - 1) * to / mm / 2 for m, (n, mm, to) in zip(size, axes, strict=True)]
    origin = scan.TransformContinuousIndexToPhysicalPoint(first)
    grid = (
        size,
        SimpleITK.Transform(),
        SimpleITK.sitkNearestNeighbor,
        origin,
        SPACING_MM[::-1],
        scan.GetDirection(),
    )
    kind = SimpleITK.sitkLinear if order == 1 else SimpleITK.sitkBSpline
    prepared = SimpleITK.GetArrayFromImage(SimpleITK.Resample(scan, *grid[:2], kind, *grid[3:]))
    low, high = np.percentile(prepared, PERCENTILES)
    np.save(out / "image.npy", (prepared - np.float32(low)) / np.float32(high - low))
    labels = SimpleITK.DICOMOrient(SimpleITK.ReadImage(label), ORIENTATION)
    np.save(out / "label.npy", SimpleITK.GetArrayFromImage(SimpleITK.Resample(labels, *grid)))


def simpleitk_read(image: Path, label: Path) -> None:
    import SimpleITK

    SimpleITK.ReadImage(image)
    SimpleITK.ReadImage(label)


def nnunet(image: Path, label: Path, out: Path, order: int) -> None:
    """nnU-Net's default preprocessor: no turning, a crop to what is not zero, labels by class."""
    with _quietly():
        from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
        from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

        plans = PlansManager(_nnunet_plans(order))
        dataset = {
            "channel_names": {"0": "CT"},
            "labels": {"background": 0, **{f"organ {k}": k for k in range(1, 14)}},
            "file_ending": ".nii.gz",
        }
        DefaultPreprocessor(verbose=False).run_case_save(
            str(out / "case"), [str(image)], str(label), plans,
            plans.get_configuration("3d_fullres"), dataset,
        )  # fmt: skip


def nnunet_read(image: Path, label: Path) -> None:
    with _quietly():
        from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

        SimpleITKIO().read_images([str(image)])
        SimpleITKIO().read_seg(str(label))


def _nnunet_plans(order: int) -> dict:
    names = ("mean", "median", "std", "min", "max", "percentile_00_5", "percentile_99_5")
    values = (40.0, 40.0, 100.0, -1024.0, 1000.0, *WINDOW)
    resample = {"order_z": 0, "force_separate_z": None}
    return {
        "dataset_name": "benchmark",
        "plans_name": "nnUNetPlans",
        "image_reader_writer": "SimpleITKIO",
        "label_manager": "LabelManager",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "foreground_intensity_properties_per_channel": {"0": dict(zip(names, values, strict=True))},
        "configurations": {
            "3d_fullres": {
                "data_identifier": "nnUNetPlans_3d_fullres",
                "preprocessor_name": "DefaultPreprocessor",
                "patch_size": [64, 128, 128],
                "spacing": list(SPACING_MM),
                "normalization_schemes": ["CTNormalization"],
                "use_mask_for_norm": [False],
                "resampling_fn_data": "resample_data_or_seg_to_shape",
                "resampling_fn_data_kwargs": {"is_seg": False, "order": order, **resample},
                "resampling_fn_seg": "resample_data_or_seg_to_shape",
                "resampling_fn_seg_kwargs": {"is_seg": True, "order": 1, **resample},
                "architecture": {},
            }
        },
    }


@contextlib.contextmanager
def _quietly():
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        warnings.simplefilter("ignore")
        yield


PEERS = {
    "SimpleITK": ("SimpleITK", simpleitk, simpleitk_read),
    "MONAI": ("monai", monai, monai_read),
    "TorchIO": ("torchio", torchio, torchio_read),
    "nnU-Net": ("nnunetv2", nnunet, nnunet_read),
}
