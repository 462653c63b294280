"""The CSV file of scores."""

import math

import pytest

from dvcl.errors import InputError
from dvcl.evaluation.cases import CaseScore
from dvcl.evaluation.score_file import read_scores, write_scores

HEADER = (
    "case,organ,dice,jaccard,reference_ml,predicted_ml,volume_error,dice_absent_1,hd95_mm,"
    "hd95_pooled_mm,assd_mm,nsd,tolerance_mm"
)


def test_csv_round_trip_is_exact(tmp_path):
    scores = [
        CaseScore("a", "liver", 1 / 3, math.nan, 0.1 + 0.2, 1e-17),
        CaseScore('b, "c"', "rechte Niere, é", 0.0, 1.0, 123456.789, 0.0),
    ]
    write_scores(tmp_path / "cases.csv", scores)
    # repr, because NaN differs from itself.
    assert repr(read_scores(tmp_path / "cases.csv")) == repr(scores)


def test_csv_is_plain(tmp_path):
    write_scores(tmp_path / "cases.csv", [CaseScore("a", "liver", math.nan, math.nan, 0.0, 2.5)])
    assert (tmp_path / "cases.csv").read_text(encoding="utf-8") == (
        f"{HEADER}\na,liver,,,0.0,2.5,,,,,,,\n"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "its columns are none"),
        (b"case,dice\n", "its columns are case, dice"),
        (f"{HEADER}\na,liver,x{',' * 10}\n".encode(), "line 2"),
        (f"{HEADER}\na,liver,1\n".encode(), "line 2"),
        (b"case,organ\n\xff\xfe", "not a CSV file in UTF-8"),
    ],
)
def test_broken_csv_is_refused(tmp_path, content, message):
    (tmp_path / "cases.csv").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_scores(tmp_path / "cases.csv")


def test_missing_csv_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_scores(tmp_path / "cases.csv")
