"""The loop: what it writes, how it stops, and that a resumed run is the same run."""

import random

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from dvcl.errors import InputError
from dvcl.methods import METHODS
from dvcl.training.engine import choose_device, step, train
from dvcl.training.journal import read_journal
from dvcl.training.optimisation import (
    Training,
    build_optimisers,
    decayed_rate,
    learns_unlabelled,
)

CPU = torch.device("cpu")
FAST = {"iterations": 6, "rate": 0.05, "validate_every": 2, "precision": "float32"}


def run(folder, method, sampler, validate=None, observe=None, **changes):
    train(
        method, sampler, Training(**FAST | changes), folder,
        device=CPU, seed=3, validate=validate, observe=observe,
    )  # fmt: skip


def untimed(folder) -> list[dict]:
    rows = read_journal(folder / "journal.jsonl")
    return [
        {k: v for k, v in row.items() if k not in ("seconds", "waited", "processor", "peak_mib")}
        for row in rows
    ]


class Stop(Exception):
    """Ends a run from outside."""


@pytest.mark.parametrize("name", ["supervised", "dvcl"])
def test_a_run_that_was_cut_off_continues_bit_for_bit(name, build_method, make_sampler, tmp_path):
    def stop_at_5(row):
        if row["iteration"] == 5:
            raise Stop

    def validate(method):
        return {"mean_dice": method.predict(torch.ones(1, 1, 8, 8, 8)).max().item()}

    whole, cut = tmp_path / "whole", tmp_path / "cut"
    run(whole, build_method(name), make_sampler(), validate)
    with pytest.raises(Stop):
        run(cut, build_method(name), make_sampler(), validate, stop_at_5)
    assert read_journal(cut / "journal.jsonl")[-1]["iteration"] == 5
    run(cut, build_method(name, seed=8), make_sampler(seed=8), validate)
    assert untimed(cut) == untimed(whole)
    for file in ("last.safetensors", "best.safetensors"):
        expected, found = load_file(whole / file), load_file(cut / file)
        assert expected.keys() == found.keys()
        assert all(torch.equal(found[key], value) for key, value in expected.items())


def test_the_journal_of_a_run(build_method, make_sampler, tmp_path):
    seen = []
    run(tmp_path, build_method("cps"), make_sampler(), lambda _: {"mean_dice": 0.5}, seen.append)
    rows = read_journal(tmp_path / "journal.jsonl")
    assert rows == seen
    steps = [row for row in rows if row["kind"] == "step"]
    assert [row["iteration"] for row in steps] == [1, 2, 3, 4, 5, 6]
    settings = Training(**FAST)
    assert [row["rate"] for row in steps] == [decayed_rate(settings, t) for t in range(6)]
    assert all(row["terms"].keys() == {"supervised", "cross_supervision"} for row in steps)
    measured = [row["iteration"] for row in steps if "gradient_norms" in row]
    assert measured == [row["iteration"] for row in steps if row.get("peak_mib")] == [2, 4, 6]
    validated = [row["iteration"] for row in rows if row["kind"] == "validation"]
    assert validated == [2, 4, 6]
    assert all(row["seconds"] >= row.get("waited", 0) >= 0 for row in rows)


def test_the_journal_tells_what_terms_worked_on(build_method, make_sampler, tmp_path):
    run(tmp_path, build_method("dvcl"), make_sampler())
    noted = [row["worked_on"] for row in read_journal(tmp_path / "journal.jsonl")]
    assert len(noted) == 6
    assert all(
        counts.keys() == {"hqc classes", "distance queries", "distance candidates"}
        for counts in noted
    )
    # Every query but itself, and the queue from the second step on.
    others = [counts["distance candidates"] - counts["distance queries"] for counts in noted]
    assert others == [-1, *[63] * 5]


def test_global_generators_other_than_torchs_are_left_alone(build_method, make_sampler, tmp_path):
    before = random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    run(tmp_path, build_method("dvcl"), make_sampler())
    assert random.getstate() == before[0]
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


def test_the_last_iteration_is_always_a_milestone(build_method, make_sampler, tmp_path):
    run(tmp_path, build_method("supervised"), make_sampler(), iterations=3, validate_every=500)
    assert {file.name for file in tmp_path.iterdir()} == {
        "journal.jsonl", "last.safetensors", "best.safetensors",
    }  # fmt: skip


def test_best_weights_are_those_of_the_best_validation(build_method, make_sampler, tmp_path):
    method, kept = build_method("supervised"), []
    scores = iter([0.2, 0.9, float("nan")])

    def validate(validated):
        assert validated is method
        assert not method.training
        assert torch.is_inference_mode_enabled()
        kept.append({key: value.clone() for key, value in method.state_dict().items()})
        return {"mean_dice": next(scores)}

    run(tmp_path, method, make_sampler(), validate)
    best = load_file(tmp_path / "best.safetensors")
    assert all(torch.equal(best[f"method/{key}"], value) for key, value in kept[1].items())
    assert read_journal(tmp_path / "journal.jsonl")[-1]["mean_dice"] is None


def test_without_validation_the_best_weights_are_the_last(build_method, make_sampler, tmp_path):
    method = build_method("supervised")
    run(tmp_path, method, make_sampler())
    best = load_file(tmp_path / "best.safetensors")
    assert all(torch.equal(best[f"method/{k}"], v) for k, v in method.state_dict().items())


def test_a_finished_run_is_left_alone(build_method, make_sampler, tmp_path):
    run(tmp_path, build_method("supervised"), make_sampler())
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    run(tmp_path, build_method("supervised", seed=5), make_sampler(seed=5))
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_the_seed_decides_about_dropout(build_method, make_sampler, tmp_path):
    for folder, seed in (("a", 3), ("b", 3), ("c", 4)):
        train(
            build_method("supervised"), make_sampler(), Training(**FAST), tmp_path / folder,
            device=CPU, seed=seed,
        )  # fmt: skip
    a, b, c = (untimed(tmp_path / folder) for folder in "abc")
    assert a == b
    assert a != c


def poison(sampler):
    """A scan whose intensities are not numbers."""
    case = sampler.labelled.cases[1]
    case.offset = float("nan")
    return sampler


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_cases(
    build_method, make_sampler, tmp_path
):
    method = build_method("supervised")
    run(tmp_path, method, make_sampler(), iterations=2)
    checkpoint = (tmp_path / "last.safetensors").read_bytes()
    with pytest.raises(InputError, match="not finite") as caught:
        run(
            tmp_path, build_method("supervised"), poison(make_sampler()), iterations=40,
            validate_every=500,
        )  # fmt: skip
    message = str(caught.value)
    assert "supervised nan" in message
    assert "labelled-1" in message
    assert "last checkpoint is unharmed" in message
    rows = read_journal(tmp_path / "journal.jsonl")
    assert all(np.isfinite(row["terms"]["supervised"]) for row in rows)
    assert (tmp_path / "last.safetensors").read_bytes() == checkpoint


def test_a_loss_that_is_no_number_does_not_reach_the_weights(build_method, make_sampler):
    method = build_method("supervised")
    optimisers = build_optimisers(method, Training())
    before = {key: value.clone() for key, value in method.state_dict().items()}
    sampler = make_sampler()
    for case in sampler.labelled.cases:
        case.offset = float("inf")
    with pytest.raises(InputError, match="not finite"):
        step(method, optimisers, sampler.draw().to(CPU), 0.0, 0.1, measure=True)
    assert all(torch.equal(method.state_dict()[key], value) for key, value in before.items())


def test_a_step_is_one_step_of_gradient_descent(build_method, make_sampler):
    method, batch = build_method("supervised").eval(), make_sampler().draw().to(CPU)
    method.network.dropout.p = 0.0
    optimisers = build_optimisers(method, Training(momentum=0.0, weight_decay=0.0))
    before = [weight.detach().clone() for weight in method.parameters()]
    total = sum(method.losses(batch, 0.0).values())
    gradients = torch.autograd.grad(total, list(method.parameters()))
    values, norms = step(method, optimisers, batch, 0.0, rate=0.02, measure=True)
    assert values["supervised"] == pytest.approx(total.item())
    expected = [old - 0.02 * gradient for old, gradient in zip(before, gradients, strict=True)]
    torch.testing.assert_close([w.detach() for w in method.parameters()], expected)
    norm = torch.cat([gradient.flatten() for gradient in gradients]).norm().item()
    assert norms == {"gradient_norms": {"supervised": pytest.approx(norm, rel=1e-4)}}
    assert method.training


def test_a_named_device_is_taken():
    assert choose_device("cpu") == CPU
    assert choose_device().type in ("cpu", "cuda", "mps")


class Recorder:
    """A sampler that notes what it was asked for."""

    def __init__(self, sampler):
        self.sampler, self.asked = sampler, []

    def choose(self, progress, unlabelled):
        self.asked.append((progress, unlabelled))
        return self.sampler.choose(progress, unlabelled)

    def __getattr__(self, name):
        return getattr(self.sampler, name)


@pytest.mark.parametrize("name", METHODS)
def test_methods_may_begin_with_labelled_patches_alone(name, build_tiny, make_sampler, tmp_path):
    method, sampler = build_tiny(name), Recorder(make_sampler(size=(16, 16, 16), maps=True))
    run(tmp_path, method, sampler, unlabelled_from=0.5)
    steps = [row for row in read_journal(tmp_path / "journal.jsonl") if row["kind"] == "step"]
    if not method.needs_unlabelled:
        assert [asked[1] for asked in sampler.asked] == [True] * 6
        return
    assert [asked[1] for asked in sampler.asked] == [False] * 3 + [True] * 3
    assert all(row["terms"].keys() == {"supervised"} for row in steps[:3])
    others = [row["terms"].keys() - {"supervised"} for row in steps[3:]]
    assert all(others) or name == "u2pl"  # which begins by itself


def test_the_ramps_take_what_is_left_of_the_run(build_method, make_sampler, tmp_path):
    method, seen = build_method("cps"), []
    losses = method.losses
    method.losses = lambda batch, progress: seen.append(progress) or losses(batch, progress)
    run(tmp_path, method, make_sampler(), unlabelled_from=0.5)
    assert seen == pytest.approx([0, 1 / 3, 2 / 3])


def test_every_nth_step_learns_from_unlabelled_patches():
    settings = Training(iterations=10, unlabelled_from=0.3, unlabelled_every=3)
    found = [iteration for iteration in range(10) if learns_unlabelled(settings, iteration)]
    assert found == [3, 6, 9]
    assert all(learns_unlabelled(Training(iterations=10), iteration) for iteration in range(10))


def test_what_a_pair_learns_from_labels_alone_is_what_it_learns_with_zero_weight(
    build_method, make_sampler
):
    batch = make_sampler().draw().to(CPU)
    method = build_method("cps").eval()
    together = method.losses(batch, 0.5)["supervised"]
    ((group, terms),) = method.supervised_updates(batch)
    assert group == "network"
    torch.testing.assert_close(terms, {"supervised": together})


def test_gradients_are_clipped_together(build_method, make_sampler):
    method, batch = build_method("supervised"), make_sampler().draw().to(CPU)
    before = [weight.detach().clone() for weight in method.parameters()]
    settings = Training(**FAST | {"momentum": 0.0, "weight_decay": 0.0})
    optimisers = build_optimisers(method, settings)
    step(method, optimisers, batch, 0.0, rate=2.0, clip=1e-3)
    moved = [
        (weight.detach() - old).square().sum()
        for weight, old in zip(method.parameters(), before, strict=True)
    ]
    assert torch.stack(moved).sum().sqrt().item() == pytest.approx(2e-3, rel=1e-3)


def test_an_average_predicts_and_survives_an_interruption(build_method, make_sampler, tmp_path):
    changes, seen = {"average": 0.7, "clip": 1.0, "nesterov": True}, []

    def validate(method):
        seen.append(next(method.parameters()).detach().clone())
        return {"mean_dice": 0.5 + 0.1 * len(seen)}

    def stop_at_5(row):
        if row["iteration"] == 5:
            raise Stop

    method = build_method("supervised")
    run(tmp_path / "whole", method, make_sampler(), validate, **changes)
    key = f"method/{next(iter(method.state_dict()))}"
    best, last = (
        load_file(tmp_path / "whole" / f"{name}.safetensors") for name in ("best", "last")
    )
    assert torch.equal(best[key], seen[-1])
    assert torch.equal(last["average/0"], best[key])
    assert not torch.equal(last[key], best[key])
    with pytest.raises(Stop):
        run(tmp_path / "cut", build_method("supervised"), make_sampler(), validate, stop_at_5,
            **changes)  # fmt: skip
    run(tmp_path / "cut", build_method("supervised", seed=8), make_sampler(seed=8), validate,
        **changes)  # fmt: skip
    continued = load_file(tmp_path / "cut" / "last.safetensors")
    assert all(torch.equal(continued[name], value) for name, value in last.items())


def test_steps_on_labelled_patches_alone_do_not_tell_what_others_worked_on(
    build_method, make_sampler, tmp_path
):
    run(tmp_path, build_method("dvcl"), make_sampler(), unlabelled_every=2)
    steps = [row for row in read_journal(tmp_path / "journal.jsonl") if row["kind"] == "step"]
    assert ["worked_on" in row for row in steps] == [True, False] * 3
