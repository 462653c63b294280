"""FLARE22: abdominal CT with 13 organs, 50 labelled and 2000 unlabelled cases."""

from __future__ import annotations

from pathlib import Path

from dvcl.datasets.dataset import Dataset, Modality
from dvcl.datasets.published import Published, numbered, paired, unlabelled

FLARE22 = Published(
    name="flare22",
    title="FLARE22",
    citation="Ma et al., Unleashing the strengths of unlabeled data in pan-cancer abdominal organ "
    "quantification: the FLARE22 challenge, arXiv 2308.05862, 2023",
    licence="not found; the challenge gives the data for research only",
    page="https://flare22.grand-challenge.org/Dataset/",
    organs={
        1: "liver",
        2: "right kidney",
        3: "spleen",
        4: "pancreas",
        5: "aorta",
        6: "inferior vena cava",
        7: "right adrenal gland",
        8: "left adrenal gland",
        9: "gallbladder",
        10: "esophagus",
        11: "stomach",
        12: "duodenum",
        13: "left kidney",
    },
)

LABELLED = "Training/FLARE22_LabeledCase*"
UNLABELLED = "Training/FLARE22_UnlabeledCase*"
TRAINING, TUNING, PLAIN = "FLARE22_Tr_{:04d}", "FLARETs_{:04d}", "Case_{:05d}"


def load_flare22(folder: Path, modality: Modality | None = None) -> Dataset:
    """Read Training/ and, where it is there, Tuning/.

    ``Training/FLARE22_LabeledCase50/{images,labels}`` are the 50 labelled cases,
    ``Training/FLARE22_UnlabeledCase1-1000`` and the like the 2000 unlabelled ones; any number of
    these folders, and any part of the cases, is taken. Of ``Tuning/images`` those with a label in
    ``Tuning/labels`` are labelled, the others unlabelled; the challenge's first release had them
    without labels, directly in ``Validation/``. No labelled case has a role: the split divides
    them.

    Not verified on the files themselves: the names of the folders are those that several users of
    the data wrote down, and differ a little between them, so that "LabeledCase" without the 50 is
    taken too. ``Testing/`` (hidden labels, the ids of Tuning) is not read.

    Args:
        folder: That holds Training/.
        modality: "CT" or None.

    Raises:
        InputError: When the folder is laid out otherwise, labelled cases are missing, or files
            have no partner.
    """
    folder, chosen = Path(folder), FLARE22.choose(modality)
    FLARE22.require(folder, [f"{LABELLED}/images", f"{LABELLED}/labels"])
    labelled = next(folder.glob(LABELLED))
    problems: list[str] = []
    cases = paired(
        numbered(labelled / "images", r"FLARE22_Tr_(\d{4})_0000"),
        numbered(labelled / "labels", r"FLARE22_Tr_(\d{4})"),
        range(1, 51), TRAINING, labelled, problems,
    )  # fmt: skip
    tuning = numbered(folder / "Tuning" / "images", r"FLARETs_(\d{4})_0000")
    labels = numbered(folder / "Tuning" / "labels", r"FLARETs_(\d{4})")
    has_label = {number: path for number, path in tuning.items() if number in labels}
    cases += paired(has_label, labels, 0, TUNING, folder / "Tuning", problems)
    tuning |= numbered(folder / "Validation", r"FLARETs_(\d{4})_0000")
    cases += unlabelled({n: p for n, p in tuning.items() if n not in has_label}, TUNING)
    # Archives left beside their folders hold no volumes by their names.
    for part in sorted(folder.glob(UNLABELLED)):
        cases += unlabelled(numbered(part, r"Case_(\d{5})_0000"), PLAIN)
    return FLARE22.dataset(chosen, cases, problems)
