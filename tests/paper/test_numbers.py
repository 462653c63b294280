"""The paper's numbers: complete, consistent with each other, and as printed."""

import csv
import math
from collections import Counter
from importlib import resources

import pytest

from dvcl.datasets.amos22 import AMOS22
from dvcl.datasets.btcv import BTCV
from dvcl.datasets.flare22 import FLARE22
from dvcl.datasets.mmwhs import MMWHS
from dvcl.paper.numbers import MEANS, nearest_share, printed, printed_organs
from dvcl.paper.tables import paper_tables

TABLES = paper_tables()
ORGANS = {"1": FLARE22, "2": FLARE22, "5": AMOS22, "6": MMWHS, "7": BTCV}
# Rows of Table 5 whose printed mean is the mean of the printed organs.
SOUND = {
    "10 %": {"3D U-Net", "Ours"},
    "50 %": {"UGPCL", "U²PL", "CCL"},
}


def organ_mean(row):
    dice = [spread.mean for name, spread in row.items() if name not in MEANS]
    return 100 * sum(dice) / len(dice)


def test_every_cell_of_every_table_is_there_once():
    text = resources.files("dvcl.paper").joinpath("numbers.csv").read_text(encoding="utf-8")
    cells = list(csv.DictReader(text.splitlines()))
    keys = [tuple(cell[key] for key in list(cell)[:6]) for cell in cells]
    assert len(set(keys)) == len(keys)
    # Rows times organs and two means, times labelled shares; one cell of Table 5 is missing.
    assert Counter(cell["table"] for cell in cells) == {
        "1": 15 * 15 * 2, "2": 4 * 15, "3": 5 * 2, "4": 4 * 2, "5": 15 * 17 * 2 - 1,
        "6": 14 * 9 * 2, "7": 15 * 15 * 2, "8": 4 * 2,
    }  # fmt: skip


@pytest.mark.parametrize("table", [table for table in TABLES.values() if table.name in "12345678"],
                         ids=lambda table: table.name)  # fmt: skip
def test_rows_and_organs_are_those_of_the_definitions_and_of_the_data_sets(table):
    shares = printed(table.name)
    assert set(shares) == ({"10 %", "50 %"} if table.name in "1567" else {"10 %"})
    for rows in shares.values():
        assert list(rows) == [row.key for row in table.rows]
        assert all(not math.isnan(row[mean].sd) for row in rows.values() for mean in MEANS)
    organs = printed_organs(table.name)
    assert table.organs == bool(organs)
    if organs:
        assert set(organs) == set(ORGANS[table.name].organs.values())


def test_printed_means_are_those_of_the_printed_organs_but_in_most_rows_of_table_5():
    sound = {share: set() for share in SOUND}
    for name in "12567":
        for share, rows in printed(name).items():
            for (_, label), row in rows.items():
                off = abs(organ_mean(row) - 100 * row["Mean Dice"].mean)
                # Each organ is rounded to 0.01, and so is the mean.
                if name != "5":
                    assert off < 0.0101, (name, share, label)
                elif off < 0.0101:
                    sound[share].add(label)
    assert sound == SOUND


def test_one_cell_of_table_5_is_missing():
    lacking = [
        (share, label, set(AMOS22.organs.values()) - set(row))
        for share, rows in printed("5").items()
        for (_, label), row in rows.items()
        if len(row) < 17
    ]
    assert lacking == [("50 %", "MT", {"aorta"})]


def test_dvcl_has_the_same_means_wherever_it_is_printed():
    ours = {
        "1": ("w/ VCL", "Ours"), "2": ("", "✓/✓/✓"), "3": ("", "10/15"), "4": ("", "DVCL (ours)"),
        "8": ("", "Log-likelihood"),
    }  # fmt: skip
    for name, key in ours.items():
        row = printed(name)["10 %"][key]
        found = [value for mean in MEANS for value in (row[mean].mean, row[mean].sd)]
        assert found == pytest.approx([0.8411, 0.0008, 0.7349, 0.0013])
    first, second = printed("1")["10 %"]["w/ VCL", "Ours"], printed("2")["10 %"]["", "✓/✓/✓"]
    assert [spread.mean for spread in first.values()] == [s.mean for s in second.values()]


@pytest.mark.parametrize(
    ("table", "share", "key", "name", "mean"),
    [
        ("1", "50 %", ("", "Fully"), "liver", 94.21),
        ("1", "10 %", ("w/o VCL", "MagicNet"), "gallbladder", 84.36),
        ("1", "10 %", ("w/ VCL", "U²PL"), "Mean Jaccard", 71.34),
        ("2", "10 %", ("", "✓//✓"), "spleen", 95.04),
        ("3", "10 %", ("", "5/10"), "Mean Dice", 82.92),
        ("4", "10 %", ("", "NCCL"), "Mean Dice", 80.98),
        ("5", "10 %", ("w/o VCL", "SASSnet"), "prostate or uterus", 8.38),
        ("5", "50 %", ("w/o VCL", "MT"), "bladder", 63.05),
        ("5", "50 %", ("w/ VCL", "CCL"), "left adrenal gland", 34.13),
        ("6", "10 %", ("w/o VCL", "DHC"), "right ventricle", 88.91),
        ("6", "50 %", ("w/ VCL", "Ours"), "pulmonary artery", 82.03),
        ("7", "10 %", ("w/o VCL", "3D U-Net"), "gallbladder", 0.0),
        ("7", "50 %", ("w/ VCL", "Ours"), "portal and splenic veins", 57.10),
        ("8", "10 %", ("", "InfoNCE"), "Mean Jaccard", 73.21),
    ],
)  # fmt: skip
def test_cells_as_printed(table, share, key, name, mean):
    assert 100 * printed(table)[share][key][name].mean == pytest.approx(mean)


def test_the_nearest_labelled_share():
    assert nearest_share("1", 5 / 90) == "10 %"
    assert nearest_share("7", 0.45) == "50 %"
    assert nearest_share("2", 0.5) == "10 %"
    assert nearest_share("fig8a", 0.1) is None
