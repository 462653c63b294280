"""MM-WHS 2017: cardiac CT and MR with seven structures; CT unless asked otherwise."""

from __future__ import annotations

from pathlib import Path

from dvcl.datasets.dataset import Dataset, Modality
from dvcl.datasets.published import Published, numbered, paired, unlabelled

MMWHS = Published(
    name="mmwhs",
    title="MM-WHS 2017",
    citation="Zhuang and Shen, Multi-scale patch and multi-modality atlases for whole heart "
    "segmentation of MRI, Medical Image Analysis 31, 2016",
    licence="not found; registration, for research only",
    page="https://zmiclab.github.io/zxh/0/mmwhs/",
    organs={
        205: "myocardium of the left ventricle",
        420: "left atrium",
        500: "left ventricle",
        550: "right atrium",
        600: "right ventricle",
        820: "ascending aorta",
        850: "pulmonary artery",
    },
    modalities=("CT", "MR"),
    # Stray voxels inside the left atrium, reported by users of the MR part.
    aliases={421: 420},
)


def load_mmwhs(folder: Path, modality: Modality | None = None) -> Dataset:
    """Read ct_train and, where it is there, ct_test; with modality "MR" mr_train and mr_test.

    ``ct_train/ct_train_1001_image.nii.gz`` and ``..._label.nii.gz`` to 1020 are the 20 labelled
    cases, without a role: the split divides them. The test images are unlabelled. The value 421,
    which no organ has, is read as 420 and counted by `dvcl check`.

    Not verified on the files themselves; the layout is that which users of the data describe.

    Args:
        folder: That holds ct_train/.
        modality: "CT" (default) or "MR".

    Raises:
        InputError: When the folder is laid out otherwise, training cases are missing, or files
            have no partner.
    """
    folder, chosen = Path(folder), MMWHS.choose(modality)
    kind = chosen.lower()
    training = folder / f"{kind}_train"
    MMWHS.require(folder, [f"{kind}_train/{kind}_train_*_image.nii*"])
    problems: list[str] = []
    images = numbered(training, rf"{kind}_train_(\d{{4}})_image")
    labels = numbered(training, rf"{kind}_train_(\d{{4}})_label")
    name = f"{kind}_train_{{:04d}}"
    cases = paired(images, labels, range(1001, 1021), name, training, problems)
    tests = numbered(folder / f"{kind}_test", rf"{kind}_test_(\d{{4}})_image")
    cases += unlabelled(tests, f"{kind}_test_{{:04d}}")
    return MMWHS.dataset(chosen, cases, problems)
