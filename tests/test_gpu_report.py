"""`make gpu` without a GPU: parts in their small form, and a report that is always there."""

import json
import sys
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    before = set(sys.modules)
    import gpu

    yield gpu
    for name in set(sys.modules) - before:
        if str(BENCHMARKS) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def run(gpu, monkeypatch, folder, parts, minutes="5", learn=None):
    monkeypatch.setattr(gpu, "PARTS", parts)
    monkeypatch.setattr(gpu, "learn", learn or (lambda *_: iter(())))
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--out", str(folder), "--minutes", minutes])
    with pytest.raises(SystemExit) as stop:
        gpu.main()
    report = json.loads((folder / "gpu.json").read_text())
    return stop.value.code, report, (folder / "gpu.md").read_text()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, on which all of it runs")
@pytest.mark.parametrize("name", ["resume", "predict", "variants", "neighbours", "volume"])
def test_a_part_passes_in_its_small_form(name, gpu, monkeypatch, tmp_path, capsys):
    code, report, page = run(gpu, monkeypatch, tmp_path, {name: gpu.PARTS[name]})
    assert code == 0
    assert "There is no GPU" in capsys.readouterr().out
    assert report["machine"]["device"].startswith("no GPU")
    rows = report["parts"][name]["rows"]
    assert rows
    assert all(f"| {row} |" in page for row in rows)


def test_methods_on_the_device_have_the_losses_of_the_cpu(gpu, monkeypatch):
    import gpu_parts

    monkeypatch.setattr(gpu_parts, "METHODS", ("u2pl", "dvcl"))
    rows = gpu_parts.losses(gpu_parts.SMALL)
    assert rows == {name: {"first step": 0, "within 2 steps": 0} for name in ("u2pl", "dvcl")}
    found = iter([[[1.0], [1.0]], [[1.1], [1.0]]] * 2)
    monkeypatch.setattr(gpu_parts, "curve", lambda *_: next(found))
    with pytest.raises(RuntimeError, match="first step of at most 0.001 expected"):
        gpu_parts.losses(gpu_parts.SMALL)


def test_what_was_done_is_kept_when_parts_fail_or_time_runs_out(gpu, monkeypatch, tmp_path):
    def broken(form):
        raise ValueError("no such kernel")

    def learn(*_):
        yield "supervised", {"mean Dice": 0.5}
        raise OSError("disk gone")

    parts = {"fine": lambda form: {"a": {"seconds": 1.0}}, "broken": broken}
    code, report, page = run(gpu, monkeypatch, tmp_path, parts, learn=learn)
    assert code == 1
    assert report["parts"]["fine"]["rows"] == {"a": {"seconds": 1.0}}
    assert report["parts"]["broken"]["failed"] == "ValueError: no such kernel"
    assert report["parts"]["learning"]["rows"] == {"supervised": {"mean Dice": 0.5}}
    assert report["parts"]["learning"]["failed"] == "OSError: disk gone"
    assert "failed: ValueError: no such kernel" in page
    code, report, _ = run(gpu, monkeypatch, tmp_path, parts, minutes="0")
    assert code == 1
    assert report["parts"]["fine"] == {"failed": "not run: no time was left", "rows": {}}
