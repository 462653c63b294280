"""A finding: what is wrong with which file, how bad it is, and what to do about it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from dvcl.errors import InputError

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)

# Stable names for programs, and how bad each finding is: an error would spoil the work, a warning
# is to be looked at, a note is to be known.
CODES: dict[str, Severity] = {
    # files and names
    "layout": "error",
    "unreadable": "error",
    "no-label": "error",
    "duplicate-id": "error",
    "left-out": "warning",
    # grids
    "size-mismatch": "error",
    "grid-mismatch": "error",
    "axes-differ": "note",
    "sheared": "error",
    "slightly-sheared": "note",
    "forms-differ": "warning",
    "no-forms": "warning",
    "fourth-axis": "note",
    "files-left-out": "note",
    "inverted-display": "note",
    # intensities
    "not-finite": "error",
    "constant": "error",
    "hu-offset": "warning",
    "not-hu": "warning",
    "looks-like-ct": "warning",
    "looks-like-labels": "warning",
    # label maps
    "label-is-image": "error",
    "label-values": "error",
    "label-rounded": "note",
    "label-alias": "note",
    "segments-by-name": "note",
    "label-empty": "warning",
    "organ-absent": "note",
    "organ-never": "warning",
    "organ-at-border": "note",
    "sides-swapped": "warning",
    # among the cases
    "odd-spacing": "note",
    "odd-size": "note",
    "odd-volume": "note",
    "same-voxels": "error",
    "same-voxels-one-part": "warning",
    "same-scan": "error",
    "same-scan-one-part": "warning",
    "alike": "warning",
    "allowed-overlap": "note",
    "same-patient": "warning",
    # against the recipe
    "too-many-voxels": "error",
    "smaller-than-patch": "note",
    # of a prediction, against what the run has seen
    "unlike-intensities": "warning",
    "unlike-spacing": "warning",
    "unlike-field": "warning",
    "unlike-body": "warning",
    "organ-missing": "warning",
    "organ-volume": "warning",
    "organ-parts": "warning",
    "organs-exchanged": "warning",
    "organ-far": "warning",
}


# A number in a text, but none in the name of a file or of a case.
NUMBER = re.compile(r"(?<![\w./-])-?\d+(?:\.\d+)?(?!\.?\w)")
NAMED = 3  # of several files that something is found of, beside the first one


@dataclass(frozen=True)
class Finding:
    """One thing to know about a file, a case or the whole data set.

    Attributes:
        code: A key of `CODES`.
        where: The file, or what else this is about.
        text: What was found, with numbers, and what was expected.
        remedy: What to do; empty where nothing needs to be done.
        case: Id of the case; empty for findings about several.
        numbers: What the text says, for programs.
    """

    code: str
    where: str
    text: str
    remedy: str = ""
    case: str = ""
    numbers: Mapping[str, Any] = field(default_factory=dict)

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return CODES[self.code]

    @property
    def problem(self) -> str:
        """The whole finding as a line of an `InputError`."""
        return f"{self.where}: {self.text} {self.remedy}".rstrip()

    def of_case(self, case_id: str) -> Finding:
        """The same finding, said to be about one case."""
        return replace(self, case=case_id)

    def to_json(self) -> dict[str, Any]:
        """Plain values; a number that is not defined is None."""
        numbers = {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in self.numbers.items()
        }
        return {
            "code": self.code,
            "severity": self.severity,
            "where": self.where,
            "case": self.case or None,
            "text": self.text,
            "remedy": self.remedy,
            "numbers": numbers,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Finding:
        """Inverse of `to_json`."""
        words = {name: value[name] for name in ("code", "where", "text", "remedy")}
        return cls(**words, case=value["case"] or "", numbers=dict(value["numbers"]))


def alike_as_one(findings: Sequence[Finding]) -> list[Finding]:
    """What is found of several files becomes one finding, which names the first ones of them.

    Its numbers are those of the first file. Errors stay apart: each file of them is to be mended.
    """
    groups: dict[object, list[Finding]] = {}
    texts: dict[object, list[str]] = {}
    for finding in findings:
        kind = _kind(finding)
        # What is found of one file twice, with other numbers, stays two findings.
        of_file = texts.setdefault((kind, finding.where), [])
        if finding.text not in of_file:
            of_file.append(finding.text)
        groups.setdefault((kind, of_file.index(finding.text)), []).append(finding)
    return [replace(group[0], where=_places(group)) for group in groups.values()]


def _kind(finding: Finding) -> tuple[str, ...]:
    """Equal for findings that are alike."""
    if finding.severity == "error":
        return (finding.code, finding.where, finding.text, finding.remedy)
    # Names may be numbers too, those of organs and cases.
    named = str([value for value in finding.numbers.values() if _has_names(value)])
    texts = (NUMBER.sub("", text) for text in (finding.text, finding.remedy))
    return (finding.code, named, *texts)


def _has_names(value: Any) -> bool:
    return any(isinstance(each, str) for each in (value if isinstance(value, list) else [value]))


def _places(group: Sequence[Finding]) -> str:
    places = dict.fromkeys(finding.where for finding in group)
    first, *others = places
    if not others:
        return first
    named = ", ".join(Path(place).name for place in others[:NAMED])
    more = ", …" if len(others) > NAMED else ""
    return f"{first} and {len(others)} more ({named}{more})"


def findings_of_error(code: str, error: InputError, path: Path | None = None) -> list[Finding]:
    """Take the lines of an error apart: file, what was found, and the remedy (its last sentence).

    Args:
        code: Of the findings.
        error: As readers and loaders raise it; every problem begins with the file and a colon.
        path: The file, where it is known.
    """
    findings = []
    for problem in error.problems:
        if path is not None:
            where, said = str(path), problem.removeprefix(f"{path}: ")
        else:
            where, _, said = problem.partition(": ")
        text, stop, remedy = said.rpartition(". ")
        parts = (f"{text}.", remedy) if stop else (said, "")
        findings.append(Finding(code, where, *parts))
    return findings
