import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dvcl import resources
from dvcl.resources import available_ram, is_out_of_memory, out_of_memory


def test_a_containers_limit_counts_where_it_is_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "CGROUP_LIMITS", ())
    whole = resources.installed_ram()
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(resources, "CGROUP_LIMITS", (str(limit), str(tmp_path / "missing")))
    assert resources.installed_ram() == whole
    limit.write_text("max\n")
    assert resources.installed_ram() == whole
    limit.write_text("1000000\n")
    assert resources.installed_ram() == resources.available_ram() == 1_000_000


def test_what_is_available_is_part_of_what_is_installed() -> None:
    assert 0 < resources.available_ram() <= resources.installed_ram()
    assert resources.usable_cores() >= 1


STATUS = Path("/proc/self/status")


@pytest.mark.skipif(not STATUS.exists(), reason="only Linux tells in another place as well")
def test_the_peak_is_the_kernels() -> None:
    (line,) = (row for row in STATUS.read_text().splitlines() if row.startswith("VmHWM:"))
    assert resources.peak_ram() == pytest.approx(int(line.split()[1]) * 1024, rel=0.01)


@pytest.mark.skipif(not shutil.which("lscpu"), reason="another program tells the name")
def test_the_processor_has_the_name_that_others_give_it() -> None:
    said = subprocess.run(["lscpu"], capture_output=True, text=True, check=True).stdout
    names = [line.partition(":")[2].strip() for line in said.splitlines() if "Model name" in line]
    assert resources.processor_name() in (*names, platform.processor())


def test_what_a_container_and_a_process_have_left_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "CGROUP_LIMITS", (str(tmp_path / "memory.max"),))
    (tmp_path / "memory.max").write_text("3000000\n")
    assert available_ram() == 3_000_000
    (tmp_path / "memory.current").write_text("2500000\n")
    assert available_ram() == 500_000
    (tmp_path / "memory.stat").write_text("anon 7\ninactive_file 1500000\n")
    assert available_ram() == 2_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert available_ram() > 3_000_000


def test_a_limit_of_the_process_counts() -> None:
    code = "from dvcl.resources import available_ram; print(available_ram())"
    limited = f"ulimit -v 2000000 && {sys.executable} -c '{code}'"
    told = subprocess.run(["sh", "-c", limited], capture_output=True, text=True, check=True)
    assert 0 < int(told.stdout) < 2_000_000 * 1024


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (MemoryError(), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried ..."), True),
        (RuntimeError("Storage size calculation overflowed with sizes=[9, 9]"), True),
        (RuntimeError("shapes do not fit"), False),
        (ValueError("memory allocation"), False),
    ],
)
def test_lack_of_memory_is_told_from_other_errors(error: Exception, is_memory: bool) -> None:
    assert is_out_of_memory(error) is is_memory
    assert "are free" in out_of_memory("scan.nii.gz: segmenting it", error)
