"""The viewer's part of a page, and the script that came from elsewhere."""

import gzip
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest

from dvcl.datasets.dataset import LabelTable
from dvcl.viewer.scene import case_scene
from dvcl.viewer.section import FILES, viewer
from dvcl.volume import Volume

NASTY = '</script><script>alert("x")</script> & "more"'


@pytest.fixture(scope="module")
def section():
    image = Volume(np.zeros((9, 9, 9), np.int16), np.eye(4))
    mask = Volume(np.ones((9, 9, 9), np.uint8), np.eye(4))
    labels = LabelTable.from_mapping({1: NASTY})
    return viewer([case_scene(NASTY, image, mask, {NASTY: mask}, labels)])


def test_the_script_is_the_one_whose_hash_and_version_are_written_down():
    about = json.loads(FILES.joinpath("niivue/niivue.json").read_text())
    script = gzip.decompress(FILES.joinpath("niivue/niivue.umd.js.gz").read_bytes())
    assert hashlib.sha256(script).hexdigest() == about["sha256"]
    makefile = Path(__file__).parents[2] / "Makefile"
    assert f"NIIVUE ?= {about['version']}\n" in makefile.read_text()


def test_its_licences_come_along():
    licence = FILES.joinpath("niivue/LICENSE.txt").read_text()
    assert "BSD 2-Clause License" in licence
    bundled = FILES.joinpath("niivue/LICENSE-bundled.txt").read_text()
    for package in ("fflate", "gl-matrix", "nifti-reader-js", "numcodecs", "zarrita"):
        assert f"== ./{package}/" in bundled


def test_names_cannot_leave_their_place(section):
    assert "alert(" in section
    assert "<script>alert" not in section
    (case,) = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', section)
    content = json.loads(case)
    assert content["organs"][0]["name"] == NASTY
    assert content["label_maps"][1]["name"] == NASTY


def test_no_case_no_viewer():
    assert viewer([]) == ""


def test_a_page_grows_by_the_script_once(section):
    assert 1.0e6 < len(section) < 1.2e6
