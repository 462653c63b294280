"""What every method of the table keeps."""

import dataclasses
import inspect

import pytest
import torch

from dvcl.methods import METHODS, Method
from dvcl.networks import Network, SegmentationNetwork
from dvcl.training.checkpoint import load_state, save_state
from dvcl.training.engine import step
from dvcl.training.optimisation import Training, build_optimisers

every_method = pytest.mark.parametrize("name", METHODS)
SETTINGS = Training(iterations=10, rate=0.05, precision="float32")


def total(method: Method, batch, progress: float = 0.7) -> torch.Tensor:
    """Loss with the same random draws at every call."""
    torch.manual_seed(0)
    method.random.manual_seed(0)
    return sum(method.losses(batch, progress).values())


def gradients(method: Method, batch) -> dict[str, torch.Tensor]:
    method.zero_grad(set_to_none=True)
    total(method, batch).backward()
    return {
        name: weight.grad.clone()
        for name, weight in method.named_parameters()
        if weight.grad is not None
    }


@every_method
@pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
def test_every_term_is_a_finite_scalar_that_moves_some_weight(
    name, progress, build_method, make_batch
):
    method, batch = build_method(name), make_batch()
    terms = method.losses(batch, progress)
    weights = list(method.parameters())
    for key, term in terms.items():
        assert term.shape == (), key
        assert term.dtype == torch.float32, key
        assert term.isfinite(), key
        moved = torch.autograd.grad(term, weights, retain_graph=True, allow_unused=True)
        assert any(g is not None and g.abs().max() > 0 for g in moved), key
        assert all(g is None or g.isfinite().all() for g in moved), key


@every_method
def test_every_weight_is_moved_by_some_term(name, build_method, make_batch):
    method = build_method(name)
    moved = gradients(method, make_batch())
    for key, _ in method.named_parameters():
        assert key in moved, key
        # Instance normalisation takes the biases before it out again.
        assert key.endswith("bias") or moved[key].abs().max() > 0, key


@every_method
def test_the_first_update_trains_what_the_groups_name(name, build_method, make_batch):
    method = build_method(name)
    groups = method.parameter_groups()
    trained = [weight for weights in groups.values() for weight in weights]
    assert len(trained) == len({id(weight) for weight in trained})
    assert {id(weight) for weight in trained} == {id(w) for w in method.parameters()}
    assert {group for group, _ in method.updates(make_batch(), 0.5)} == set(groups)


@every_method
def test_unlabelled_images_matter_unless_the_method_needs_none(name, build_method, make_batch):
    method, batch = build_method(name), make_batch()
    other = dataclasses.replace(batch, unlabelled=make_batch(seed=5).unlabelled)
    # Memories start empty for both.
    state = {key: value.clone() for key, value in method.state_dict().items()}
    first = gradients(method, batch)
    method.load_state_dict(state)
    second = gradients(method, other)
    same = all(torch.equal(first[key], second[key]) for key in first)
    assert same != method.needs_unlabelled


@every_method
def test_losses_learn_from_a_batch(name, build_method, make_batch):
    method, batch = build_method(name), make_batch(side=8)
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
    for key, value in expected.items():
        assert torch.equal(found[key], value), key


@every_method
def test_the_networks_run_in_bfloat16_and_the_losses_stay_finite(name, build_method, make_batch):
    method, batch = build_method(name), make_batch(side=8)
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
def test_diagnostics_are_numbers_and_change_nothing(name, build_method, make_batch):
    method, batch = build_method(name), make_batch(side=8)
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


def test_only_the_supervised_baseline_needs_no_unlabelled_cases():
    assert [name for name, kind in METHODS.items() if not kind.needs_unlabelled] == ["supervised"]


@pytest.mark.parametrize("name", ["cps", "dvcl"])
def test_co_trained_networks_predict_alone_or_together(name, build_method, make_batch):
    images = make_batch(side=8).images
    maps = {}
    for use in ("A", "B", "mean"):
        method = build_method(name, predict_with=use).eval()
        maps[use] = method.predict(images)
    networks = [method.network_a, method.network_b] if name == "cps" else method.networks
    alone = [network(images).logits.softmax(1) for network in networks]
    torch.testing.assert_close(maps["A"], alone[0])
    torch.testing.assert_close(maps["B"], alone[1])
    torch.testing.assert_close(maps["mean"], (alone[0] + alone[1]) / 2)
    assert not torch.allclose(alone[0], alone[1])


@pytest.mark.parametrize("name", ["cps", "dvcl"])
def test_second_network_starts_as_asked(name: str) -> None:
    for asked in ("kaiming", "xavier"):
        schemes: list[str] = []

        def build(scheme: str, schemes: list[str] = schemes) -> SegmentationNetwork:
            schemes.append(scheme)
            return Network(base_channels=4, levels=2).build(3, scheme, torch.Generator())

        METHODS[name](build, 3, second_start=asked)
        assert schemes == ["kaiming", asked]
