"""Terms that are 0 for a whole interval are told, and no others."""

from dvcl.training.idle import IdleTerms


def told(rows) -> list[list[str]]:
    watch = IdleTerms()
    return [watch(row) for row in rows]


def step(terms, milestone=False, **more):
    return {"kind": "step", "terms": terms, **more} | ({"gradient_norms": {}} if milestone else {})


def test_a_term_that_is_always_0_is_told_at_the_end_of_the_interval():
    first, last = told(
        [
            step({"supervised": 1.0, "hqc": 0.0}, worked_on={"hqc classes": 0}),
            step({"supervised": 1.0, "hqc": 0.0}, True, worked_on={"hqc classes": 0}),
        ]
    )
    assert first == []
    assert len(last) == 1
    assert "the term hqc was 0 in every one of 2 steps and taught nothing" in last[0]
    assert "(at most: classes 0)" in last[0]


def test_the_most_that_was_found_is_told():
    rows = [
        step(
            {"distance": 0.0, "hqc": 1.0},
            index == 2,
            worked_on={"hqc classes": 3, "distance queries": 2, "distance candidates": found},
        )
        for index, found in enumerate((3, 5, 4))
    ]
    assert "(at most: queries 2, candidates 5)" in told(rows)[-1][0]


def test_one_step_that_teaches_is_enough_and_each_interval_counts_alone():
    rows = [step({"hqc": 0.0}), step({"hqc": 0.1}), step({"hqc": 0.0}, True)]
    assert told(rows)[-1] == []
    again = told([*rows, {"kind": "validation"}, step({"hqc": 0.0}), step({"hqc": 0.0}, True)])
    assert "every one of 2 steps" in again[-1][0]


def test_a_term_that_has_not_begun_is_not_idle():
    rows = [step({"supervised": 1.0}), step({"supervised": 1.0, "distance": 0.0}, True)]
    assert "the term distance was 0 in every one of 1 step " in told(rows)[-1][0]
    assert told([step({"supervised": 1.0}, True)]) == [[]]


def test_without_counts_the_sentence_names_the_two_reasons():
    (sentence,) = told([step({"consistency": 0.0}, True)])[0]
    assert "found nothing to work on, or its weight is 0" in sentence
