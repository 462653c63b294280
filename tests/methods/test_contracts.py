"""What every method of the table keeps."""

import dataclasses
import inspect

import pytest
import torch

from dvcl.methods import METHODS, Method
from dvcl.methods.method import Terms
from dvcl.networks import Network, SegmentationNetwork
from dvcl.recipe import method_settings
from dvcl.training.checkpoint import load_state, save_state
from dvcl.training.engine import step
from dvcl.training.optimisation import Training, build_optimisers

every_method = pytest.mark.parametrize("name", METHODS)
CO_TRAINED = [name for name in METHODS if "second_start" in method_settings(name)]
SETTINGS = Training(iterations=10, rate=0.05, precision="float32")


def updates(method: Method, batch, progress: float = 0.7) -> list[tuple[str, Terms]]:
    """Every update of a step, carried out by nobody, with the same draws at every call."""
    torch.manual_seed(0)
    method.random.manual_seed(0)
    return list(method.updates(batch, progress))


def total(method: Method, batch) -> torch.Tensor:
    return sum(term for _, terms in updates(method, batch) for term in terms.values())


def gradients(method: Method, batch) -> dict[str, torch.Tensor]:
    """What all updates of a step leave in ``.grad``."""
    method.zero_grad(set_to_none=True)
    total(method, batch).backward()
    return {
        name: weight.grad.clone()
        for name, weight in method.named_parameters()
        if weight.grad is not None
    }


def gradients_of_terms(method: Method, batch, progress: float = 0.7) -> dict[str, list]:
    """Each term's gradient for the weights that its update trains."""
    groups, found = method.parameter_groups(), {}
    for group, terms in updates(method, batch, progress):
        for name, term in terms.items():
            assert name not in found
            moved = torch.autograd.grad(term, groups[group], retain_graph=True, allow_unused=True)
            found[name] = [gradient for gradient in moved if gradient is not None]
    return found


def trained(name: str, build_method, make_batch) -> Method:
    """A method two steps old: its memories hold something, its teacher lags behind."""
    method = build_method(name)
    optimisers = build_optimisers(method, SETTINGS)
    for seed in (1, 2):
        step(method, optimisers, make_batch(seed), 0.7, 0.01)
    return method


@every_method
@pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
def test_every_term_is_a_finite_scalar_from_the_first_step(
    name, progress, build_method, make_batch
):
    for _, terms in updates(build_method(name), make_batch(), progress):
        for key, term in terms.items():
            assert term.shape == (), key
            assert term.dtype == torch.float32, key
            assert term.isfinite(), key


@every_method
@pytest.mark.parametrize("progress", [0.7, 1.0])
def test_every_term_moves_some_weight_of_its_group(name, progress, build_method, make_batch):
    found = gradients_of_terms(trained(name, build_method, make_batch), make_batch(), progress)
    for key, moved in found.items():
        assert any(gradient.abs().max() > 0 for gradient in moved), key
        assert all(gradient.isfinite().all() for gradient in moved), key


@every_method
def test_every_trained_weight_is_moved_and_frozen_ones_get_no_gradient(
    name, build_method, make_batch
):
    method = trained(name, build_method, make_batch)
    moved = gradients(method, make_batch())
    for key, weight in method.named_parameters():
        assert (key in moved) == weight.requires_grad, key
        # Instance normalisation takes the biases before it out again.
        assert key not in moved or key.endswith("bias") or moved[key].abs().max() > 0, key


@every_method
def test_the_updates_train_the_groups_and_the_groups_hold_what_is_not_frozen(
    name, build_method, make_batch
):
    method = build_method(name)
    groups = method.parameter_groups()
    listed = [id(weight) for weights in groups.values() for weight in weights]
    assert len(listed) == len(set(listed))
    assert set(listed) == {id(w) for w in method.parameters() if w.requires_grad}
    assert [group for group, _ in updates(method, make_batch())] == [*groups]
    assert set(method.adam_rates) <= set(groups)
    optimisers = build_optimisers(method, SETTINGS)
    step(method, optimisers, make_batch(), 0.7, 0.01)
    rates = {group: optimiser.param_groups[0]["lr"] for group, optimiser in optimisers.items()}
    assert rates == {group: method.adam_rates.get(group, 0.01) for group in groups}


@every_method
def test_optimisers_leave_frozen_weights_alone_and_after_step_the_trained_ones(
    name, build_method, make_batch, monkeypatch
):
    method = trained(name, build_method, make_batch)
    after_step, weights = method.after_step, list(method.parameters())
    before, called = [weight.detach().clone() for weight in weights], []

    def watched() -> None:
        stepped = [weight.detach().clone() for weight in weights]
        after_step()
        for weight, old, new in zip(weights, before, stepped, strict=True):
            assert weight.requires_grad or torch.equal(old, new)
            assert not weight.requires_grad or torch.equal(weight, new)
        called.append(True)

    monkeypatch.setattr(method, "after_step", watched)
    step(method, build_optimisers(method, SETTINGS), make_batch(), 0.7, 0.05)
    assert called == [True]


@every_method
def test_unlabelled_images_matter_to_every_term_that_is_not_supervised(
    name, build_method, make_batch
):
    method, batch = trained(name, build_method, make_batch), make_batch()
    other = dataclasses.replace(batch, unlabelled=make_batch(seed=5).unlabelled)
    # Both start from the same memories.
    state = {key: value.clone() for key, value in method.state_dict().items()}
    first = gradients_of_terms(method, batch)
    method.load_state_dict(state)
    second = gradients_of_terms(method, other)
    assert first.keys() == second.keys()
    learning = [key for key in first if not key.startswith("supervised")]
    assert bool(learning) == method.needs_unlabelled
    for key in learning:
        same = map(torch.equal, first[key], second[key])
        assert len(first[key]) != len(second[key]) or not all(same), key


@every_method
def test_losses_learn_from_a_batch(name, build_method, make_batch):
    method, batch = build_method(name), make_batch()
    optimisers = build_optimisers(method, SETTINGS)
    found = [step(method, optimisers, batch, 0.5, 0.05)[0]["supervised"] for _ in range(15)]
    assert found[-1] < 0.8 * found[0]


@every_method
def test_three_steps_a_checkpoint_and_three_steps_are_six_steps(
    name, build_method, make_batch, tmp_path
):
    batches = [make_batch(seed) for seed in range(6)]

    def advance(method, optimisers, first, last):
        for t in range(first, last):
            step(method, optimisers, batches[t], t / 6, 0.05 * (1 - t / 6))

    def everything(method, optimisers):
        state = {f"method/{key}": value for key, value in method.state_dict().items()}
        for group, optimiser in optimisers.items():
            for index, values in optimiser.state_dict()["state"].items():
                state |= {f"{group}/{index}/{key}": value for key, value in values.items()}
        return state | {"random": method.random.get_state(), "torch": torch.get_rng_state()}

    method = build_method(name, levels=3, dropout=0.3)
    optimisers = build_optimisers(method, SETTINGS)
    advance(method, optimisers, 0, 3)
    save_state(tmp_path / "last.safetensors", method, optimisers, iteration=3)
    advance(method, optimisers, 3, 6)
    expected = {key: value.clone() for key, value in everything(method, optimisers).items()}

    resumed = build_method(name, seed=99, levels=3, dropout=0.3)
    optimisers = build_optimisers(resumed, SETTINGS)
    facts = load_state(tmp_path / "last.safetensors", resumed, optimisers)
    assert facts["iteration"] == 3
    advance(resumed, optimisers, 3, 6)
    found = everything(resumed, optimisers)
    assert found.keys() == expected.keys()
    assert any("momentum" in key for key in found)
    assert all(f"{group}/0/exp_avg" in found for group in resumed.adam_rates)
    for key, value in expected.items():
        assert torch.equal(found[key], value), key


@every_method
def test_the_networks_run_in_bfloat16_and_the_losses_stay_finite(name, build_method, make_batch):
    method, batch = build_method(name), make_batch()
    full = total(method, batch).item()
    method = build_method(name)
    method.precision = torch.bfloat16
    loss = total(method, batch)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(full, rel=0.1)
    assert all(gradient.isfinite().all() for gradient in gradients(method, batch).values())
    assert method.predict(batch.labelled).dtype == torch.float32


@every_method
def test_predictions_are_probabilities(name, build_method, make_batch):
    method, batch = build_method(name, dropout=0.5).eval(), make_batch(side=8)
    with torch.inference_mode():
        found = method.predict(batch.images)
        again = method.predict(batch.images)
    assert found.shape == (4, 3, 8, 8, 8)
    assert found.dtype == torch.float32
    assert found.min() >= 0
    torch.testing.assert_close(found.sum(1), torch.ones(4, 8, 8, 8))
    assert torch.equal(found, again)


@every_method
def test_a_representation_is_a_network_seen_at_some_voxels(name, build_method, make_batch):
    method, images = trained(name, build_method, make_batch).eval(), make_batch(side=8).images
    voxels = torch.tensor([0, 700, 3, 2047])
    with torch.inference_mode():
        seen = method.represent(images)
        rows = seen.features(voxels)
        torch.testing.assert_close(seen.features(voxels[[2]]), rows[[2]])
        alone = method.represent(images[1:2]).features(voxels[1:2] - 512)
    assert seen.log_probabilities.shape == (4, 3, 8, 8, 8)
    torch.testing.assert_close(seen.log_probabilities.exp().sum(1), torch.ones(4, 8, 8, 8))
    assert len(rows) == 4
    assert rows.dtype == torch.float32
    assert rows.isfinite().all()
    torch.testing.assert_close(alone, rows[1:2], rtol=1e-4, atol=1e-5)


PREDICT_WITH_OTHERS = {"ccl", "bacon"}  # with a moving average


@pytest.mark.parametrize("name", [n for n in METHODS if n not in PREDICT_WITH_OTHERS])
def test_what_is_represented_is_what_predicts(name, build_method, make_batch):
    alone = {"predict_with": "A"} if name in CO_TRAINED else {}
    method, images = build_method(name, **alone).eval(), make_batch(side=8).images
    with torch.inference_mode():
        seen = method.represent(images).log_probabilities.exp()
        torch.testing.assert_close(seen, method.predict(images))


@every_method
def test_diagnostics_are_numbers_and_change_nothing(name, build_method, make_batch):
    method, batch = build_method(name), make_batch()
    method.losses(batch, 0.5)
    before = {key: value.clone() for key, value in method.state_dict().items()}
    random = method.random.get_state()
    with torch.inference_mode():
        found = method.eval().diagnose(batch)
    assert all(isinstance(value, float) for value in found.values())
    assert all(torch.equal(method.state_dict()[key], value) for key, value in before.items())
    assert torch.equal(method.random.get_state(), random)


@every_method
def test_a_method_is_one_class_whose_keywords_are_its_settings(name):
    kind = METHODS[name]
    assert kind.__bases__ == (Method,)
    settings = list(inspect.signature(kind).parameters.values())[2:]
    assert all(setting.kind is inspect.Parameter.KEYWORD_ONLY for setting in settings)
    assert all(setting.default is not inspect.Parameter.empty for setting in settings)
    documented = inspect.getdoc(kind)
    assert all(f"\n    {setting.name}:" in documented for setting in settings)


def test_only_the_baselines_need_no_unlabelled_cases():
    without = [name for name, kind in METHODS.items() if not kind.needs_unlabelled]
    assert without == ["supervised", "supervised_pair"]


@pytest.mark.parametrize("name", CO_TRAINED)
def test_co_trained_networks_predict_alone_or_together(name, build_method, make_batch):
    images = make_batch(side=8).images
    maps = {}
    for use in ("A", "B", "mean"):
        method = build_method(name, predict_with=use).eval()
        maps[use] = method.predict(images)
    alone = [network(images).logits.softmax(1) for network in method.networks]
    torch.testing.assert_close(maps["A"], alone[0])
    torch.testing.assert_close(maps["B"], alone[1])
    torch.testing.assert_close(maps["mean"], (alone[0] + alone[1]) / 2)
    assert not torch.allclose(alone[0], alone[1])


@pytest.mark.parametrize("name", CO_TRAINED)
def test_second_network_starts_as_asked(name: str) -> None:
    for asked in ("kaiming", "xavier"):
        schemes: list[str] = []

        def build(scheme: str, schemes: list[str] = schemes) -> SegmentationNetwork:
            schemes.append(scheme)
            return Network(base_channels=4, levels=2).build(3, scheme, torch.Generator())

        METHODS[name](build, 3, second_start=asked)
        assert schemes == ["kaiming", asked]


@pytest.mark.parametrize("name", [n for n in METHODS if METHODS[n].takes_partial_labels])
def test_an_organ_that_is_not_annotated_may_be_anywhere(name, build_method, make_batch) -> None:
    method, batch = build_method(name), make_batch()
    batch.labels[batch.labels == 2] = 0
    shown = torch.tensor([[True, True, False]] * len(batch.labels))
    partly = dataclasses.replace(batch, annotated=shown)
    losses = []
    for given in (batch, partly):
        terms = updates(method, given)[0][1]
        losses.append(sum(term for key, term in terms.items() if key.startswith("supervised")))
    assert losses[1] < losses[0]
    # Other terms do not know the labels.
    others = [
        {key: term.item() for key, term in updates(method, given)[0][1].items()}
        for given in (batch, partly)
    ]
    assert all(
        others[0][key] == others[1][key] for key in others[0] if not key.startswith("supervised")
    )
