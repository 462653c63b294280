"""calibration.json: how far predictions were off on held-out cases, and what that says of others.

One file of one run; of several runs that predict together ``calibration-<hash of their
weights>.json``, in the folder of the first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from dvcl.evaluation.conformal import at_least, cases_needed, interval
from dvcl.evaluation.expected_dice import DiceLine, fit_dice
from dvcl.files import sha256_of_json, write_json
from dvcl.inference.uncertainty import Sureness
from dvcl.records import Amount, Count, Name, Positive, Rule, read_record
from dvcl.studies.members import Members

FILE = "calibration"
REMEDY = "Delete it and run `dvcl calibrate` again."

HeldOut = Literal["test", "validation"]
Share = Annotated[float, Rule(lambda value: 0 <= value <= 1, "a number from 0 to 1")]
Level = Annotated[float, Rule(lambda value: 0 < value < 1, "a number between 0 and 1")]


class CaseRecord(TypedDict):
    """An organ that was found in a held-out case."""

    case: Name
    member: Count
    predicted_ml: Positive
    reference_ml: Amount
    dice: Share
    uncertainty: Share
    agreement: Share


class OrganRecord(TypedDict):
    """An organ in the file; ``numbers``, for people, are made of the cases."""

    cases: list[CaseRecord]
    not_found: Count
    numbers: dict[str, float] | None


class CalibrationRecord(TypedDict):
    """The file."""

    made_of: str
    level: Level
    held_out: HeldOut
    is_cross: bool
    weights: list[str]
    organs: dict[str, OrganRecord]


@dataclass(frozen=True)
class CalibrationCase:
    """How well an organ was found in a held-out case, in which some voxel was given to it.

    Attributes:
        case: Its id.
        member: The place of the run that predicted it, in a cross-validation; 0 otherwise.
        predicted_ml: Above 0.
        reference_ml: 0 where the reference lacks the organ.
        dice: 0 there.
        uncertainty: As `Sureness`.
        agreement: As `Sureness`.
    """

    case: str
    member: int
    predicted_ml: float
    reference_ml: float
    dice: float
    uncertainty: float
    agreement: float

    @property
    def error(self) -> float:
        """Of the volume, as a share of the predicted one."""
        return abs(self.reference_ml - self.predicted_ml) / self.predicted_ml


@dataclass(frozen=True)
class OrganCalibration:
    """An organ in all held-out cases.

    Attributes:
        cases: In which it was found.
        not_found: How many have it in the reference and not in the prediction; of these no limit
            says anything.
    """

    cases: tuple[CalibrationCase, ...]
    not_found: int

    @cached_property
    def line(self) -> DiceLine:
        """From the agreement to the Dice."""
        return fit_dice([case.agreement for case in self.cases], [case.dice for case in self.cases])

    def holds(self, level: float) -> bool:
        """Whether there are enough cases."""
        return len(self.cases) >= cases_needed(level)

    def dice_at_least(self, level: float) -> float:
        """What the Dice of one more mask does not fall below."""
        return at_least([case.dice for case in self.cases], level)

    def volume(self, by_member: Sequence[float], level: float) -> tuple[float, float]:
        """Where the true volume lies, by the volume that each member has found."""
        found = [by_member[case.member] for case in self.cases]
        return interval(found, [case.error for case in self.cases], level)

    def numbers(self, level: float) -> dict[str, float] | None:
        """For people; of one network, or of all networks that find the same volume."""
        if not self.holds(level):
            return None
        _, high = interval([1.0] * len(self.cases), [case.error for case in self.cases], level)
        return {
            "volume_error": high - 1,
            "dice_at_least": self.dice_at_least(level),
            **{f"expected_dice_{name}": value for name, value in asdict(self.line).items()},
        }


@dataclass(frozen=True)
class Calibration:
    """All organs of a run, or of runs that predict together.

    Attributes:
        level: The probability with which limits hold.
        held_out: Which cases they are.
        is_cross: Whether every run predicted the cases that it was not trained on (CV+).
        weights: Hashes of the runs' weights, in the order of `CalibrationCase.member`.
        made_of: Hash of weights, windows, mirroring and clean-up.
        organs: By their names.
    """

    level: float
    held_out: HeldOut
    is_cross: bool
    weights: tuple[str, ...]
    made_of: str
    organs: Mapping[str, OrganCalibration]

    def limits(
        self, organ: str, volumes_ml: Mapping[str, float], sure: Sureness | None
    ) -> dict[str, float]:
        """What is to be said of an organ that was found; nothing where too few cases had it.

        Args:
            organ: Its name.
            volumes_ml: Found by each run, by the hash of its weights; without a cross-validation
                the one volume, by any name.
            sure: How sure the networks are of it, where they were asked.
        """
        known = self.organs.get(organ)
        if known is None or not known.holds(self.level):
            return {}
        one = next(iter(volumes_ml.values()))
        by_member = [volumes_ml[weights] for weights in self.weights] if self.is_cross else [one]
        low, high = known.volume(by_member, self.level)
        said = {
            "volume_low_ml": low,
            "volume_high_ml": high,
            "dice_at_least": known.dice_at_least(self.level),
            "limits_hold": self.level,
        }
        if sure:
            said["expected_dice"] = known.line(sure.agreement)
            said["expected_dice_error"] = known.line.error
        return said


def made_of(members: Members, clean: Sequence[str]) -> str:
    """What a calibration is of: it says nothing of other weights, windows or clean-up."""
    return sha256_of_json([members.identity, list(clean)])


def calibration_file(members: Members) -> Path:
    """Where the calibration of these runs lies, in whichever order they are named."""
    if len(members.runs) == 1:
        return members.first.folder / f"{FILE}.json"
    name = f"{FILE}-{members.weights_in_short[:8]}.json"
    there = [run.folder / name for run in members.runs if (run.folder / name).exists()]
    return there[0] if there else members.first.folder / name


def write_calibration(members: Members, calibration: Calibration) -> Path:
    """Write it beside the weights of the first run."""
    record = asdict(calibration)
    for name, organ in calibration.organs.items():
        record["organs"][name]["numbers"] = organ.numbers(calibration.level)
    path = calibration_file(members)
    write_json(path, record)
    return path


def read_calibration(members: Members, clean: Sequence[str]) -> tuple[Calibration | None, str]:
    """The calibration of runs, if it is of what they predict with now; else why it is not used.

    Args:
        members: That predict.
        clean: Organs of which the largest part is kept.

    Raises:
        InputError: When the file is damaged.
    """
    path = calibration_file(members)
    if not path.exists():
        return None, ""
    with read_record(path, CalibrationRecord, REMEDY) as record:
        if record["made_of"] != made_of(members, clean):
            return None, (
                f"{path}: is of other weights, windows, mirroring or clean-up than predict now, so "
                "volumes go without their intervals. Run `dvcl calibrate` as you predict."
            )
        return _calibration(record), ""


def _calibration(record: Mapping[str, Any]) -> Calibration:
    organs = {
        name: OrganCalibration(
            tuple(CalibrationCase(**case) for case in organ["cases"]), organ["not_found"]
        )
        for name, organ in record["organs"].items()
    }
    return Calibration(
        record["level"], record["held_out"], record["is_cross"], tuple(record["weights"]),
        record["made_of"], organs,
    )  # fmt: skip
