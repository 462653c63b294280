"""A folder for one process alone, so that two commands never write into each other."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypedDict

from filelock import FileLock, Timeout

from dvcl.errors import InputError
from dvcl.files import PARTIAL, refusals_named
from dvcl.records import read_record

# The system frees a lock when its process ends, however it ends. What stands in the second file
# is for people.
LOCK, NAME = ".lock", "lock.json"


class Holder(TypedDict):
    """Whose process works in a folder."""

    pid: int
    host: str


@contextmanager
def folder_lock(folder: Path | str) -> Iterator[None]:
    """Hold ``folder`` for this process; what killed ones left half-written there is removed.

    Raises:
        InputError: When another living process holds it; names its pid and host.
    """
    folder = Path(folder)
    with refusals_named(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK, timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise InputError(
                f"{folder}: in use by {who_holds(folder)}. Wait for it, or stop it; "
                "the same command then goes on."
            ) from error
    try:
        # A full disk is met where it matters.
        with suppress(OSError):
            name = json.dumps(Holder(pid=os.getpid(), host=socket.gethostname()))
            (folder / NAME).write_text(name, encoding="utf-8")
        _remove_leftovers(folder)
        yield
    finally:
        (folder / NAME).unlink(missing_ok=True)
        lock.release()


def is_held(folder: Path) -> bool:
    """Whether a living process works in the folder."""
    if not (folder / LOCK).exists():
        return False
    try:
        with FileLock(folder / LOCK, timeout=0):
            return False
    except Timeout:
        return True


def holder_of(folder: Path) -> Holder | None:
    """Who works in a folder that is held; None where that is not known."""
    with suppress(InputError), read_record(folder / NAME, Holder, "") as holder:
        return holder
    return None


def who_holds(folder: Path) -> str:
    """The holder of a folder in words: "process 12 on gpu-1"."""
    holder = holder_of(folder)
    return f"process {holder['pid']} on {holder['host']}" if holder else "another process"


def _remove_leftovers(folder: Path) -> None:
    for path in (*folder.glob(f"{PARTIAL}*"), *folder.glob(f"*/{PARTIAL}*")):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        # Short files, such as scores, are also written by commands that do not hold the folder.
        elif not _is_alive(path.name.removeprefix(PARTIAL).partition("-")[0]):
            path.unlink(missing_ok=True)


def _is_alive(pid: str) -> bool:
    if not pid.isdecimal() or int(pid) == os.getpid():
        return False
    try:
        os.kill(int(pid), 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True
