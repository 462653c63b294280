"""AMOS22: abdominal CT and MR with 15 organs; CT unless asked otherwise."""

from __future__ import annotations

from pathlib import Path

from dvcl.datasets.dataset import Dataset, Modality
from dvcl.datasets.published import Published, numbered, paired, unlabelled

AMOS22 = Published(
    name="amos22",
    title="AMOS22",
    citation="Ji et al., AMOS: a large-scale abdominal multi-organ benchmark for versatile medical "
    "image segmentation, NeurIPS Datasets and Benchmarks 2022",
    licence="CC BY 4.0 (Zenodo record 7262581)",
    page="https://amos22.grand-challenge.org/",
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
        10: "pancreas",
        11: "right adrenal gland",
        12: "left adrenal gland",
        13: "duodenum",
        14: "bladder",
        15: "prostate or uterus",
    },
    modalities=("CT", "MR"),
)

FIRST_MR = 500  # the data set's readme: below it CT, otherwise MR
LABELLED = {"CT": {"Tr": 200, "Va": 100}, "MR": {"Tr": 40, "Va": 20}}
NAME, PATTERN = "amos_{:04d}", r"amos_(\d{4})"


def load_amos22(folder: Path, modality: Modality | None = None) -> Dataset:
    """Read imagesTr, labelsTr, imagesVa, labelsVa and imagesTs: 300 labelled CT, or 60 MR.

    Cases of Tr and Va have no role: the split divides them, as in the paper. imagesTs are
    unlabelled. The numbers in the names tell the modality, so dataset.json, whose organ names
    differ from ours in wording, is not read.

    Not verified on the files themselves; the layout and the counts are those of the data set's
    readme.

    Args:
        folder: That holds imagesTr/; the archive calls it amos22/.
        modality: "CT" (default) or "MR".

    Raises:
        InputError: When the folder is laid out otherwise, labelled cases are missing, or files
            have no partner.
    """
    folder, chosen = Path(folder), AMOS22.choose(modality)
    AMOS22.require(folder, ["imagesTr", "labelsTr", "imagesVa", "labelsVa"])
    problems: list[str] = []
    cases = []
    for part, count in LABELLED[chosen].items():
        where = folder / f"images{part}"
        images, labels = _of(chosen, where), _of(chosen, folder / f"labels{part}")
        cases += paired(images, labels, count, NAME, where, problems)
    cases += unlabelled(_of(chosen, folder / "imagesTs"), NAME)
    return AMOS22.dataset(chosen, cases, problems)


def _of(modality: Modality, folder: Path) -> dict[int, Path]:
    is_mr = modality == "MR"
    volumes = numbered(folder, PATTERN)
    return {number: path for number, path in volumes.items() if (number >= FIRST_MR) == is_mr}
