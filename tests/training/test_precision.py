"""Which precision is faster is measured, and nothing else happens."""

import torch

from dvcl.training import precision
from dvcl.training.precision import faster_precision


def test_the_faster_one_is_taken_and_measured_once(monkeypatch):
    for faster, expected in ((torch.bfloat16, "bf16"), (torch.float32, "float32")):
        asked = []

        def seconds(layers, *_, faster=faster, asked=asked):
            assert torch.get_num_threads() == 1
            asked.append([layer.args[0] for layer in layers])
            return [1.0 if kind is faster else 2.0 for kind in asked[-1]]

        precision._faster_on_processor.cache_clear()
        monkeypatch.setattr(precision, "least_seconds", seconds)
        assert faster_precision(torch.device("cpu")) == expected
        assert faster_precision(torch.device("cpu")) == expected
        assert asked == [[torch.float32, torch.bfloat16]]
    precision._faster_on_processor.cache_clear()


def test_it_draws_no_random_numbers():
    precision._faster_on_processor.cache_clear()
    before = torch.get_rng_state()
    assert faster_precision(torch.device("cpu")) in ("bf16", "float32")
    assert torch.equal(torch.get_rng_state(), before)


def test_other_devices_are_not_measured():
    assert faster_precision(torch.device("mps")) == "float32"
