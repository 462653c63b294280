"""What is wrong with a data set: one finding, one small function; see docs/check.md."""

from dvcl.datasets.checks.finding import (
    CODES,
    SEVERITIES,
    Finding,
    alike_as_one,
    findings_of_error,
)
from dvcl.datasets.checks.inspection import (
    Inspection,
    case_problems,
    check_dataset,
    findings_among,
    inspect_dataset,
)

__all__ = [
    "CODES",
    "SEVERITIES",
    "Finding",
    "Inspection",
    "alike_as_one",
    "case_problems",
    "check_dataset",
    "findings_among",
    "findings_of_error",
    "inspect_dataset",
]
