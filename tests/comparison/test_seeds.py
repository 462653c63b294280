"""Rows stand on the same seeds."""

from dvcl.comparison.seeds import on_shared_seeds


def test_seeds_that_not_all_have_are_left_out():
    assert on_shared_seeds([{2: "c", 0: "a", 1: "b"}, {0: "x", 2: "z"}]) == [["a", "c"], ["x", "z"]]


def test_rows_without_runs_do_not_count():
    assert on_shared_seeds([{0: "a", 1: "b"}, {}, {1: "y"}]) == [["b"], [], ["y"]]


def test_rows_that_share_no_seed_keep_theirs():
    assert on_shared_seeds([{0: "a"}, {1: "y", 2: "z"}]) == [["a"], ["y", "z"]]
    assert on_shared_seeds([]) == []
