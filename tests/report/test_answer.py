"""The first sentence of a page says what was found, and no more."""

from dvcl.comparison.findings import paired
from dvcl.evaluation.cases import CaseScore
from dvcl.evaluation.collapse import collapsed
from dvcl.evaluation.summary import summarise
from dvcl.report.answer import answer


def run(*dice, first=0):
    cases = enumerate(dice, start=first)
    return summarise([CaseScore(f"c{i}", "liver", value, value, 1.0, 1.0) for i, value in cases])


LOW, LOWER = (run(*(dice + i / 100 for i in range(12))) for dice in (0.5, 0.49))
HIGH, HIGHER = (run(*(dice + i / 90 for i in range(12))) for dice in (0.8, 0.81))


def said(rows, on_validation=False):
    by_seed = {name: dict(enumerate(seeds)) for name, seeds in rows.items()}
    return answer(rows, paired(by_seed), "supervised", on_validation, collapsed(by_seed))


def test_few_methods_are_listed_with_their_verdicts():
    text = said({"supervised": [LOW, LOWER], "dvcl": [HIGH, HIGHER]})
    assert text == (
        "Mean Dice over 1 organ, in percent: supervised 55.0 (2 seeds, 54.5 to 55.5), dvcl 86.6 "
        "(2 seeds, 86.1 to 87.1). Over trainings and cases against supervised, better: dvcl."
    )


def test_of_one_training_nothing_is_said_of_the_method():
    rows = {"supervised": [LOW], "dvcl": [HIGH]} | {f"m{i}": [LOW] for i in range(5)}
    text = said(rows)
    assert text.startswith(
        "Mean Dice over 1 organ, in percent: the highest of 7 has dvcl, 86.1; supervised 55.5. "
        "One training each, this network against that of supervised, higher: dvcl; cannot tell: "
        "5 of them, see below; method: cannot tell from one training."
    )
    assert "better" not in text


def test_what_no_run_could_have_shown_is_told():
    few = {"supervised": [run(0.5, 0.6, 0.7, 0.8)], "dvcl": [run(0.9, 0.9, 0.9, 0.95)]}
    assert "With 4 cases and 1 row p cannot fall below 0.125: no verdict is possible" in said(few)


def test_collapsed_trainings_are_told():
    rows = {"supervised": [LOW, LOW], "ccl": [LOW, run(*[0.0] * 12)]}
    assert "1 training collapsed (†): ccl." in said(rows)


def test_what_weakens_a_result_is_told():
    text = said({"supervised": [LOW], "dvcl": [run(0.9, first=8)]}, on_validation=True)
    assert "scored on different cases" in text
    assert "expect less on new scans" in text
