"""The journal as TensorBoard events."""

import math
import sys

import pytest

from dvcl.errors import InputError
from dvcl.training.tensorboard import TensorBoard


def test_every_number_of_a_row_becomes_an_event(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    write = TensorBoard(tmp_path)
    write({"kind": "step", "iteration": 1, "terms": {"supervised": 0.5}, "rate": 0.1})
    write({"kind": "step", "iteration": 2, "terms": {"supervised": 0.25}, "worked_on": {"a b": 3}})
    write({"kind": "validation", "iteration": 2, "mean_dice": math.nan, "dice": {"liver": 0.75}})
    write.writer.close()
    events = EventAccumulator(str(tmp_path)).Reload()
    found = [(event.step, event.value) for event in events.Scalars("terms/supervised")]
    assert found == [(1, 0.5), (2, 0.25)]
    assert events.Scalars("worked_on/a b")[0].value == 3
    assert events.Scalars("dice/liver")[0].value == 0.75
    assert math.isnan(events.Scalars("mean_dice")[0].value)


def test_without_tensorboard_the_error_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match="pip install tensorboard"):
        TensorBoard(tmp_path)
