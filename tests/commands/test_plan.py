"""`dvcl plan`: from scans to a recipe that `prepare` takes; smaller where the memory is short."""

import json

import pytest
import torch

from dvcl.commands.plan import fingerprint_path, make_plan, plan_table, warnings
from dvcl.datasets.phantom import make_phantom
from dvcl.errors import InputError
from dvcl.planning.cost import Cost
from dvcl.planning.machine import GIB
from dvcl.recipe import load_recipe
from dvcl.studies.project import prepare

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_phantom(tmp_path_factory.mktemp("scans"), 1, 1, 1, 1)


def cheap(recipe, method, classes, device):
    return Cost(0.5, 0.05, GIB // 2, "float32")


def test_the_plan_is_a_recipe_that_prepare_takes(dataset, tmp_path):
    out, seen = tmp_path / "plan.toml", []
    plan = make_plan(
        dataset, out, device=CPU, looked=lambda *call: seen.append(call), measure_step=cheap
    )
    assert [call[:2] for call in seen] == [(1, 2), (2, 2)]
    recipe = load_recipe(str(out))
    assert recipe.training.iterations > 1000
    record = json.loads(fingerprint_path(out).read_text())
    assert record["fingerprint"]["counts"]["labelled"] == 1
    assert record["cost"]["step_s"] == 0.5
    settings = [line for line in out.read_text().splitlines() if " = " in line]
    assert len(settings) > 25
    table = plan_table(plan)
    assert table.row_count == len(plan.choices) - 5 - sum(k.startswith("m") for k in plan.choices)
    store = prepare(tmp_path / "work", dataset, str(out), workers=1)
    assert len(store.ids) == 4
    largest = max(store.size_bytes([case]) for case in store.ids)
    assert plan.store_bytes == pytest.approx(store.size_bytes(), abs=largest)


def test_every_value_carries_a_reason(dataset, tmp_path):
    plan = make_plan(dataset, tmp_path / "plan.toml", device=CPU, measure_step=cheap)
    for key, choice in plan.choices.items():
        assert choice.reason.endswith(".") or key.startswith("methods."), key
    lines = (tmp_path / "plan.toml").read_text().splitlines()
    place = lines.index("[network]")
    assert lines[place + 1].startswith("# ")


def test_less_memory_makes_a_smaller_step(dataset, tmp_path):
    tried = []

    def hungry(recipe, method, classes, device):
        side = recipe.sampling.patch
        tried.append(side)
        voxels = side[0] * side[1] * side[2]
        return None if len(tried) == 1 else Cost(0.5, 0.05, voxels * 80_000, "float32")

    plan = make_plan(dataset, tmp_path / "plan.toml", device=CPU, memory_gib=1, measure_step=hungry)
    assert len(tried) == 3
    assert plan.cost.peak_bytes < 0.9 * GIB
    assert load_recipe(str(tmp_path / "plan.toml")).sampling.patch == tried[-1]


def test_no_memory_at_all_is_an_error(dataset, tmp_path):
    with pytest.raises(InputError, match=r"does not fit into .* GiB.*--memory"):
        make_plan(dataset, tmp_path / "plan.toml", device=CPU, measure_step=lambda *_: None)
    assert not (tmp_path / "plan.toml").exists()


def test_wrong_options_are_listed_before_any_work(dataset, tmp_path):
    taken = tmp_path / "taken.txt"
    taken.write_text("mine")
    with pytest.raises(InputError) as caught:
        make_plan(dataset, taken, device=CPU, method="dvlc", minutes=-1, memory_gib=0)
    for part in ("a .toml file", "may hold changes of yours", "did you mean 'dvcl'?",
                 "--minutes -1", "--memory 0"):  # fmt: skip
        assert part in str(caught.value)
    assert taken.read_text() == "mine"


def test_what_a_person_should_know_is_said(dataset, tmp_path):
    from dataclasses import replace

    plan = make_plan(dataset, tmp_path / "plan.toml", device=CPU, measure_step=cheap)
    full = replace(plan.machine, disk_bytes=1000, ram_bytes=1000, is_busy=True)
    organs = (*plan.fingerprint.organs, "appendix")
    found = warnings(
        replace(plan, machine=full, fingerprint=replace(plan.fingerprint, organs=organs))
    )
    assert "other work" in found[0]
    assert "appendix" in found[1]
    assert "free on this disk" in found[2]
    assert "read from the disk" in found[3]


def test_a_step_is_measured_in_its_own_process(dataset, tmp_path):
    plan = make_plan(dataset, tmp_path / "p.toml", device=CPU, method="supervised", minutes=1)
    assert plan.cost.step_s > 0
    assert plan.cost.peak_bytes > 100 * 2**20
