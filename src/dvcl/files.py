"""Writing that never leaves half a file, reading that says what is wrong, hashes and locks."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from dvcl.errors import InputError


@contextmanager
def write_atomically(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; it takes its place only when the block succeeds.

    The temporary file keeps the suffixes of ``path``, because writers choose their format by them.

    Raises:
        InputError: When the disk is full; what stood at ``path`` before is untouched.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(
        prefix=".partial-", suffix="".join(path.suffixes[-2:]), dir=path.parent
    )
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise InputError(
            f"{path}: no space left on the disk while writing; the file that was there is "
            "unchanged. Free some space or choose another folder, then run the same command again."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: Path | str, text: str) -> None:
    """Write UTF-8 text atomically."""
    with write_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path | str, value: Any) -> None:
    """Write ``value`` as indented JSON atomically; NaN is refused, as JSON has none."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path | str) -> Any:
    """Read a JSON file.

    Raises:
        InputError: When the file is missing or is not JSON, with the line of the fault.
    """
    path = Path(path)
    try:
        # "-sig": editors on Windows put a byte order mark first.
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; a JSON file was expected there.") from error
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); a JSON file was expected there."
        ) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid JSON ({error}). Correct the file by hand.") from error


def sha256_of_bytes(path: Path | str) -> str:
    """SHA-256 of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_array(array: np.ndarray) -> str:
    """SHA-256 of an array's shape, dtype and content."""
    array = np.ascontiguousarray(array)
    digest = hashlib.sha256(f"{array.shape}{array.dtype.str}".encode())
    digest.update(array.data)
    return digest.hexdigest()


def sha256_of_json(value: Any) -> str:
    """SHA-256 of the canonical JSON form: the same settings give the same hash in any key order."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


@contextmanager
def folder_lock(folder: Path | str) -> Iterator[None]:
    """Hold ``folder`` for this process, so that two runs never write into each other.

    A lock left behind by a killed process of this machine is taken over.

    Raises:
        InputError: When another living process holds it; names its pid and host.
    """
    path = Path(folder) / "lock.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        _refuse_if_held(path)
        path.unlink(missing_ok=True)
    _create_lock(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _create_lock(path: Path) -> None:
    mine = json.dumps({"pid": os.getpid(), "host": socket.gethostname()})
    try:
        # "x" creates or fails in one step: of two processes that start together one wins.
        with path.open("x", encoding="utf-8") as file:
            file.write(mine)
    except FileExistsError as error:
        raise InputError(
            f"{path.parent}: another process took it at this moment ({path}). Wait for it, or "
            "choose another folder."
        ) from error


def _refuse_if_held(path: Path) -> None:
    other = read_json(path)
    if _is_held(other):
        raise InputError(
            f"{path.parent}: in use by process {other['pid']} on {other['host']}. Wait for it, "
            f"stop it, or, if you are sure that it is gone, delete {path}."
        )


def _is_held(lock: dict[str, Any]) -> bool:
    if lock["host"] != socket.gethostname():
        return True
    if lock["pid"] == os.getpid():
        return False
    try:
        os.kill(lock["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
