"""`dvcl show` finds of a scan what `dvcl check` finds, with the same advice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Run = Callable[..., tuple[int, str, str]]
GRID = np.diag([2.0, 2.0, 3.0, 1.0])
SHEARED = np.array([[2.0, 0.3, 0, 0], [0, 2.0, 0, 0], [0, 0, 3.0, 0], [0, 0, 0, 1]])
RANDOM = np.random.default_rng(0)
BODY = np.where(np.indices((12, 16, 16)).min(axis=0) < 3, -1000, 40).astype(np.int16)
BODY += RANDOM.integers(-20, 20, BODY.shape).astype(np.int16)
ORGAN = np.zeros(BODY.shape, np.uint8)
ORGAN[5:8, 6:10, 6:10] = 1
BROKEN = BODY.astype(np.float32)
BROKEN[3, 3, 3] = np.nan

# Spoiled scans, the code of what is found of them, and whether they can be drawn all the same.
SPOILED: dict[str, tuple[dict[str, Any], str, bool]] = {
    "sound": ({}, "", True),
    "MR without a modality": ({"image": np.abs(BODY) % 300}, "not-hu", True),
    "HU with an offset": ({"image": BODY + np.int16(1024)}, "hu-offset", True),
    "one value": ({"image": np.full_like(BODY, 7)}, "constant", True),
    "not finite": ({"image": BROKEN}, "not-finite", False),
    "no volume": ({"image": None}, "unreadable", False),
    "sheared": ({"grid": SHEARED, "label_grid": SHEARED}, "sheared", True),
    "label elsewhere": ({"label_grid": GRID + np.eye(4, k=3)[:4] * 30}, "grid-mismatch", False),
    "label of another size": ({"label": ORGAN[:6]}, "size-mismatch", False),
    "label of nothing": ({"label": ORGAN * 0}, "label-empty", True),
    "label of an unknown organ": ({"label": ORGAN * 9}, "label-values", False),
    "label that is the scan": ({"label": BODY}, "label-is-image", False),
    "label among scans": ({"image": ORGAN, "label": None}, "looks-like-labels", True),
}


def write(folder: Path, write_image, spoiled: dict[str, Any]) -> tuple[str, ...]:
    """few/ and many/ with the spoiled scan "x" in one of them; the options that name it alone."""
    case = {"image": BODY, "label": ORGAN, "grid": GRID, "label_grid": GRID} | spoiled
    few, many = folder / "few", folder / "many"
    for name, image in {"a": BODY, "x": case["image"]}.items():
        label = case["label"] if name == "x" else ORGAN
        place = many / f"{name}.nii.gz" if label is None else few / "images" / f"{name}.nii.gz"
        place.parent.mkdir(parents=True, exist_ok=True)
        if image is None:
            place.write_bytes(b"<html>")
        else:
            write_image(place, image, case["grid"] if name == "x" else GRID)
        if label is not None:
            grid = case["label_grid"] if name == "x" else GRID
            path = write_image(few / "labels" / f"{name}.nii.gz", label, grid)
            alone = (str(place), "--label", str(path))
        else:
            alone = (str(place),)
    (folder / "labels.json").write_text('{"1": "liver"}')
    return alone


def of_case(told: str, code: str) -> list[dict[str, Any]]:
    """What is found of the scan "x" alone, but for what the recipe and other scans say."""
    found = json.loads(told)["findings"]
    assert not code or code in {each["code"] for each in found}
    return [each for each in found if each["case"] == "x" and not each["code"].startswith("same")]


@pytest.mark.parametrize("name", SPOILED)
def test_the_same_is_found(name: str, tmp_path: Path, write_image, run: Run) -> None:
    spoiled, code, is_drawn = SPOILED[name]
    alone = write(tmp_path, write_image, spoiled)
    options = [f"--labelled={tmp_path / 'few'}", f"--labels={tmp_path / 'labels.json'}"]
    if (tmp_path / "many").exists():
        options.append(f"--unlabelled={tmp_path / 'many'}")
    out = ("--out", tmp_path / "x.png", "--json")
    checked = of_case(run("check", *options, "--json")[1], code)
    _, shown, said = run("show", *options, *out)
    assert of_case(shown, code) == checked
    told = [each for each in checked if each["severity"] != "note"]
    assert all(
        f"{each['where']}: {each['text']} {each['remedy']}".rstrip() in said for each in told
    )
    labels = options[1:2] if len(alone) > 1 else []
    for words in ([*options, "--case", "x"], [*alone, *labels]):
        exit_code, shown, said = run("show", *words, *out)
        assert exit_code == (0 if is_drawn else 2), said
        if is_drawn:
            assert of_case(shown, code) == checked
        else:
            # What cannot be drawn is refused in the same words.
            (problem,) = json.loads(shown)["errors"]
            assert problem in [f"{e['where']}: {e['text']} {e['remedy']}".rstrip() for e in checked]
