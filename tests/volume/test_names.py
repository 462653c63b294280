import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dvcl.errors import InputError
from dvcl.volume import is_volume, read_geometry, read_label, read_volume, volume_stem
from dvcl.volume.names import is_dicom
from dvcl.volume.reading import source_files


@pytest.mark.parametrize(
    ("name", "stem", "volume"),
    [
        ("a.nii.gz", "a", True),
        ("a.nii", "a", True),
        ("a.b.nii.gz", "a.b", True),
        ("1.2.840.1.nii", "1.2.840.1", True),
        ("A.NII.GZ", "A", True),
        ("größe 1.nii.gz", "größe 1", True),
        (".hidden.nii.gz", ".hidden", False),
        ("._a.nii.gz", "._a", False),
        ("a.hdr", "a", True),
        ("a.img", "a", False),
        ("a.nrrd", "a", True),
        ("a.seg.nrrd", "a", True),
        ("1.2.nhdr", "1.2", True),
        ("a.mha", "a", True),
        ("a.MHD", "a", True),
        ("a.raw", "a", False),
        ("a.dcm", "a", False),
        ("nii.gz", "nii", False),
    ],
)
def test_names_of_volumes(name: str, stem: str, volume: bool) -> None:
    assert volume_stem(Path("a.folder") / name) == stem
    assert is_volume(Path("a.folder") / name) is volume


def test_a_folder_is_a_volume_where_some_file_in_it_is_dicom(tmp_path: Path) -> None:
    folder = tmp_path / "patient.7"
    (folder / "study" / "series").mkdir(parents=True)
    (folder / "notes.txt").write_text("a" * 200)
    assert not is_volume(folder)
    assert volume_stem(folder) == "patient.7"
    (folder / "study" / ".hidden").write_bytes(bytes(128) + b"DICM")
    assert not is_volume(folder)
    (folder / "study" / "series" / "IM0001").write_bytes(bytes(128) + b"DICM")
    assert is_volume(folder)
    assert not is_volume(folder.rename(tmp_path / ".hidden"))


def test_the_folder_here_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert volume_stem(".") == tmp_path.name


def test_dicom_is_told_by_its_content(tmp_path: Path) -> None:
    contents = {
        "a.dcm": (b"", False),
        "b.dcm": (bytes(200), False),
        "c": (bytes(128) + b"DICM", True),
        "text": (b"8 0 8 0 UI " * 50, False),
        "counting": (np.arange(8, 900, dtype="<u2").tobytes(), False),
        "eights": (np.full(900, 8, "<u2").tobytes(), False),
    }
    for name, (content, expected) in contents.items():
        (tmp_path / name).write_bytes(content)
        assert is_dicom(tmp_path / name) is expected, name


@pytest.mark.parametrize(("name", "library"), [("a.nrrd", "SimpleITK"), ("a", "pydicom")])
def test_a_missing_library_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, library: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    path = tmp_path / name
    if name == "a":
        path.mkdir()
        (path / "1").write_bytes(bytes(128) + b"DICM")
    else:
        path.write_bytes(b"NRRD0004\nspacings: 1 1 1\n\n")
    with pytest.raises(
        InputError, match=rf"{name}: .* needs {library}, .*pip install SimpleITK pydicom highdicom"
    ):
        read_geometry(path)


@pytest.mark.parametrize("name", ["scan.nii.gz", "mask.seg.dcm", "case"])
@pytest.mark.parametrize("read", [read_geometry, read_volume, read_label, source_files])
def test_a_folder_of_other_files_is_named_as_one_without_pydicom_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, read: Callable[[Path], object]
) -> None:
    monkeypatch.setitem(sys.modules, "pydicom", None)
    folder = tmp_path / name
    folder.mkdir()
    (folder / "scan.nii").write_bytes(b"volume")
    with pytest.raises(InputError, match=f"{name}: is a folder without DICOM slices, found 1"):
        read(folder)
