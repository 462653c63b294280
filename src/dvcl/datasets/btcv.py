"""BTCV: 30 labelled abdominal CT of "Beyond the Cranial Vault", 13 organs."""

from __future__ import annotations

from pathlib import Path

from dvcl.datasets.dataset import Dataset, Modality
from dvcl.datasets.published import Published, numbered, paired, unlabelled

BTCV = Published(
    name="btcv",
    title="BTCV",
    citation="Landman et al., MICCAI multi-atlas labeling beyond the cranial vault: workshop and "
    "challenge, 2015",
    licence="not found; registration at Synapse",
    page="https://www.synapse.org/Synapse:syn3193805/wiki/89480",
    organs={
        1: "spleen",
        2: "right kidney",
        3: "left kidney",
        4: "gallbladder",
        5: "esophagus",
        6: "liver",
        7: "stomach",
        8: "aorta",
        9: "inferior vena cava",
        10: "portal and splenic veins",
        11: "pancreas",
        12: "right adrenal gland",
        13: "left adrenal gland",
    },
)

NUMBERS = (*range(1, 11), *range(21, 41))


def load_btcv(folder: Path, modality: Modality | None = None) -> Dataset:
    """Read Training/img, Training/label and, where it is there, Testing/img.

    The 30 training cases (img0001 to img0010 and img0021 to img0040) have no role: the split
    divides them. The test images, whose labels were never given out, are unlabelled.

    Not verified on the files themselves; the layout is that of RawData.zip as its users describe
    it. The abdomen part alone is read, not the cervix.

    Args:
        folder: That holds Training/; the archive calls it RawData/.
        modality: "CT" or None.

    Raises:
        InputError: When the folder is laid out otherwise, training cases are missing, or files
            have no partner.
    """
    folder, chosen = Path(folder), BTCV.choose(modality)
    BTCV.require(folder, ["Training/img", "Training/label"])
    problems: list[str] = []
    images = numbered(folder / "Training" / "img", r"img(\d{4})")
    labels = numbered(folder / "Training" / "label", r"label(\d{4})")
    cases = paired(images, labels, NUMBERS, "img{:04d}", folder / "Training", problems)
    cases += unlabelled(numbered(folder / "Testing" / "img", r"img(\d{4})"), "img{:04d}")
    return BTCV.dataset(chosen, cases, problems)
