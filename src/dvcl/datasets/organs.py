"""Organs as pages and files show them: one colour each, and the codes of those that are known."""

from __future__ import annotations

import re

from dvcl.datasets.dataset import LabelTable
from dvcl.volume import Segment
from dvcl.volume.segment import TISSUE, Code

# Drawn over grey images. Six are those of Okabe and Ito (https://jfly.uni-koeln.de/color); the
# others were added one by one, each the furthest (CIEDE2000) from all before it and from grey, in
# normal vision and in simulated protanopia and deuteranopia (Machado, IEEE TVCG 15 (2009)). The
# least distance is 10 among the first sixteen and 8 among all. Their order is one in which organs
# that lie beside each other in FLARE22, BTCV and AMOS22 differ by 24 at least (13 in the simulated
# visions): found by exchanging two after two.
ORGAN_COLOURS = (
    *("#bb2222", "#55bbee", "#5588ff", "#88ffbb", "#ee9900", "#0044ff", "#995588"),
    *("#aa00bb", "#cc77aa", "#33eeff", "#eedd44", "#009977", "#779955", "#66cc88"),
    *("#dd6600", "#007744", "#aa66bb", "#ff4488", "#55cc55", "#dd0066"),
)

# SNOMED CT, as DICOM uses it (PS3.16); the organs of the published data sets, and some of planning
# CT and brain MR. Words as `_words` makes them, without a side but where the side is another organ.
KINDS = {
    "liver": Code("10200004", "Liver"),
    "spleen": Code("78961009", "Spleen"),
    "pancreas": Code("15776009", "Pancreas"),
    "kidney": Code("64033007", "Kidney"),
    "stomach": Code("69695003", "Stomach"),
    "gallbladder": Code("28231008", "Gallbladder"),
    "esophagus": Code("32849002", "Esophagus"),
    "aorta": Code("15825003", "Aorta"),
    "inferior vena cava": Code("64131007", "Inferior vena cava"),
    "portal and splenic veins": Code("110765007", "Portal vein and splenic vein"),
    "adrenal": Code("23451007", "Adrenal gland"),
    "duodenum": Code("38848004", "Duodenum"),
    "bladder": Code("89837001", "Bladder"),
    "myocardium of the left ventricle": Code("49848007", "Left Ventricle Myocardium"),
    "left atrium": Code("82471001", "Left atrium"),
    "left ventricle": Code("87878005", "Left ventricle"),
    "right atrium": Code("73829009", "Right atrium"),
    "right ventricle": Code("53085002", "Right ventricle"),
    "ascending aorta": Code("54247002", "Ascending aorta"),
    "pulmonary artery": Code("81040000", "Pulmonary artery"),
    "brainstem": Code("119238007", "Brain Stem"),
    "spinal cord": Code("2748008", "Spinal cord"),
    "parotid": Code("45289007", "Parotid gland"),
    "mandible": Code("91609006", "Mandible"),
    "larynx": Code("4596009", "Larynx"),
    "hippocampus": Code("5366008", "Hippocampus"),
}
LEFT, RIGHT = Code("7771000", "Left"), Code("24028007", "Right")
SIDES = {"left": LEFT, "l": LEFT, "right": RIGHT, "r": RIGHT}
SPELLINGS = {"oesophagus": "esophagus", "gland": ""}
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]+")


def organ_colour(class_index: int) -> str:
    """Colour of a class, 1 for the first organ; the same in every figure, repeating after 20."""
    return ORGAN_COLOURS[(class_index - 1) % len(ORGAN_COLOURS)]


def segments_of(labels: LabelTable) -> tuple[Segment, ...]:
    """The organs of a label table, in class order, as files carry them."""
    organs = zip(labels.organs, labels.values[1:], strict=True)
    return tuple(
        Segment(
            UNPRINTABLE.sub(" ", name).strip(), value,
            colour=organ_colour(index), kind=kind, side=side,
        )
        for index, (name, value) in enumerate(organs, start=1)
        for kind, side in [_kind(name)]
    )  # fmt: skip


def without_code(labels: LabelTable) -> list[str]:
    """The organs of which files can say no more than their names."""
    return [segment.name for segment in segments_of(labels) if segment.kind == TISSUE]


def _kind(name: str) -> tuple[Code, Code | None]:
    words = _words(name)
    if (whole := " ".join(words)) in KINDS:
        return KINDS[whole], None
    sides = [SIDES[word] for word in words if word in SIDES]
    kind = KINDS.get(" ".join(word for word in words if word not in SIDES))
    if kind is None or len(sides) > 1:
        return TISSUE, None
    return kind, (sides[0] if sides else None)


def _words(name: str) -> list[str]:
    """The plain words of a name, as "RightParotid" or "parotid_gland_R"."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = re.findall(r"[^\W_]+", parted.casefold())
    return [word for word in (SPELLINGS.get(word, word) for word in words) if word]
