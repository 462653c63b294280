"""FLARE22: abdominal CT with 13 organs, 50 labelled and 2000 unlabelled cases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dvcl.datasets.dataset import Dataset, Modality
from dvcl.datasets.pairing import is_archive
from dvcl.datasets.published import Published, numbered, paired, unlabelled
from dvcl.errors import InputError

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

LABELLED, UNLABELLED = "FLARE22_LabeledCase*", "FLARE22_UnlabeledCase*"
# As distributed; with Training/ given by itself; and as the 50 labelled cases are handed on.
LABELLED_PLACES = (f"Training/{LABELLED}", LABELLED, "FLARE22Train*")
UNLABELLED_PLACES = (f"Training/{UNLABELLED}", UNLABELLED)
TRAINING, TUNING, PLAIN = "FLARE22_Tr_{:04d}", "FLARETs_{:04d}", "Case_{:05d}"


def load_flare22(folder: Path, modality: Modality | None = None) -> Dataset:
    """Read Training/ and, where it is there, Tuning/.

    ``Training/FLARE22_LabeledCase50/{images,labels}`` are the 50 labelled cases,
    ``Training/FLARE22_UnlabeledCase1-1000`` and the like the 2000 unlabelled ones; any number of
    these folders, and any part of the cases, is taken. Of ``Tuning/images`` those with a label in
    ``Tuning/labels`` are labelled, the others unlabelled; the challenge's first release had them
    without labels, directly in ``Validation/``. No labelled case has a role: the split divides
    them. ``Training/`` by itself will do, and ``FLARE22Train/{images,labels}``, as the 50 labelled
    cases are handed on, or a folder that holds it; parts that are still packed are noted.

    Not verified on the files themselves: the names of the folders are those that several users of
    the data wrote down, and differ a little between them, so that "LabeledCase" without the 50 is
    taken too. ``Testing/`` (hidden labels, the ids of Tuning) is not read.

    Args:
        folder: That holds Training/, or one of the above.
        modality: "CT" or None.

    Raises:
        InputError: When the folder is laid out otherwise, labelled cases are missing, or files
            have no partner.
    """
    folder, chosen = Path(folder), FLARE22.choose(modality)
    labelled = _labelled_folder(folder)
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
    parts = [part for place in UNLABELLED_PLACES for part in sorted(folder.glob(place))]
    for part in parts:
        cases += unlabelled(numbered(part, r"Case_(\d{5})_0000"), PLAIN)
    return FLARE22.dataset(chosen, cases, problems, _packed_notes(parts))


def _labelled_folder(folder: Path) -> Path:
    """That holds images/ and labels/ of the labelled cases.

    Raises:
        InputError: When there is none; says whether it is still packed.
    """
    places = [path for place in LABELLED_PLACES for path in sorted(folder.glob(place))]
    for found in (*places, folder):
        if (found / "images").is_dir() and (found / "labels").is_dir():
            return found
    for path in filter(is_archive, places):
        raise InputError(
            f"{path}: the labelled cases are still packed; a folder with images/ and labels/ was "
            "expected beside it. Unpack it there, then run the same command again."
        )
    FLARE22.require(folder, [f"{LABELLED_PLACES[0]}/{part}" for part in ("images", "labels")])
    return folder


def _packed_notes(parts: Sequence[Path]) -> list[str]:
    """Archives of unlabelled cases whose folder is not there."""
    return [
        f"{part}: is still packed, so its unlabelled cases are not used. Unpack it beside itself."
        for part in parts
        if is_archive(part) and not (part.parent / part.name.partition(".")[0]).is_dir()
    ]
