"""The leaderboard: processor seconds until a mean Dice is reached, from runs of `learning.py`.

    python benchmarks/speed_table.py docs/recorded/learning.jsonl docs/results/speed.md

A run counts if it was made with --curve. Its time to a Dice is that of its first validation that
reaches it, so that it is never too early and late by at most one part of the curve. Later changes
must not worsen these numbers; who makes them better adds rows with the new commit.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

LEVELS = (50, 60, 65, 70, 75, 80)
TITLES = {
    "demo": "Phantom abdomen, 13 organs",
    "headneck": "Head-and-neck CT, 7 organs",
    "hippocampus": "Hippocampus MR, 2 structures",
}
HEAD = """# Speed of learning

Processor seconds of one core until the mean Dice of the validation cases is reached, and the Dice
at the end of the budget. Means over seeds; "not" where a seed did not get there. Made by
`python benchmarks/speed_table.py docs/recorded/learning.jsonl docs/results/speed.md` from runs of
`benchmarks/learning.py`, whose settings stand in the records. Validation cases: nothing here was
chosen by, or says anything of, test cases. Machines are shared: a tenth more or less is noise.
"""


def seconds_to(curve: list[list[float]], level: float) -> float | None:
    """Of the first score that reaches a Dice in percent."""
    return next((seconds for seconds, dice in curve if dice >= level), None)


def budget(row: dict[str, Any]) -> str:
    """What was asked for: seconds, or steps in their place."""
    steps = row.get("asked_steps")
    return f"{steps} steps" if steps else f"{row['seconds']:g} s"


def table(rows: list[dict[str, Any]]) -> str:
    """One task, a line per method, settings, budget and commit."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        key = (row["labelled"], row["method"], row["name"], budget(row), row["commit"])
        groups[key].append(row)
    levels = [level for level in LEVELS if any(seconds_to(row["curve"], level) for row in rows)]
    head = ["labelled", "method", "settings", "budget", "used s", "seeds", "steps"]
    head += [f"s to {level}" for level in levels] + ["Dice", "date", "commit", "machine"]
    lines = [head, ["---"] * len(head)]
    for (labelled, method, name, asked, commit), found in sorted(groups.items(), key=str):
        times = [[seconds_to(row["curve"], level) for row in found] for level in levels]
        lines.append(
            [
                str(labelled), method, name or "recipe", asked,
                f"{statistics.mean(row['used_s'] for row in found):.0f}", str(len(found)),
                f"{statistics.mean(row['steps'] for row in found):.0f}",
                *("not" if None in each else f"{statistics.mean(each):.0f}" for each in times),
                f"{statistics.mean(row['dice'] for row in found):.1f}",
                max(row["date"] for row in found), commit, found[0]["machine"],
            ]
        )  # fmt: skip
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    source, target = map(Path, sys.argv[1:])
    rows = [json.loads(line) for line in source.read_text().splitlines()]
    rows = [row for row in rows if len(row["curve"]) > 1]
    parts = [
        f"## {title}\n\n{table(mine)}\n"
        for task, title in TITLES.items()
        if (mine := [row for row in rows if row["task"] == task])
    ]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join([HEAD, *parts]))


if __name__ == "__main__":
    main()
