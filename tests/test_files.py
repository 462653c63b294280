import errno
import time
from pathlib import Path

import numpy as np
import pytest

from dvcl.errors import InputError
from dvcl.files import (
    crc32_of_bytes,
    folder_name,
    read_json,
    require_writable,
    sha256_of_array,
    sha256_of_bytes,
    sha256_of_json,
    write_atomically,
    write_json,
    write_text,
)


def test_a_file_takes_its_place_only_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "a.b.nii.gz"
    with write_atomically(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
        assert temporary.parent == path.parent
        assert temporary.name.endswith(".nii.gz")
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_text(path, "old")
    failure = KeyError("in the middle")
    with pytest.raises(KeyError), write_atomically(path):
        raise failure
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(InputError, match=r"a\.npy: no space left"), write_atomically(path):
        raise full
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named_by_libraries_that_raise_their_own_errors(tmp_path: Path) -> None:
    full = RuntimeError("I/O error: No space left on device (os error 28)")
    with pytest.raises(InputError, match=r"a\.safetensors: no space left"):  # noqa: SIM117
        with write_atomically(tmp_path / "a.safetensors"):
            raise full


def test_what_the_system_refuses_is_named(tmp_path: Path) -> None:
    """A file where a folder should be, a folder where the file should be, a name too long."""
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for name, reason in {
        "file/a.json": "Not a directory|File exists",
        "folder": "Is a directory",
        "x" * 300: "File name too long",
    }.items():
        with pytest.raises(InputError, match=f"(?s){name}.*({reason}).*permissions"):
            write_text(tmp_path / name, "")
    assert {path.name for path in tmp_path.iterdir()} == {"file", "folder"}


def test_a_folder_is_made_and_tried_before_the_work(tmp_path: Path) -> None:
    require_writable(tmp_path / "new" / "folder")
    assert list((tmp_path / "new" / "folder").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file: cannot be .*another folder"):
        require_writable(tmp_path / "file")


def test_written_files_have_the_permissions_of_other_new_files(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_text(tmp_path / "atomic", "")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_json_round_trip_keeps_names(tmp_path: Path) -> None:
    value = {"Größe": [1, 2.5, None], "b": {"c": "肝"}}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value
    assert "肝" in (tmp_path / "a.json").read_text(encoding="utf-8")


def test_json_of_windows_editors_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"1": "liver"}')
    assert read_json(tmp_path / "a.json") == {"1": "liver"}


def test_unreadable_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none.json: no such file.* Check the path"):
        read_json(tmp_path / "none.json")
    with pytest.raises(InputError, match="none.json: no such file.* there. Make it anew"):
        read_json(tmp_path / "none.json", "Make it anew.")
    with pytest.raises(InputError, match="Is a directory"):
        read_json(tmp_path)
    (tmp_path / "broken.json").write_text('{"1": "liver",\n"2" "spleen"}')
    with pytest.raises(InputError, match=r"broken\.json: not valid JSON .*line 2"):
        read_json(tmp_path / "broken.json")
    (tmp_path / "binary.json").write_bytes(b"\x93NUMPY")
    with pytest.raises(InputError, match="binary.json: not valid JSON"):
        read_json(tmp_path / "binary.json")


def test_a_key_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"1": "liver", "1": "spleen"}')
    with pytest.raises(InputError, match=r"a\.json: .*the key '1' occurs twice"):
        read_json(tmp_path / "a.json")


def test_nan_is_not_written_as_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"dice": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_array_hash_sees_content_shape_and_type_but_not_memory_order() -> None:
    array = np.arange(12, dtype=np.int16).reshape(3, 4)
    different = [array + 1, array.reshape(4, 3), array.astype(np.int32), array[:0]]
    hashes = {sha256_of_array(other) for other in [array, *different]}
    assert len(hashes) == 5
    assert sha256_of_array(np.asfortranarray(array)) == sha256_of_array(array)
    assert sha256_of_array(array[:, ::2]) == sha256_of_array(array[:, ::2].copy())


def test_json_hash_does_not_depend_on_key_order() -> None:
    assert sha256_of_json({"a": 1, "b": [2]}) == sha256_of_json({"b": [2], "a": 1})
    assert sha256_of_json({"a": 1}) != sha256_of_json({"a": 2})


def test_file_hash_is_the_usual_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of_bytes(tmp_path / "a").startswith("ba7816bf8f01cfea")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"a": NaN}', "NaN is no number"),
        ('{"a": "\\ud800"}', "surrogates"),
        ('{"a": ' + "9" * 5000 + "}", "4300 digits"),
        ("[" * 100_000, "recursion"),
        ('{"' + "k" * 100_000 + '": 1, "' + "k" * 100_000 + '": 1}', r"the key 'k{35,40}\.\.\.k"),
    ],
    ids=["nan", "half a letter", "digits", "depth", "long key twice"],
)
def test_what_no_program_can_use_is_refused_in_a_short_message(
    tmp_path: Path, text: str, told: str
) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match=rf"a\.json: not valid JSON .*{told}") as caught:
        read_json(tmp_path / "a.json")
    assert len(str(caught.value)) < 400


def test_a_million_keys_are_looked_through_in_seconds(tmp_path: Path) -> None:
    keys = [*(f'"{number}": 0' for number in range(10**6)), '"999999": 1']
    (tmp_path / "a.json").write_text("{" + ",".join(keys) + "}")
    began = time.process_time()
    with pytest.raises(InputError, match="'999999' occurs twice"):
        read_json(tmp_path / "a.json")
    assert time.process_time() - began < 10


def test_every_flipped_bit_changes_the_checksum(tmp_path: Path) -> None:
    content = bytes(range(256)) * 3
    (tmp_path / "a").write_bytes(content)
    whole = crc32_of_bytes(tmp_path / "a")
    for bit in range(0, 8 * len(content), 7):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        (tmp_path / "a").write_bytes(flipped)
        assert crc32_of_bytes(tmp_path / "a") != whole


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("small-ct", "small-ct"),
        ("small-ct, 4 labelled, equal time, rate=0.5", "small-ct_4-labelled_equal-time_rate=0.5"),
        ("ct, patch=[16, 24, 16]", "ct_patch=16_24_16"),
        ("Körper (alt)", "Körper-alt"),
    ],
)
def test_names_of_folders_need_no_quotes_in_a_shell(text: str, name: str) -> None:
    assert folder_name(text) == name
