"""A Slurm cluster of one node, made of Debian's packages, in a folder of its own."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dvcl.jobs import queue, slurm

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol")
SETTINGS = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SlurmdTimeout=10
KillWait=60
MinJobAge=5
SchedulerParameters=sched_min_interval=100000,sched_interval=2,bf_interval=1,batch_sched_delay=0
SlurmdParameters=config_overrides
SelectType=select/cons_tres
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=1000 Gres=gpu:2 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES PriorityTier=1
PartitionName=graceful Nodes=ALL PriorityTier=1 GraceTime=3
PartitionName=urgent Nodes=ALL PriorityTier=10 PreemptMode=OFF
"""


class Cluster:
    """Controller and node, with a munge of their own; no accounting."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("state", "spool"):
            (folder / name).mkdir()
        (folder / "munge.key").write_bytes(os.urandom(1024))
        (folder / "munge.key").chmod(0o600)
        settings = {"host": socket.gethostname(), "user": getpass.getuser(), "folder": folder}
        (folder / "slurm.conf").write_text(SETTINGS.format(ports=free_ports(2), **settings))
        # What passes for GPUs: files that are there.
        (folder / "gres.conf").write_text("Name=gpu File=/dev/tty[1-2]\n")

    def start(self) -> None:
        files = {"key-file": "munge.key", "socket": "munge.socket", "pid-file": "munged.pid",
                 "log-file": "munged.log", "seed-file": "munge.seed"}  # fmt: skip
        words = [f"--{option}={self.folder / name}" for option, name in files.items()]
        subprocess.run(["munged", "--force", "--num-threads=1", *words], check=True)
        self.start_controller()
        self.start_node()

    def start_controller(self) -> None:
        subprocess.run(["slurmctld"], check=True)

    def stop_controller(self) -> None:
        self.end("slurmctld")

    def start_node(self) -> None:
        subprocess.run(["slurmd"], check=True)
        wait_for(lambda: told("sinfo", "--noheader", "--format=%T").startswith(("idle", "mixed")))

    def kill_node(self) -> None:
        """As when its power is cut: the daemon and all that it has started."""
        process = int((self.folder / "slurmd.pid").read_text())
        os.kill(process, signal.SIGKILL)
        for step in steps(str(self.folder / "spool"), self.folder / "slurm.conf"):
            os.kill(step, signal.SIGKILL)

    def end(self, name: str) -> None:
        file = self.folder / f"{name}.pid"
        if file.exists():
            process = int(file.read_text())
            os.kill(process, signal.SIGTERM)
            wait_for(lambda: not Path(f"/proc/{process}").exists())

    def stop(self) -> None:
        for name in ("slurmd", "slurmctld", "munged"):
            self.end(name)


def steps(spool: str, settings: Path) -> list[int]:
    """Processes of this cluster's jobs, and the daemons that watch over them."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes()
            line = (process / "cmdline").read_bytes()
        except OSError:
            continue
        is_ours = f"SLURM_CONF={settings}".encode() in environment
        if is_ours and (b"SLURM_JOB_ID=" in environment or line.startswith(b"slurmstepd")):
            found.append(int(process.name))
    return found


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def wait_for(holds: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def told(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if missing := [name for name in NEEDED if not shutil.which(name)]:
        pytest.skip(f"no {', '.join(missing)} here; Debian: apt install slurm-wlm munge")
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    os.environ["SLURM_CONF"] = str(made.folder / "slurm.conf")
    made.start()
    yield made
    made.stop()
    del os.environ["SLURM_CONF"]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "LOOK_EVERY_S", 0.5)
    monkeypatch.setattr(slurm, "PATIENCE_S", 3.0)
