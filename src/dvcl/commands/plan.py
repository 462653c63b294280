"""Look at scans and machine, and propose a recipe."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from rich import box
from rich.table import Table
from rich.text import Text

from dvcl.datasets.dataset import Dataset
from dvcl.errors import InputError, counted
from dvcl.files import require_writable, write_json, write_text
from dvcl.methods import METHODS
from dvcl.planning.choice import Choices, by, to_recipe, to_toml, toml_value
from dvcl.planning.cost import Cost, measure
from dvcl.planning.effort import Effort, starting_effort
from dvcl.planning.fingerprint import Fingerprint, Progress, take_fingerprint
from dvcl.planning.machine import GIB, Machine, look_at_machine
from dvcl.planning.propose import complete, describe_scale, method_settings_of, propose
from dvcl.planning.schedule import DEFAULT_MINUTES
from dvcl.recipe import Recipe
from dvcl.recipe.values import hint
from dvcl.store.reading import case_bytes

MEMORY_SHARE = 0.9  # of what is free, so that the sampling and the system have the rest

# The same in every plan: in the file, but not worth a line on the screen.
CONSTANT = {
    "preprocessing.orientation",
    "preprocessing.percentiles",
    "sampling.unlabelled",
    "network.name",
    "training.rate",
}

Measure = Callable[[Recipe, str, int, str], Cost | None]


@dataclass(frozen=True)
class Plan:
    """A proposal and what it rests on.

    Attributes:
        fingerprint: Of the data.
        machine: Where it was made.
        choices: Every setting with its reason.
        cost: Of a step with them.
        method: That was measured.
        minutes: That the training was planned for.
        store_bytes: Of the prepared data.
    """

    fingerprint: Fingerprint
    machine: Machine
    choices: Choices
    cost: Cost
    method: str
    minutes: float
    store_bytes: int

    def to_json(self) -> dict[str, object]:
        """Every setting with its reason, and what they rest on."""
        chosen = {
            key: {"value": choice.value, "reason": choice.reason}
            for key, choice in self.choices.items()
        }
        return {"settings": chosen, "warnings": warnings(self), **_record(self)}

    @property
    def in_words(self) -> str:
        """Machine, cost of a step and size of the prepared data, one line each."""
        cost = self.cost
        found = (f"{name} {speed}" for name, speed in cost.kernels.found.items())
        kernels = "".join(f"Tried to run its network faster: {words}.\n" for words in found)
        return (
            f"Machine: {self.machine.in_words}.\n"
            f"Measured: a step of {self.method} takes {cost.step_s:.2g} s and at most "
            f"{cost.peak_bytes / GIB:.1f} GiB, a window {cost.window_s:.2g} s.\n"
            f"{kernels}"
            f"The prepared scans take {self.store_bytes / 1e6:.0f} MB on the disk."
        )


def make_plan(
    dataset: Dataset,
    out: Path,
    *,
    device: torch.device,
    method: str = "dvcl",
    minutes: float | None = None,
    memory_gib: float | None = None,
    looked: Progress | None = None,
    measured: Progress | None = None,
    measure_step: Measure = measure,
) -> Plan:
    """Write ``out`` (a recipe with reasons) and its ``.json`` (the fingerprint).

    Args:
        dataset: The raw cases.
        out: A new .toml file.
        device: That the training will use.
        method: Whose step is measured.
        minutes: For one training; None takes 20 on a CPU, 600 on a GPU.
        memory_gib: At most so much memory for a step; None takes what is free.
        looked: Called as (done, total, case id) while the scans are read.
        measured: Called as (done, total, what) while steps are measured.
        measure_step: Replaced in tests.

    Raises:
        InputError: When ``out`` is taken or no TOML, the data cannot be read, or no step fits.
    """
    _check(out, method, minutes, memory_gib)
    fingerprint = take_fingerprint(dataset, looked)
    machine = look_at_machine(device, out.parent, memory_gib)
    effort = starting_effort(device.type, len(dataset.labels.organs))
    duration = minutes or DEFAULT_MINUTES[effort.is_short]
    choices, cost = _fit_step(
        fingerprint, effort, machine, method, str(device), measured, measure_step
    )
    choices = complete(choices, fingerprint, cost, duration, method)
    plan = Plan(
        fingerprint, machine, choices, cost, method, duration,
        _store_bytes(fingerprint, to_recipe(choices, out.stem)),
    )  # fmt: skip
    write_text(out, to_toml(choices, _about(plan), _heading(plan)))
    write_json(fingerprint_path(out), _record(plan))
    return plan


def _fit_step(
    fingerprint: Fingerprint,
    effort: Effort,
    machine: Machine,
    method: str,
    device: str,
    measured: Progress | None,
    measure_step: Measure,
) -> tuple[Choices, Cost]:
    """Propose and measure; half as much, as long as the memory does not hold it."""
    smaller: Effort | None = effort
    attempts = 0
    while smaller is not None:
        choices = propose(fingerprint, smaller)
        recipe = to_recipe({**choices, **method_settings_of(choices)}, "plan")
        patch = by(recipe.sampling.patch)
        if measured:
            measured(attempts, attempts + 1, f"{method}, {2 * smaller.patches} patches of {patch}")
        classes = len(fingerprint.organs) + 1
        cost = measure_step(recipe, method, classes, device)
        attempts += 1
        if cost and cost.peak_bytes <= MEMORY_SHARE * machine.memory_bytes:
            if measured:
                measured(attempts, attempts, method)
            return choices, cost
        smaller = smaller.smaller()
    raise InputError(
        f"a step of {method} with patches of {patch} voxels does not fit into "
        f"{machine.memory_bytes / GIB:.1f} GiB, and smaller ones teach nothing. Free some memory, "
        "choose another --device or --method, or raise --memory."
    )


def fingerprint_path(out: Path) -> Path:
    """Where the numbers behind a plan are kept."""
    return out.with_suffix(".json")


def plan_table(plan: Plan) -> Table:
    """What was chosen for these data, with the first sentence of each reason."""
    table = Table("Setting", "Value", "Reason", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for key, choice in plan.choices.items():
        if not key.startswith("methods.") and key not in CONSTANT:
            gist = re.split(r"(?<=\.) (?=[A-Z])", choice.reason)[0]
            table.add_row(Text(key), Text(toml_value(choice.value)), Text(gist))
    return table


def warnings(plan: Plan) -> list[str]:
    """What a person should know before following the plan."""
    found = []
    if plan.machine.is_busy:
        found.append(
            "other work was running on these cores. The times are those without it; beside it a "
            "training takes longer."
        )
    unseen = [o for o in plan.fingerprint.organs if o not in plan.fingerprint.typical_organs]
    if unseen:
        found.append(f"no labelled scan shows {', '.join(unseen)}: nothing can be learned of them.")
    if plan.store_bytes > plan.machine.disk_bytes:
        found.append(
            f"the prepared scans take {plan.store_bytes / GIB:.1f} GiB, and "
            f"{plan.machine.disk_bytes / GIB:.1f} GiB are free on this disk."
        )
    if plan.store_bytes > plan.machine.ram_bytes / 2:
        found.append(
            f"the prepared scans take {plan.store_bytes / GIB:.1f} GiB, more than half of the "
            "memory: they will be read from the disk while training."
        )
    return found


def _check(out: Path, method: str, minutes: float | None, memory_gib: float | None) -> None:
    problems = []
    if out.suffix != ".toml":
        problems.append(f"--out {out}: the name of a .toml file was expected.")
    if out.exists():
        problems.append(
            f"{out}: exists, and may hold changes of yours. Choose another --out, or delete it."
        )
    if method not in METHODS:
        problems.append(f"--method {method!r}: no such method{hint(method, METHODS)}")
    for option, value in (("--minutes", minutes), ("--memory", memory_gib)):
        if value is not None and not 0 < value < float("inf"):
            problems.append(f"{option} {value:g}: a positive number was expected.")
    if problems:
        raise InputError(problems)
    require_writable(out.parent)


def _store_bytes(fingerprint: Fingerprint, recipe: Recipe) -> int:
    total = 0
    for case in fingerprint.cases:
        fields = zip(case.field_mm, recipe.preprocessing.spacing_mm, strict=True)
        depth, height, width = (max(1, round(field / mm)) for field, mm in fields)
        total += case_bytes((depth, height, width), case.organs is not None)
    return total * sum(fingerprint.counts.values()) // len(fingerprint.cases)


def _about(plan: Plan) -> str:
    device = plan.machine.gpu or "a CPU"
    minutes = counted(f"{plan.minutes:g}", "minute")
    return f"Planned for {plan.fingerprint.name} on {device}, {minutes} a training."


def _heading(plan: Plan) -> str:
    return (
        "Proposed by `dvcl plan`; every value may be changed. Follow it with `dvcl prepare WORK "
        "--recipe THIS_FILE` and the same scans.\n"
        f"Data: {describe_scale(plan.fingerprint)}\n{plan.in_words}"
    )


def _record(plan: Plan) -> dict[str, object]:
    return {
        "machine": asdict(plan.machine),
        "method": plan.method,
        "minutes": plan.minutes,
        "cost": asdict(plan.cost),
        "store_bytes": plan.store_bytes,
        "fingerprint": plan.fingerprint.to_json(),
    }
