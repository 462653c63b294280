import doctest

import pytest

from dvcl.leaks import patients
from dvcl.leaks.patients import patient_of, shared_patients


@pytest.mark.parametrize(
    ("case_id", "patient"),
    [
        ("patient12_scan1", "patient12"),
        ("Patient-012_b", "patient-012"),
        ("sub-01_ses-02", "sub-01"),
        ("pat7.2", "pat7"),
        ("case_07_visit2", "case_07"),
        ("LIVER3-followup", "liver3"),
        ("hn_12_20190312", "hn_12"),
        ("hn_12_2019-03-12", "hn_12"),
        ("site3_arterial", "site3"),
    ],
)
def test_patients_of_common_names(case_id: str, patient: str) -> None:
    assert patient_of(case_id) == patient


@pytest.mark.parametrize(
    "case_id",
    ["hippocampus_001", "amos_0001", "FLARE22_Tr_0001", "hn_059", "img0001", "patient12", "scan1"],
)
def test_plain_numbers_name_no_patient(case_id: str) -> None:
    assert patient_of(case_id) is None


def test_patients_in_two_parts_are_listed() -> None:
    parts = {
        "labelled": ["patient1_scan1", "patient2_a", "x"],
        "test": ["patient1_scan2", "patient3", "X2"],
        "unlabelled": ["patient3_b", "patient2"],
        "validation": [],
    }
    assert shared_patients(parts) == {
        "patient1": [("labelled", "patient1_scan1"), ("test", "patient1_scan2")],
        "patient2": [("labelled", "patient2_a"), ("unlabelled", "patient2")],
        "patient3": [("test", "patient3"), ("unlabelled", "patient3_b")],
    }


def test_one_part_or_one_case_is_no_leak() -> None:
    assert shared_patients({"labelled": ["patient1_a", "patient1_b"], "test": ["y"]}) == {}
    assert shared_patients({"labelled": ["a"], "test": ["a"]}) == {}


def test_examples() -> None:
    assert doctest.testmod(patients).failed == 0
