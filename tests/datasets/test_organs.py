"""Names, colours and codes of organs."""

from __future__ import annotations

import pytest

from dvcl.datasets.amos22 import AMOS22
from dvcl.datasets.btcv import BTCV
from dvcl.datasets.dataset import LabelTable
from dvcl.datasets.flare22 import FLARE22
from dvcl.datasets.mmwhs import MMWHS
from dvcl.datasets.organs import KINDS, LEFT, RIGHT, organ_colour, segments_of
from dvcl.volume.segment import TISSUE


def table(*names: str) -> LabelTable:
    return LabelTable.from_mapping(dict(enumerate(names, start=1)))


@pytest.mark.parametrize("published", [AMOS22, BTCV, FLARE22, MMWHS], ids=lambda it: it.name)
def test_organs_of_published_data_sets_have_codes(published) -> None:
    segments = segments_of(published.labels)
    assert [s.value for s in segments] == list(published.organs)
    assert [s.colour for s in segments] == [organ_colour(i + 1) for i in range(len(segments))]
    without = {s.name for s in segments if s.kind == TISSUE}
    assert without == {"prostate or uterus"} & set(published.organs.values())
    assert len({(s.kind, s.side) for s in segments}) == len(segments)


@pytest.mark.parametrize(
    ("name", "kind", "side"),
    [
        ("RightParotid", "parotid", RIGHT),
        ("parotid_gland_L", "parotid", LEFT),
        ("Kidney, left", "kidney", LEFT),
        ("left ventricle", "left ventricle", None),
        ("Oesophagus", "esophagus", None),
        ("SpinalCord", "spinal cord", None),
        ("left right kidney", None, None),
        ("Anterior", None, None),
    ],
)
def test_a_name_is_known_however_it_is_spelt(name, kind, side) -> None:
    (segment,) = segments_of(table(name))
    assert segment.name == name
    assert (segment.kind, segment.side) == (KINDS[kind] if kind else TISSUE, side)


def test_codes_are_those_of_dicom() -> None:
    concepts = pytest.importorskip("pydicom.sr._concepts_dict").concepts["SCT"]
    known = {value: texts for codes in concepts.values() for value, texts in codes.items()}
    not_listed = {"110765007"}  # portal and splenic vein: of SNOMED CT, in no group of DICOM
    for code in {*KINDS.values(), LEFT, RIGHT, TISSUE}:
        assert code.value in known or code.value in not_listed, code


def test_what_cannot_stand_in_a_header_is_left_out_of_names() -> None:
    (segment,) = segments_of(table("upper\nlobe\x00"))
    assert segment.name == "upper lobe"
