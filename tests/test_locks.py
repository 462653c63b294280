"""One process per folder, and nothing left of those that were killed."""

import multiprocessing
import os
import socket
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from dvcl.errors import InputError
from dvcl.files import read_json, write_atomically, write_json
from dvcl.locks import folder_lock, holder_of, is_held

SPAWN = multiprocessing.get_context("spawn")


def hold(folder: Path, ready: Event, release: Event) -> None:
    with folder_lock(folder):
        ready.set()
        release.wait(30)


def test_a_folder_held_by_a_living_process_is_refused(tmp_path: Path) -> None:
    ready, release = SPAWN.Event(), SPAWN.Event()
    other = SPAWN.Process(target=hold, args=(tmp_path, ready, release))
    other.start()
    assert ready.wait(30)
    expected = f"in use by process {other.pid} on {socket.gethostname()}"
    with pytest.raises(InputError, match=expected), folder_lock(tmp_path):
        pass
    assert is_held(tmp_path)
    assert holder_of(tmp_path) == {"pid": other.pid, "host": socket.gethostname()}
    release.set()
    other.join()
    assert not is_held(tmp_path)
    with folder_lock(tmp_path):
        assert read_json(tmp_path / "lock.json")["pid"] == os.getpid()
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_the_lock_of_a_killed_process_is_free_and_what_it_was_writing_is_removed(
    tmp_path: Path,
) -> None:
    ready = SPAWN.Event()
    other = SPAWN.Process(target=write_for_ever, args=(tmp_path, ready))
    other.start()
    assert ready.wait(30)
    other.kill()
    other.join()
    left = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert [name.startswith(".partial-") for name in left] == [False, True, True, False], left
    with folder_lock(tmp_path):
        assert read_json(tmp_path / "lock.json")["pid"] == os.getpid()
        assert not [*tmp_path.rglob(".partial-*")]


def write_for_ever(folder: Path, ready: Event) -> None:
    with (
        folder_lock(folder),
        write_atomically(folder / "a.txt"),
        write_atomically(folder / "predictions" / "b.txt"),
    ):
        ready.set()
        Event.wait(SPAWN.Event(), 60)


def test_what_a_living_process_writes_without_the_lock_stays(tmp_path: Path) -> None:
    ready = SPAWN.Event()
    writer = SPAWN.Process(target=write_without_lock, args=(tmp_path, ready))
    writer.start()
    try:
        assert ready.wait(30)
        with folder_lock(tmp_path):
            assert len([*tmp_path.glob(".partial-*")]) == 1
    finally:
        writer.kill()
        writer.join()


def write_without_lock(folder: Path, ready: Event) -> None:
    with write_atomically(folder / "cases.csv"):
        ready.set()
        Event.wait(SPAWN.Event(), 60)


def take_turns(folder: Path, start: Event, rounds: int) -> None:
    """Count in a file; two holders at once would lose a count, or see each other's mark."""
    start.wait(30)
    done = 0
    while done < rounds:
        try:
            with folder_lock(folder):
                mark = folder / "mark"
                mark.touch(exist_ok=False)
                count = read_json(folder / "count.json")
                write_json(folder / "count.json", count + 1)
                mark.unlink()
                done += 1
        except InputError:
            continue


def test_three_processes_never_hold_it_together_even_where_a_lock_is_left(tmp_path: Path) -> None:
    write_json(tmp_path / "count.json", 0)
    write_json(tmp_path / "lock.json", {"pid": 2**22 + 1, "host": socket.gethostname()})
    start, rounds = SPAWN.Event(), 40
    others = [SPAWN.Process(target=take_turns, args=(tmp_path, start, rounds)) for _ in range(3)]
    for other in others:
        other.start()
    start.set()
    for other in others:
        other.join()
    assert [other.exitcode for other in others] == [0, 0, 0]
    assert read_json(tmp_path / "count.json") == 3 * rounds


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"pid": 100000000000000000000, "host": "a"}', '{"pid": "x"}']
)
def test_a_damaged_name_beside_the_lock_stops_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / "lock.json").write_text(text)
    assert holder_of(tmp_path) is None
    with folder_lock(tmp_path):
        (tmp_path / "lock.json").write_text(text)
        with pytest.raises(InputError, match="in use by another process"), folder_lock(tmp_path):
            pass


def test_a_lock_cannot_be_put_under_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(InputError, match="cannot be read or written"),
        folder_lock(tmp_path / "file"),
    ):
        pass
