"""Minutes become iterations and validations."""

import pytest

from dvcl.inference.sliding_window import Window, window_starts
from dvcl.planning.cost import Cost, measure_here
from dvcl.planning.machine import GIB, look_at_machine
from dvcl.planning.schedule import choose_schedule, method_choices, validation_windows
from dvcl.recipe import load_recipe, parse_recipe

COST = Cost(step_s=1.0, window_s=0.1, peak_bytes=GIB, precision="float32")


@pytest.mark.parametrize("minutes", [2, 20, 60, 300, 10_000])
@pytest.mark.parametrize("windows", [0, 1, 60, 5000])
def test_the_time_is_kept_and_used(minutes, windows):
    found = choose_schedule(COST, windows, minutes, "dvcl")
    iterations, every = (found[f"training.{k}"].value for k in ("iterations", "validate_every"))
    validations = -(-iterations // every)
    seconds = iterations * COST.step_s + validations * windows * COST.window_s
    affordable = 4 * windows * COST.window_s < 0.5 * 60 * minutes
    if affordable:
        assert seconds <= 60 * minutes * 1.01
    if affordable and iterations < 20_000:
        assert seconds >= 60 * minutes * 0.8
    assert 4 <= validations <= 20 or iterations < 20


def test_a_long_run_is_the_papers():
    found = choose_schedule(COST, 10, 10_000, "dvcl")
    assert found["training.iterations"].value == 20_000
    assert found["training.warmup"].value == 0
    assert "As in the paper" in found["training.iterations"].reason


def test_a_short_run_warms_up_and_says_when_it_is_too_short():
    found = choose_schedule(COST, 10, 5, "cps")
    assert found["training.iterations"].value == 280
    assert found["training.warmup"].value == 28
    assert "cps took 1 s" in found["training.iterations"].reason
    assert "give --minutes 19 for 1000" in found["training.iterations"].reason
    enough = choose_schedule(COST, 10, 19, "cps")["training.iterations"].value
    assert enough >= 1000
    assert "1 minute holds so many" in _reason(1)
    assert "5 minutes hold so many" in _reason(5)


def _reason(minutes: float) -> str:
    return choose_schedule(COST, 10, minutes, "cps")["training.iterations"].reason


def test_the_settings_of_short_runs_are_those_of_the_small_recipe():
    choices = method_choices((32, 32, 32))
    small = load_recipe("small-ct").methods
    assert {key: choice.value for key, choice in choices.items()} == {
        f"methods.{method}.{name}": value
        for method, settings in small.items()
        for name, value in settings.items()
    }


def test_validation_windows_are_counted(fingerprint):
    scans = fingerprint(
        spacing_mm=(4.0, 4.0, 4.0), shape=(40, 100, 100), body_mm=(160.0, 120.0, 200.0),
        counts={"labelled": 10, "validation": 3},
    )  # fmt: skip
    window = Window((16, 32, 32), (8, 16, 16))
    each = [len(window_starts(*axis)) for axis in ((40, 16, 8), (100, 32, 16), (100, 32, 16))]
    assert validation_windows(scans, (4.0, 4.0, 4.0), window) == 3 * each[0] * each[1] * each[2]
    of_bodies = Window((16, 32, 32), (8, 16, 16), skip_air=True)
    assert validation_windows(scans, (4.0, 4.0, 4.0), of_bodies) == 3 * 4 * 1 * 3
    undivided = fingerprint(counts={"undivided": 10})
    assert validation_windows(undivided, (100.0, 500.0, 500.0), window) == 2


@pytest.mark.parametrize("method", ["supervised", "dvcl", "dtc"])
def test_a_step_is_measured(method):
    recipe = parse_recipe(
        {
            "sampling": {"patch": [8, 8, 8], "labelled": 1, "unlabelled": 1},
            "network": {"levels": 2, "base_channels": 2},
            "window": {"size": [8, 8, 8], "stride": [4, 4, 4]},
            "methods": {"dvcl": {"queries": 16, "bank_size": 32, "queue_size": 32}},
        },
        "tiny",
        "tiny.toml",
    )
    cost = measure_here(recipe, method, 3, "cpu")
    assert cost is not None
    assert 0 < cost.step_s < 10
    assert 0 < cost.window_s < 10
    assert cost.peak_bytes > 10 * 2**20
    assert cost.precision in ("float32", "bf16")


def test_the_machine_is_looked_at(tmp_path):
    import torch

    machine = look_at_machine(torch.device("cpu"), tmp_path / "not" / "there")
    assert machine.cores >= 1
    assert 0 < machine.memory_bytes <= machine.ram_bytes
    assert machine.disk_bytes > 0
    assert "no GPU used" in machine.in_words
    limited = look_at_machine(torch.device("cpu"), tmp_path, memory_gib=1.5)
    assert limited.memory_bytes == 1.5 * GIB
