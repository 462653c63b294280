"""Whether this machine can do the work: versions, devices, convolutions, room, extras."""

from __future__ import annotations

import importlib
import platform
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import dvcl
from dvcl.resources import (
    available_ram,
    in_words,
    installed_ram,
    processor_name,
    usable_cores,
)

# Nothing heavy above: where torch cannot be loaded, that is what there is to say.

Grade = Literal["ok", "note", "bad"]
MARKS: dict[Grade, str] = {"ok": "  ", "note": "- ", "bad": "! "}

# What each extra is for; those for developers are left out.
EXTRAS = {
    "formats": "NRRD, MetaImage and DICOM",
    "fast": "reading .nii.gz in half of the time",
    "figures": "`dvcl inspect`",
    "tensorboard": "`dvcl train --tensorboard`",
    "export": "`dvcl export --to onnx`",
}
# Modules that are not called as their package.
MODULES = {"scikit-learn": "sklearn", "simpleitk": "SimpleITK"}

# Below these a small training does not fit, or stores and runs soon fill the disk.
LEAST_RAM, LEAST_DISK = 2e9, 5e9
SECONDS = 1.0  # of each convolution test
VIEWER = "viewer/niivue/niivue.umd.js.gz"


@dataclass(frozen=True)
class Look:
    """One thing that was looked at.

    Attributes:
        part: Heading that it stands under.
        grade: "bad" keeps dvcl from working rightly, "note" is worth knowing.
        found: In words.
        remedy: What to do; empty where nothing is to be done.
    """

    part: str
    grade: Grade
    found: str
    remedy: str = ""


def examine_and_tell(folder: Path, tell: Callable[[str], None]) -> int:
    """Tell what `examine` finds as soon as it does, part by part.

    Returns:
        1 where something keeps dvcl from working rightly, else 0.
    """
    looks: list[Look] = []
    for look in examine(folder):
        if not looks or looks[-1].part != look.part:
            tell(f"\n{look.part}")
        tell(f"  {MARKS[look.grade]}{look.found}")
        if look.remedy:
            tell(f"      {look.remedy}")
        looks.append(look)
    return int(any(look.grade == "bad" for look in looks))


def examine(folder: Path) -> Iterator[Look]:
    """Look at everything, one thing after another.

    Args:
        folder: Where the work is to be done: its disk is looked at.
    """
    yield Look("Versions", "ok", f"dvcl {dvcl.__version__}, Python {platform.python_version()}")
    packages = [*_packages()]
    yield from packages
    yield from _room(folder)
    if all(look.grade != "bad" for look in packages):
        yield from _devices()
    yield from _extras()


def _packages() -> Iterator[Look]:
    for package in _requirements().get("", []):
        problem = _why_not(package)
        if problem:
            yield Look("Versions", "bad", problem, f"pip install --force-reinstall {package}")
        else:
            yield Look("Versions", "ok", f"{package} {metadata.version(package)}")


def _requirements() -> dict[str, list[str]]:
    """Names of packages by the extra that asks for them, "" for those that are always needed."""
    found: dict[str, list[str]] = {}
    for line in metadata.requires("dvcl") or []:
        package = re.split(r"[^\w.-]", line, maxsplit=1)[0]
        extra = re.search(r"extra == ['\"](\w+)", line)
        found.setdefault(extra[1] if extra else "", []).append(package)
    return found


def _why_not(package: str) -> str:
    """Why a package cannot be used; empty where it can."""
    try:
        metadata.version(package)
        importlib.import_module(MODULES.get(package, package))
    except metadata.PackageNotFoundError:
        return f"{package} is not installed"
    except (ImportError, OSError) as error:
        return f"{package} cannot be loaded ({' '.join(str(error).split())[:160]})"
    return ""


def _room(folder: Path) -> Iterator[Look]:
    free, whole = available_ram(), installed_ram()
    remedy = "Close other programs, raise the container's limit, or take a larger machine."
    yield _enough(
        "Room", free >= LEAST_RAM, f"{in_words(free)} of {in_words(whole)} of memory are free",
        remedy,
    )  # fmt: skip
    places = {"for the work": folder, "for temporary files": Path(tempfile.gettempdir())}
    for purpose, place in places.items():
        parents = (place.absolute(), *place.absolute().parents)
        existing = next(part for part in parents if part.is_dir())
        disk = shutil.disk_usage(existing).free
        yield _enough(
            "Room", disk >= LEAST_DISK, f"{in_words(disk)} free {purpose} in {existing}",
            "Free some space, or work in another folder.",
        )  # fmt: skip


def _enough(part: str, holds: bool, found: str, remedy: str) -> Look:
    return Look(part, "ok", found) if holds else Look(part, "note", found, remedy)


def _devices() -> Iterator[Look]:
    import torch

    from dvcl.networks.self_test import BOUNDS
    from dvcl.training.precision import faster_precision

    cores = usable_cores()
    yield Look("Devices", "ok", f"cpu: {processor_name()}, usable cores: {cores}")
    devices = [torch.device("cpu")]
    for index in range(torch.cuda.device_count()):
        devices.append(torch.device("cuda", index))
        free, whole = torch.cuda.mem_get_info(index)
        name = torch.cuda.get_device_name(index)
        words = f"cuda:{index}: {name}, {in_words(free)} of {in_words(whole)} free"
        yield Look("Devices", "ok", words)
    if torch.backends.mps.is_available():
        devices.append(torch.device("mps"))
        yield Look("Devices", "ok", "mps: Apple's GPU")
    if len(devices) == 1:
        yield _no_gpu(torch)
    for device in devices:
        for kind in BOUNDS:
            yield _convolved(device, kind)
        yield Look("Convolutions", "ok", f"{device} trains in {faster_precision(device)}")


def _no_gpu(torch: Any) -> Look:
    """Why there is none, as far as that can be known."""
    is_there = Path("/proc/driver/nvidia").exists() or shutil.which("nvidia-smi")
    if is_there and torch.version.cuda is None:
        return Look(
            "Devices", "note", "an NVIDIA GPU is here, but this PyTorch is built without CUDA",
            "Install a build of torch with CUDA (pytorch.org says which one fits the driver).",
        )  # fmt: skip
    if is_there:
        return Look(
            "Devices", "note", f"an NVIDIA driver is here, but torch {torch.__version__} finds no "
            "GPU", "Update the driver, or give the container its GPU (docker run --gpus all).",
        )  # fmt: skip
    return Look("Devices", "ok", "no GPU: the small recipes train on the processor")


def _convolved(device: Any, kind: Any) -> Look:
    from dvcl.networks.self_test import NAMES, convolve_and_compare

    what = f"{device} {NAMES[kind]}"
    try:
        test = convolve_and_compare(device, kind, SECONDS)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:160]
        return Look("Convolutions", "bad", f"{what} fails ({reason})", _instead(NAMES[kind]))
    if test.wrong:
        faults = ", ".join(f"{name} {test.errors[name]:.1g}" for name in test.wrong)
        return Look(
            "Convolutions", "bad",
            f"{what} is wrong: relative errors {faults}; at most {test.bound:g} expected",
            _instead(test.precision),
        )  # fmt: skip
    worst = max(test.errors.values())
    return Look(
        "Convolutions", "ok",
        f"{what}: relative error at most {worst:.1g}, {test.gflops:.0f} GFLOP/s",
    )  # fmt: skip


def _instead(precision: str) -> str:
    if precision == "bf16":
        return "Train with --set training.precision=float32, and try another version of torch."
    return "Do not train on this device; try another version of torch."


def _extras() -> Iterator[Look]:
    packages = _requirements()
    for extra, purpose in EXTRAS.items():
        if extra not in packages:
            yield Look(
                "Extras", "note", f"{purpose}: the installed dvcl does not know this extra",
                "Install dvcl again.",
            )  # fmt: skip
        elif problems := [*filter(None, map(_why_not, packages[extra]))]:
            yield Look(
                "Extras", "note", f"{purpose}: {'; '.join(problems)}",
                f"pip install {' '.join(packages[extra])}",
            )  # fmt: skip
        else:
            yield Look("Extras", "ok", purpose)
    if not shutil.which("sbatch"):
        yield Look("Extras", "ok", "no Slurm on this machine (there is no sbatch)")
    viewer = Path(dvcl.__file__).parent / VIEWER
    if viewer.exists():
        yield Look("Extras", "ok", "the viewer in pages")
    else:
        yield Look(
            "Extras", "bad", f"the pages' viewer: {viewer} is missing", "Install dvcl again."
        )
