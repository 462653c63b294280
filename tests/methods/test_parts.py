"""Queues and the prediction of co-trained networks."""

from collections import deque

import pytest
import torch

from dvcl.errors import InputError
from dvcl.methods.parts import ClassQueues, FeatureQueue, check_choice, mean_probabilities


def rows_from(first: int, count: int) -> torch.Tensor:
    return torch.arange(first, first + count).float().unsqueeze(1).expand(-1, 2).clone()


@pytest.mark.parametrize("capacity", [1, 5, 8])
def test_a_queue_keeps_the_latest_rows(capacity):
    queue, expected, first = FeatureQueue(capacity, 2), deque(maxlen=capacity), 0
    for count in (2, 0, 3, 4, 1, 8, 20, 5, 3):
        rows = rows_from(first, count)
        queue.push(rows)
        expected.extend(rows[:, 0].tolist())
        first += count
        assert sorted(queue.content()[:, 0].tolist()) == sorted(expected)
        assert torch.equal(queue.content()[:, 0], queue.content()[:, 1])


def test_the_oldest_rows_go_first():
    queue = FeatureQueue(3, 2)
    queue.push(rows_from(0, 2))
    queue.push(rows_from(2, 2))
    assert sorted(queue.content()[:, 0].tolist()) == [1, 2, 3]
    queue.push(rows_from(4, 2))
    assert sorted(queue.content()[:, 0].tolist()) == [3, 4, 5]


def test_a_queue_without_room_stays_empty():
    queue = FeatureQueue(0, 2)
    queue.push(rows_from(0, 3))
    assert queue.content().shape == (0, 2)


def test_rows_are_stored_detached_as_float32():
    queue = FeatureQueue(4, 2)
    rows = rows_from(0, 2).bfloat16().requires_grad_()
    queue.push(rows)
    assert not queue.content().requires_grad
    assert queue.content().dtype == torch.float32
    with torch.no_grad():
        rows += 1
    assert queue.content()[:, 0].tolist() == [0, 1]


def test_a_queue_survives_in_the_state():
    queue, other = FeatureQueue(3, 2), FeatureQueue(3, 2)
    queue.push(rows_from(0, 4))
    other.load_state_dict(queue.state_dict())
    for both in (queue, other):
        both.push(rows_from(4, 1))
    assert torch.equal(queue.rows, other.rows)


def test_class_queues_are_separate():
    queues = ClassQueues(3, 4, 2)
    list(queues)[1].push(rows_from(0, 2))
    assert [len(queue.content()) for queue in queues] == [0, 2, 0]


def test_probabilities_are_averaged_and_not_logits():
    logits = [torch.tensor([[8.0, 0.0]]), torch.tensor([[0.0, 2.0]])]
    maps = [network.softmax(1) for network in logits]
    torch.testing.assert_close(mean_probabilities(logits, "mean"), (maps[0] + maps[1]) / 2)
    torch.testing.assert_close(mean_probabilities(logits, "A"), maps[0])
    torch.testing.assert_close(mean_probabilities(logits, "B"), maps[1])


def test_a_setting_outside_its_list_is_refused():
    check_choice("reduction", "sum", ("sum", "mean"))
    with pytest.raises(
        InputError, match=r"method.reduction: 'max' found, one of \['sum', 'mean'\]"
    ):
        check_choice("reduction", "max", ("sum", "mean"))
