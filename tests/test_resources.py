import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from dvcl import resources


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
