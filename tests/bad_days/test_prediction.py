"""Prediction where something is missing: memory for one scan, a picture, the right mask."""

from pathlib import Path

import numpy as np
import pytest

from dvcl.inference.predict import segment
from dvcl.volume import Volume, write_volume

RUN = Path("work/runs/done/supervised/seed-0")


def predict(study: Path, run, *words: str) -> tuple[int, str]:
    scans = study / "scans" / "test" / "images"
    code, out, err = run(
        "predict", study / RUN, scans, "--out", study / "out", "--device=cpu", "--trust", *words
    )
    return code, " ".join((out + err).split())


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 9 bytes")],
    ids=["numpy", "torch"],
)
def test_a_scan_too_large_does_not_stop_the_others(
    error: Exception, study: Path, run, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def first_fails(*arguments: object) -> Volume:
        calls.append(arguments)
        if len(calls) == 1:
            raise error
        return segment(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("dvcl.commands.predictor.segment", first_fails)
    code, told = predict(study, run)
    assert code == 2
    assert "1 of 2 images are segmented; not so:" in told
    assert "s.nii.gz: segmenting it needs more memory than there is" in told
    assert {path.name for path in (study / "out").iterdir()} == {
        "t.nii.gz", "t.doubts.json", "t.png", "index.html",
        "labels.json", "labels.ctbl", "labels.itksnap.txt", "volumes.csv",
    }  # fmt: skip


def test_only_what_is_missing_is_made(study: Path, run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert predict(study, run, "--no-pictures")[0] == 0
    (study / "out" / "t.nii.gz").unlink()
    before = (study / "out" / "s.nii.gz").stat().st_mtime_ns
    code, told = predict(study, run, "--skip-existing")
    assert code == 0
    assert "Label maps written: 1" in told
    assert (study / "out" / "s.nii.gz").stat().st_mtime_ns == before
    assert len([*(study / "out").glob("*.png")]) == 2
    monkeypatch.setattr("dvcl.commands.predictor.read_volume", pytest.fail)
    assert "Label maps written: 0" in predict(study, run, "--skip-existing")[1]


def test_a_mask_is_written_last(study: Path, run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dvcl.commands.predictor.save_png", full)
    assert predict(study, run)[0] == 2
    assert not [*(study / "out").glob("*.nii.gz")]


def test_the_mask_of_another_scan_gets_no_picture(study: Path, run) -> None:
    other = Volume(np.zeros((4, 5, 6), np.uint8), np.eye(4))
    write_volume(study / "out" / "s.nii.gz", other)
    code, told = predict(study, run, "--skip-existing")
    assert code == 2
    assert "s.nii.gz: is there already, but does not lie on the voxels of" in told
