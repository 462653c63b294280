"""Writing that never leaves half a file, reading that says what is wrong, and hashes."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from dvcl.errors import InputError, shown

# Names of files and folders that are being written.
PARTIAL = ".partial-"

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
    with refusals_named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f"{PARTIAL}{os.getpid()}-", suffix="".join(path.suffixes[-2:]), dir=path.parent
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


def folder_name(text: str) -> str:
    """Fit for a shell: "small-ct, 4 labelled, rate=0.5" becomes "small-ct_4-labelled_rate=0.5"."""
    bare = re.sub(r"[][(){}'\"]", "", text).replace(", ", "_")
    return re.sub(r"[^\w.=+-]+", "-", bare).strip("-")


def require_writable(folder: Path | str) -> None:
    """Make a folder and try it, so that hours of work are not done for nothing.

    Raises:
        InputError: When it cannot be made or written to.
    """
    with refusals_named(Path(folder)):
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
def refusals_named(path: Path) -> Iterator[None]:
    """Whatever the system refuses in the block is told of ``path``.

    Raises:
        InputError: In the place of the system's error.
    """
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


def defined(value: Any) -> Any:
    """The same in what JSON has: NaN and infinity as None, paths as text, sets as sorted lists."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: defined(inner) for key, inner in value.items()}
    if isinstance(value, set):
        return sorted(value)
    if isinstance(value, list | tuple):
        return [defined(inner) for inner in value]
    return str(value) if isinstance(value, Path) else value


def write_json(path: Path | str, value: Any) -> None:
    """Write ``value`` as indented JSON atomically; NaN is refused, as JSON has none."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path | str, remedy: str = "", absent: str = "Check the path.") -> Any:
    """Read a JSON file.

    Args:
        path: The file.
        remedy: What to do when it cannot be used, where that is not to correct it by hand.
        absent: What to do when it is not there, where that is not the ``remedy``.

    Raises:
        InputError: When the file is missing, is not JSON, with the line of the fault, or has a key
            twice.
    """
    path = Path(path)
    try:
        # "-sig": editors on Windows put a byte order mark first.
        text = path.read_text(encoding="utf-8-sig")
        value = json.loads(
            text, object_pairs_hook=_without_double_keys, parse_constant=_refuse_constant
        )
        if "\\ud" in text.casefold():
            # Half of a letter: it can be neither printed nor written.
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: no such file; a JSON file was expected there. {remedy or absent}"
        ) from error
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
        ((key, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key {shown(key)} occurs twice")
    return entries


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


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


def crc32_of_bytes(path: Path | str) -> int:
    """CRC-32 of a file's bytes: finds every flipped bit, at the speed of memory."""
    found = 0
    with Path(path).open("rb") as file:
        while part := file.read(2**20):
            found = zlib.crc32(part, found)
    return found
