"""What can go wrong, how it is brought about, and what a person then sees.

The table is run by test_conditions.py and printed into docs/bad-days.md:
`python tests/bad_days/conditions.py docs/bad-days.md`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from dvcl.commands.predict import predict_files
from dvcl.studies.members import Members
from dvcl.studies.run import open_run

RUN = "work/runs/done/supervised/seed-0"
BEGIN, END = "<!-- conditions: begin -->\n", "<!-- conditions: end -->\n"


@dataclass(frozen=True)
class Condition:
    """One bad condition.

    Attributes:
        area: Heading on the page.
        what: What happened, for the page.
        words: Arguments of `dvcl`; {work}, {run}, {scans} and {out} are filled in.
        seen: Part of what is said, for the page and as expected.
        spoil: Brings it about in a copy of the study.
        code: Exit code.
        left: Files that must be there afterwards, in the study's folder.
        patch: Functions in whose place a number stands, such as the free memory.
    """

    area: str
    what: str
    words: str
    seen: str
    spoil: Callable[[Path], None] = lambda study: None
    code: int = 2
    left: Sequence[str] = ()
    patch: dict[str, int] = field(default_factory=dict)


def flip(name: str, place: float = 0.9) -> Callable[[Path], None]:
    """Change one bit of the file that matches."""

    def spoil(study: Path) -> None:
        path = next(study.glob(name))
        content = bytearray(path.read_bytes())
        content[int(place * len(content))] ^= 16
        path.write_bytes(content)

    return spoil


def cut(name: str) -> Callable[[Path], None]:
    """Leave half of the file."""

    def spoil(study: Path) -> None:
        path = study / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return spoil


def change(name: str, **values: object) -> Callable[[Path], None]:
    """Put other values into a JSON file."""

    def spoil(study: Path) -> None:
        path = next(study.glob(name))
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return spoil


def write(name: str, text: str) -> Callable[[Path], None]:
    """Write a file, or replace it."""
    return lambda study: [(study / name).write_text(text), None][1]


def remove(*names: str) -> Callable[[Path], None]:
    """Delete files."""
    return lambda study: [(study / name).unlink() for name in names][:0] or None


def unfinish(study: Path) -> None:
    """Make the run one that is to have 40 steps."""
    path = study / RUN / "run.json"
    record = json.loads(path.read_text())
    record["settings"]["recipe"]["training"]["iterations"] = 40
    path.write_text(json.dumps(record))


def rewrite_weights(study: Path) -> None:
    """Put NaN into the weights, as an earlier version could have written them."""
    path = study / RUN / "best.safetensors"
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        facts = json.loads(file.metadata()["dvcl"])
    del facts["sha256"]
    tensors[next(iter(tensors))].fill_(torch.nan)
    save_file(tensors, path, metadata={"dvcl": json.dumps(facts)})


def mask_without_picture(study: Path) -> None:
    """One of two masks, as `--no-pictures` writes them."""
    (study / "out").mkdir()
    image = study / "scans" / "test" / "images" / "s.nii.gz"
    run, device = open_run(study / RUN), torch.device("cpu")
    targets = {image: study / "out" / "s.nii.gz"}
    predict_files(Members.of(run), targets, device=device, keep_largest=None)


def store_beyond_the_map(study: Path) -> None:
    """Class values beyond the label table, in a store without checksums."""
    record = next(study.glob("work/store/*/a/case.json"))
    values = json.loads(record.read_text())
    del values["checksums"]
    record.write_text(json.dumps(values))
    label = np.load(record.with_name("label.npy"))
    np.save(record.with_name("label.npy"), label + 9)


TRAIN = "train {work} --method={method} --name=new --device=cpu"
SUPERVISED, DVCL = TRAIN.replace("{method}", "supervised"), TRAIN.replace("{method}", "dvcl")
AGAIN = "train {work} --method=supervised --name=done --device=cpu"
# These networks have learned nothing: their masks are doubted.
PREDICT = "predict {run} {scans}/test/images --out {out} --device=cpu --trust"
PREPARE = (
    "prepare {work} --labelled {scans}/few --unlabelled {scans}/many "
    "--validation {scans}/validation --test {scans}/test --workers=1"
)
DEEP = "a = " + "[" * 5000 + "]" * 5000

CONDITIONS = [
    Condition(
        "Runs", "A run is used before its last step", PREDICT,
        "is trained for 2 of 40 steps", unfinish, code=0,
    ),
    Condition(
        "Runs", "A run is scored before its last step", "evaluate {run} --device=cpu",
        "is trained for 2 of 40 steps", unfinish, code=0,
    ),
    Condition(
        "Runs", "A bit of the weights has flipped on the disk", PREDICT,
        "best.safetensors: has the SHA-256", flip(f"{RUN}/best.safetensors"),
    ),
    Condition(
        "Runs", "Weights hold NaN (an earlier version wrote them)", PREDICT,
        "holds weights that are not finite", rewrite_weights,
    ),
    Condition(
        "Runs", "The saved state is cut short", AGAIN,
        "last.safetensors: not a readable checkpoint", cut(f"{RUN}/last.safetensors"),
    ),
    Condition(
        "Runs", "A line of the journal is damaged", AGAIN,
        "journal.jsonl: line 1 is no row of a journal",
        write(f"{RUN}/journal.jsonl", '{"kind": "step", "iteration": "two"}\n'),
    ),
    Condition(
        "Runs", "A record of the run holds what it cannot", PREDICT,
        "run.json: is not as this program writes it (store: 5 found, a text expected)",
        change(f"{RUN}/run.json", store=5),
    ),
    Condition(
        # The loss or the weights are infinite first, as rounding has it.
        "Settings", "The rate explodes", DVCL + " --set training.rate=1e30",
        "training.rate, or set training.precision to float32",
    ),
    Condition(
        "Settings", "A rate is infinite", SUPERVISED + " --set training.rate=inf",
        "training.rate: inf found, a finite float expected",
    ),
    Condition(
        "Settings", "A queue of 10¹² voxels", DVCL + " --set methods.dvcl.queue_size=1000000000000",
        "needs more memory than there is",
    ),
    Condition(
        "Settings", "A batch of 10⁹ patches", SUPERVISED + " --set sampling.labelled=1000000000",
        "a batch of 1000000002 patches",
    ),
    Condition(
        "Settings", "A recipe is nested 5,000 deep", SUPERVISED + " --recipe {work}/deep.toml",
        "deep.toml: not valid TOML", write("work/deep.toml", DEEP),
    ),
    Condition(
        "Settings", "A number in a recipe has 5,000 digits",
        SUPERVISED + " --recipe {work}/long.toml",
        "long.toml: not valid TOML", write("work/long.toml", "[training]\nrate = " + "9" * 5000),
    ),
    Condition(
        "Studies", "A bit of a prepared scan has flipped on the disk", SUPERVISED,
        "image.npy: has the checksum", flip("work/store/*/a/image.npy"),
    ),
    Condition(
        "Studies", "The same, and the data are prepared again", PREPARE,
        "6 cases, 1 organ", flip("work/store/*/a/image.npy"), code=0,
    ),
    Condition(
        "Studies", "A prepared label map holds classes that do not exist", SUPERVISED,
        "label.npy: holds numbers up to [10]", store_beyond_the_map,
    ),
    Condition(
        "Studies", "The study's record is damaged", SUPERVISED,
        "project.json: is not as this program writes it (changes: 5 found, a list expected)",
        change("work/project.json", changes=5),
    ),
    Condition(
        "Studies", "A labels file has a million entries", PREPARE + " --labels {work}/many.json",
        "many.json: has 1000000 entries; at most 254 organs",
        write("work/many.json", json.dumps({str(n): f"o{n}" for n in range(10**6)})),
    ),
    Condition(
        "Studies", "A key or a name is half of a letter", PREPARE + " --labels {work}/half.json",
        "half.json: not valid JSON", write("work/half.json", '{"1": "\\ud800"}'),
    ),
    Condition(
        "Prediction", "A scan takes more memory than is free", PREDICT,
        "of memory, 0.1 MB are free", patch={"dvcl.commands.predict_memory.available_ram": 100_000},
    ),
    Condition(
        "Prediction", "A picture is missing beside its mask", PREDICT + " --skip-existing",
        "Label maps written: 1", mask_without_picture, code=0,
        left=["out/s.nii.gz", "out/s.png", "out/t.png"],
    ),
]  # fmt: skip


def table() -> str:
    """The page's tables, one per area."""
    lines = []
    for area in dict.fromkeys(row.area for row in CONDITIONS):
        lines += [f"### {area}", "", "| what happened | you see | exit code |", "|---|---|---|"]
        lines += [
            f"| {row.what} | “{row.seen}” | {row.code} |" for row in CONDITIONS if row.area == area
        ]
        lines.append("")
    return "\n".join(lines) + "\n"


def with_table(page: str) -> str:
    """The page with today's tables between its two marks."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{table()}{END}{tail}"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(with_table(path.read_text(encoding="utf-8")), encoding="utf-8")
