"""The first sentence of a page says what was found, and no more."""

from dvcl.comparison.findings import paired
from dvcl.evaluation.cases import CaseScore
from dvcl.evaluation.summary import summarise
from dvcl.report.answer import answer


def run(*dice, first=0):
    cases = enumerate(dice, start=first)
    return summarise([CaseScore(f"c{i}", "liver", value, value, 1.0, 1.0) for i, value in cases])


LOW = run(*(0.5 + i / 100 for i in range(8)))
HIGH = run(*(0.6 + i / 90 for i in range(8)))


def said(rows, on_validation=False):
    by_seed = {name: dict(enumerate(seeds)) for name, seeds in rows.items()}
    return answer(rows, paired(by_seed), "supervised", on_validation)


def test_few_methods_are_listed_with_their_verdicts():
    text = said({"supervised": [LOW, LOW], "dvcl": [HIGH, HIGH]})
    assert text == (
        "Mean Dice over 1 organ, in percent: supervised 53.5 (2 seeds, 53.5 to 53.5), dvcl 63.9 "
        "(2 seeds, 63.9 to 63.9). Case by case against supervised, better: dvcl."
    )


def test_of_many_methods_the_best_and_the_baseline_are_named():
    rows = {"supervised": [LOW], "dvcl": [HIGH]} | {f"m{i}": [LOW] for i in range(5)}
    text = said(rows)
    assert text.startswith(
        "Mean Dice over 1 organ, in percent: the highest of 7 has dvcl, 63.9; supervised 53.5. "
        "Case by case against supervised, better: dvcl; cannot tell: 5 of them, see below."
    )
    assert "needs more seeds" in text


def test_what_weakens_a_result_is_told():
    text = said({"supervised": [LOW], "dvcl": [run(0.9, first=8)]}, on_validation=True)
    assert "scored on different cases" in text
    assert "expect less on new scans" in text
