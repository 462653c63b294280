"""What more labels are worth: runs that differ in their number of labelled cases alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dvcl.comparison.findings import Findings, seed_pair
from dvcl.comparison.records import RunRecord, apart_from_methods
from dvcl.comparison.seeds import on_shared_seeds
from dvcl.evaluation.statistics import Comparison, compare_pairs
from dvcl.evaluation.summary import Spread, spread
from dvcl.files import sha256_of_json
from dvcl.report.differences import difference_table
from dvcl.report.tables import TextTable


@dataclass(frozen=True)
class LabelCurve:
    """Of one study.

    Attributes:
        title: Of the groups of runs, without their numbers.
        lines: Method -> labelled cases -> mean Dice over the seeds that all numbers have.
        gains: Method -> the largest number against the smallest one.
        scored: Of which cases the scores are, "test" or "validation".
    """

    title: str
    lines: dict[str, dict[int, Spread]]
    gains: dict[str, Comparison]
    scored: str

    @property
    def table(self) -> TextTable:
        """The gains."""
        numbers = {number for line in self.lines.values() for number in line}
        fewer = f"the same method with {min(numbers)} labelled cases instead of {max(numbers)}"
        return difference_table(self.gains, fewer)


def label_curves(findings: Sequence[Findings]) -> list[LabelCurve]:
    """A curve for every study with several numbers of labelled cases, all else being equal.

    Args:
        findings: Without varied settings.
    """
    studies: dict[tuple[str, str], dict[int, Findings]] = {}
    for found in findings:
        record = next(iter(found.runs.values()))[0]
        number = len(record.settings["split"]["labelled"])
        title = found.title.replace(f", {number} labelled", "")
        studies.setdefault((title, _common(record)), {})[number] = found
    return [
        _curve(title, {number: groups[number] for number in sorted(groups)})
        for (title, _), groups in studies.items()
        if len(groups) > 1
    ]


def _common(record: RunRecord) -> str:
    """Hash of all that must be equal; what is not labelled is unlabelled, so the split is not."""
    methods = record.settings["recipe"].get("methods", {})
    split = {"test": record.settings["split"]["test"]}
    common = {**apart_from_methods(record), "methods": methods, "split": split}
    return sha256_of_json(common)


def _curve(title: str, groups: Mapping[int, Findings]) -> LabelCurve:
    fewest, *_, most = groups
    lines, pairs = {}, {}
    for method in dict.fromkeys(name for found in groups.values() for name in found.runs):
        rows = {
            number: found.by_seed[method]
            for number, found in groups.items()
            if method in found.by_seed
        }
        if len(rows) > 1:
            dice = [{seed: s.mean_dice for seed, s in seeds.items()} for seeds in rows.values()]
            lines[method] = dict(zip(rows, map(spread, on_shared_seeds(dice)), strict=True))
        if fewest in rows and most in rows:
            pairs[method] = seed_pair(rows[most], rows[fewest])
    return LabelCurve(title, lines, compare_pairs(pairs), groups[most].scored)
