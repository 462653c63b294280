"""Tables in sections, in every form."""

import csv
import io
import re

import pytest
from rich.console import Console

from dvcl.report.sections import (
    SectionedTable,
    sections_to_csv,
    sections_to_latex,
    sections_to_markdown,
    sections_to_rich,
)
from dvcl.report.tables import TextTable

COLUMNS = ("", "Method", "liver", "Mean Dice")


def part(*rows, strong=()):
    return TextTable(COLUMNS, rows, strong=frozenset(strong), names=2, grouped=True)


TABLE = SectionedTable(
    "Table 1: x_y",
    {
        "5 labelled": part(
            ("", "Fully", "1", "2"), ("w/o", "MT", "3", "4 ± 1"), ("w/o", "U²PL", "5", "not run"),
            ("w/", "Ours", "7", "8"), strong=[(3, 2), (1, 3)],
        ),
        "10 labelled; 50 %": part(("w/o", "MT", "9", "–")),
    },
    "What it is.",
)  # fmt: skip


def test_markdown_has_a_table_per_section_and_shared_names_once():
    text = sections_to_markdown(TABLE)
    assert text.startswith("### Table 1: x_y\n\n**5 labelled**\n\n|     | Method | liver |")
    assert "| :-- | :----- | ----: | --------: |" in text
    assert "| w/o | MT     |     3 | **4 ± 1** |\n|     | U²PL   |     5 |   not run |" in text
    assert "**10 labelled; 50 %**\n\n|" in text
    assert text.endswith("\nWhat it is.\n")


def test_latex_spans_sections_and_shared_names():
    lines = sections_to_latex(TABLE).splitlines()
    assert lines[3:6] == [
        r"\begin{tabular}{llrr}",
        r"\toprule",
        r" & Method & liver & Mean Dice \\",
    ]
    assert lines[6:9] == [r"\midrule", r"\multicolumn{4}{l}{5 labelled} \\", r"\midrule"]
    assert r"\multirow{2}{*}{w/o} & MT & 3 & \textbf{4 $\pm$ 1} \\" in lines
    assert r" & U$^2$PL & 5 & not run \\" in lines
    assert r"\multirow{1}{*}{w/} & Ours & \textbf{7} & 8 \\" in lines
    assert r"\multicolumn{4}{l}{10 labelled; 50 \%} \\" in lines


def cells(line):
    spans = re.findall(r"\\multicolumn\{(\d+)\}", line)
    return sum(map(int, spans)) or len(re.split(r"(?<!\\)&", line))


def test_latex_is_well_formed():
    text = sections_to_latex(TABLE)
    body = text[text.index("\\toprule") :]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert {cells(row) for row in rows} == {4}
    assert text.count("{") == text.count("}")
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 1
    assert all(line.startswith("%") for line in text.splitlines()[:3])


def test_latex_turns_the_headings_of_many_columns():
    names = ("Method", *"abcdefgh")
    wide = TextTable(names, (("x", *"12345678"),))
    text = sections_to_latex(SectionedTable("t", {"s": wide}, "c"))
    assert text.count(r"\rotatebox{90}") == 8
    assert r"Method & \rotatebox{90}{a} & " in text


def test_csv_repeats_section_and_shared_names():
    rows = list(csv.reader(io.StringIO(sections_to_csv(TABLE))))
    assert rows[0] == ["Section", *COLUMNS]
    assert rows[3] == ["5 labelled", "w/o", "U²PL", "5", "not run"]
    assert rows[5] == ["10 labelled; 50 %", "w/o", "MT", "9", "–"]


@pytest.mark.parametrize("width", [40, 80, 160])
def test_the_terminal_shows_every_cell_whole_whatever_its_width(width):
    organs = [f"organ{number:02}" for number in range(12)]
    row = ("w/o", "MT", *(f"{number}.25" for number in range(12)), "")
    table = TextTable(("", "Method", *organs, "unused"), (row,), names=2, grouped=True)
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(sections_to_rich(SectionedTable("t", {"s": table}, "c")))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= width
    assert re.findall(r"organ\d\d", text) == organs
    assert re.findall(r"\d+\.25", text) == list(row[2:-1])
    assert "unused" not in text
    assert text.count("MT") == (1 if width == 160 else text.count("Method"))
