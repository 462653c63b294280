from pathlib import Path

import numpy as np
import pytest

from dvcl.datasets.checks.cases import CaseReport
from dvcl.datasets.checks.cohort import organ_findings, unusual_findings
from dvcl.datasets.checks.labels import OrganPlace
from dvcl.datasets.checks.sides import side_findings, side_pairs
from dvcl.datasets.checks.twins import patient_findings, twin_findings
from dvcl.datasets.dataset import Case, LabelTable, Role
from dvcl.leaks.fingerprint import ScanFingerprint, coarse_look
from dvcl.volume import Geometry, Volume

TABLE = LabelTable((0, 1, 2, 3), ("background", "liver", "left kidney", "right kidney"))


def report(
    id: str = "a",
    role: Role | None = "labelled",
    organs: dict[str, OrganPlace] | None = None,
    spacing: tuple[float, float, float] = (1, 1, 1),
    fingerprint: ScanFingerprint | None = None,
    unannotated: tuple[str, ...] = (),
) -> CaseReport:
    case = Case(id, Path(f"{id}.nii"), Path(f"{id}-label.nii"), role, unannotated)
    geometry = Geometry((10, 20, 30), np.diag([*spacing[::-1], 1]))
    return CaseReport(case, (), geometry, None, fingerprint, organs)


def organ(x_mm: float = 0, volume: float = 10, at_border: bool = False) -> OrganPlace:
    return OrganPlace(100, volume, x_mm, at_border)


def kidneys(left: float, right: float) -> dict[str, OrganPlace]:
    return {"left kidney": organ(left), "right kidney": organ(right)}


@pytest.mark.parametrize(
    "names",
    [("left kidney", "right kidney"), ("Kidney_L", "Kidney_R"), ("LeftParotid", "RightParotid")],
)
def test_pairs_of_both_sides_by_name(names: tuple[str, str]) -> None:
    assert side_pairs(("liver", *names[::-1], "leftovers", "right lung")) == [names]


def test_one_case_on_the_wrong_side_is_named() -> None:
    sound = [report(id, organs=kidneys(-40, 50)) for id in "abc"]
    (finding,) = side_findings([*sound, report("x", organs=kidneys(40, -50))], TABLE.organs)
    assert (finding.case, finding.code) == ("x", "sides-swapped")
    assert "left kidney lies 90 mm to the right of right kidney" in finding.text


def test_a_mirrored_set_is_one_finding() -> None:
    swapped = [report(id, organs=kidneys(40, -50)) for id in "abc"]
    (finding,) = side_findings(swapped, TABLE.organs)
    assert finding.where == "all cases"
    (finding,) = side_findings([*swapped, report("d", organs=kidneys(-1, 1))], TABLE.organs)
    assert finding.where == "3 of 4 cases"


def test_sides_need_both_organs() -> None:
    one = report(organs={"left kidney": organ(40)})
    assert side_findings([one, report("b"), report("c", organs={})], TABLE.organs) == []


def test_organs_that_lack_and_organs_at_the_border() -> None:
    reports = [
        report("a", organs={"liver": organ(at_border=True), "left kidney": organ()}),
        report("b", organs={"left kidney": organ()}),
        report("c", organs={"left kidney": organ()}, unannotated=("liver",)),
        report("d"),
    ]
    findings = {f.code: f for f in organ_findings(reports, TABLE)}
    assert sorted(findings) == ["organ-absent", "organ-at-border", "organ-never"]
    assert findings["organ-absent"].text == "is absent from 1 of 3 label maps: b."
    assert findings["organ-never"].where == "right kidney"
    assert findings["organ-at-border"].text.endswith("in 1 of 1 label map: a.")


def test_without_label_maps_organs_are_not_judged() -> None:
    assert list(organ_findings([report(organs=None), report(organs={})], TABLE)) == []


def test_scans_unlike_the_others_are_named() -> None:
    usual = [report(f"u{n}", organs={"liver": organ(volume=10 + 0.1 * n)}) for n in range(9)]
    odd = report("odd", organs={"liver": organ(volume=90)}, spacing=(5, 1, 1))
    findings = list(unusual_findings([*usual, odd], TABLE))
    assert [finding.code for finding in findings] == ["odd-spacing", "odd-size", "odd-volume"]
    assert {finding.case for finding in findings} == {"odd"}
    assert "voxels of 5 x 1 x 1 mm (z, y, x of the patient); the median is 1 x 1 x 1" in (
        findings[0].text
    )
    assert findings[2].text == "liver has 90 ml; the median is 10.4 ml."


def test_a_few_cases_are_never_unusual() -> None:
    few = [report(str(n), spacing=(n + 1, 1, 1)) for n in range(7)]
    assert list(unusual_findings(few, TABLE)) == []


def test_spacing_is_compared_along_the_patients_axes() -> None:
    """Coronal slices of the same voxels are nothing unusual."""
    turned = np.array([[2.0, 0, 0, 0], [0, 0, 3.0, 0], [0, -4.0, 0, 0], [0, 0, 0, 1]])
    case = CaseReport(Case("t", Path("t.nii")), (), Geometry((11, 12, 13), turned))
    assert case.spacing_mm == (4, 3, 2)
    assert case.size == (12, 11, 13)


def fingerprints(number: int) -> list[ScanFingerprint]:
    random = np.random.default_rng(0)
    scans = [Volume(random.random((20, 20, 20)), np.eye(4)) for _ in range(number)]
    return [ScanFingerprint(str(n), coarse_look(scan)) for n, scan in enumerate(scans)]


@pytest.mark.parametrize(
    ("roles", "voxels", "scan"),
    [
        (("labelled", "test"), "same-voxels", "same-scan"),
        (("labelled", "labelled"), "same-voxels-one-part", "same-scan-one-part"),
        ((None, "test"), "same-voxels-one-part", "same-scan-one-part"),
    ],
)
def test_twins_are_worse_in_two_parts(
    roles: tuple[Role | None, Role | None], voxels: str, scan: str
) -> None:
    one, other = fingerprints(2)
    pairs = {voxels: one, scan: ScanFingerprint("x", one.coarse)}
    for code, twin in pairs.items():
        cases = [report("a", roles[0], fingerprint=one), report("b", roles[1], fingerprint=twin)]
        (finding,) = twin_findings([*cases, report("c", fingerprint=other)])
        assert finding.code == code
        assert finding.numbers["other"] == "a"
        assert f"({roles[0] or 'no role'} and {roles[1] or 'no role'}" in finding.text


def test_each_of_many_copies_is_named_once_with_its_worst_twin() -> None:
    (one,) = fingerprints(1)
    roles: list[Role] = ["labelled", "test", "test", "test"]
    cases = [report(id, role, fingerprint=one) for id, role in zip("abcd", roles, strict=True)]
    found = twin_findings(cases)
    assert [(finding.case, finding.numbers["other"]) for finding in found] == [
        ("b", "a"), ("c", "a"), ("d", "a"),
    ]  # fmt: skip
    assert {finding.code for finding in found} == {"same-voxels"}


def test_one_patient_in_two_parts_is_a_hint() -> None:
    reports = [report("patient1_a", "labelled"), report("patient1_b", "test"), report("p", None)]
    (finding,) = patient_findings(reports)
    assert (finding.code, finding.severity) == ("same-patient", "warning")
    assert "patient1_a (labelled), patient1_b (test)" in finding.text
