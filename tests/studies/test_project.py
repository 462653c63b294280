from pathlib import Path

import numpy as np

from dvcl.datasets import load_folders
from dvcl.studies.project import prepare
from dvcl.volume import Volume, write_volume


def test_a_recipe_that_cannot_divide_the_cases_is_told_before_any_work(tmp_path: Path) -> None:
    for id in "abcdef":
        for part, scale in (("images", 100), ("labels", 1)):
            array = np.zeros((6, 6, 6), np.int16)
            array[1:3, 1:3, ord(id) - ord("a") :] = scale
            write_volume(tmp_path / "train" / part / f"{id}.nii", Volume(array, np.eye(4)))
    told: list[str] = []

    def checked(*_: object) -> None:
        assert told, "nothing is read before"

    prepare(
        tmp_path / "work", load_folders(tmp_path / "train"), "flare22-10",
        workers=1, checked=checked, tell=told.append,
    )  # fmt: skip
    assert told[0].startswith("Warning: the recipe flare22-10 cannot divide these cases.")
    assert "unlabelled cases were asked for with" in told[0]
    assert "--set split.unlabelled_per_labelled=none" in told[0]
