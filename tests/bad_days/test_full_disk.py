"""A disk that runs full: a named error, and what was there before is whole."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dvcl.studies.run import open_run
from dvcl.training.checkpoint import saved_facts
from dvcl.training.journal import read_journal


def mounting(folder: Path, size: str, command: str) -> subprocess.CompletedProcess[str]:
    """Run a command with a small disk of its own in ``folder``."""
    script = f"mount -t tmpfs -o size={size} tmpfs {folder} && {command}"
    return subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-c", script],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope="session")
def can_mount(tmp_path_factory: pytest.TempPathFactory) -> None:
    if not shutil.which("unshare"):
        pytest.skip("no unshare here")
    done = mounting(tmp_path_factory.mktemp("disk"), "1m", "true")
    if done.returncode:
        pytest.skip(f"no disk of one's own here: {done.stderr.strip()}")


@pytest.mark.usefixtures("can_mount")
@pytest.mark.parametrize("free_kib", [0, 16, 40, 80, 160])
def test_a_training_on_a_full_disk_says_so_and_spoils_nothing(
    free_kib: int, study: Path, tmp_path: Path
) -> None:
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    disk.mkdir()
    used = sum(-(-p.stat().st_size // 4096) * 4 for p in (study / "work").rglob("*") if p.is_file())
    train = (
        f"{sys.executable} -m dvcl.cli train {disk}/work --method=supervised --name=done "
        "--device=cpu --set training.iterations=40 --seed=1"
    )
    free = f"$(df -k --output=avail {disk} | tail -1)"
    fill = f"dd if=/dev/zero of={disk}/rest bs=1k count=$(({free} - {free_kib})) 2>/dev/null"
    script = (
        f"cp -r {study}/work {disk}/work && sync && ({fill}; {train}; code=$?; "
        f"cp -r {disk}/work {kept}; exit $code)"
    )
    done = mounting(disk, f"{used + 600}k", script)
    assert done.returncode in (0, 2), done.stderr
    if done.returncode:
        told = " ".join(done.stderr.split())
        assert "no space left on the disk" in told, told
        assert "Traceback" not in told
    assert not [*kept.rglob(".partial-*")]
    for name in ("seed-0", "seed-1"):
        folder = kept / "runs" / "done" / "supervised" / name
        if (folder / "run.json").exists():
            open_run(folder)
        read_journal(folder / "journal.jsonl")
        saved_facts(folder / "last.safetensors")
        saved_facts(folder / "best.safetensors")
    assert free_kib or done.returncode == 2
