"""Writing that never leaves half a file, reading that says what is wrong, hashes and locks."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from dvcl.errors import InputError

# The disk or the permissions, not the program, are at fault.
REFUSALS = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO),
    *(errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR),
}


@contextmanager
def write_atomically(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; it takes its place only when the block succeeds.

    The temporary file keeps the suffixes of ``path``, because writers choose their format by them.

    Raises:
        InputError: When the disk is full or the system refuses; what stood at ``path`` before is
            untouched.
    """
    path = Path(path)
    with _explained(path):
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
        finally:
            temporary.unlink(missing_ok=True)


def require_writable(folder: Path | str) -> None:
    """Make a folder and try it, so that hours of work are not done for nothing.

    Raises:
        InputError: When it cannot be made or written to.
    """
    with _explained(Path(folder)):
        Path(folder).mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()


def refusal(number: int, path: Path | str | None) -> InputError:
    """Explain the error number with which the system refused ``path``, or a file not known."""
    place = path or "a file"
    if number in (errno.ENOSPC, errno.EDQUOT):
        return InputError(
            f"{place}: no space left on the disk while writing; the file that was there is "
            "unchanged. Free some space or choose another folder, then run the same command again."
        )
    return InputError(
        f"{place}: cannot be read or written ({os.strerror(number)}). Check the path and its "
        "permissions, or choose another folder, then run the same command again."
    )


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        number = _error_number(error)
        if number is None:
            raise
        raise refusal(number, path) from error


def _error_number(error: Exception) -> int | None:
    if isinstance(error, OSError):
        return error.errno
    # Libraries written in Rust, as safetensors, tell it in their text alone.
    found = re.search(r"\(os error (\d+)\)", str(error))
    return int(found[1]) if found else None


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


def read_json(path: Path | str, remedy: str = "") -> Any:
    """Read a JSON file.

    Args:
        path: The file.
        remedy: What to do when it cannot be used, where that is not to correct it by hand.

    Raises:
        InputError: When the file is missing, is not JSON, with the line of the fault, or has a key
            twice.
    """
    path = Path(path)
    try:
        # "-sig": editors on Windows put a byte order mark first.
        text = path.read_text(encoding="utf-8-sig")
        return json.loads(text, object_pairs_hook=_without_double_keys)
    except FileNotFoundError as error:
        problem = f"{path}: no such file; a JSON file was expected there. {remedy}"
        raise InputError(problem.strip()) from error
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); a JSON file was expected there."
        ) from error
    except (ValueError, RecursionError) as error:
        remedy = remedy or "Correct the file by hand."
        raise InputError(f"{path}: not valid JSON ({error}). {remedy}") from error


def _without_double_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # The standard allows them, and the last one would win in silence.
    entries = dict(pairs)
    if len(entries) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(k for k in keys if keys.count(k) > 1)!r} occurs twice")
    return entries


@contextmanager
def read_record(path: Path | str, remedy: str) -> Iterator[Any]:
    """Yield the content of a JSON file that this program wrote, to be taken apart in the block.

    Raises:
        InputError: When the file is missing, is not JSON, or lacks what the block looks for; ends
            with ``remedy``.
    """
    value = read_json(path, remedy)
    try:
        yield value
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path}: is not as this program writes it ({type(error).__name__}: {error}). {remedy}"
        ) from error


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
    with _explained(path):
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
        file = path.open("x", encoding="utf-8")
    except FileExistsError as error:
        raise InputError(
            f"{path.parent}: another process took it at this moment ({path}). Wait for it, or "
            "choose another folder."
        ) from error
    try:
        with file:
            file.write(mine)
    except OSError:
        # On a full disk an empty lock would stay and keep everyone out.
        path.unlink(missing_ok=True)
        raise


def _refuse_if_held(path: Path) -> None:
    remedy = f"If no other process works in {path.parent}, delete this file."
    with read_record(path, remedy) as other:
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
