"""Recipes: every key checked, every problem listed, and nothing lost on the way to a run."""

import dataclasses
import json
import tomllib
from pathlib import Path

import pytest

from dvcl.datasets.dataset import Case, Dataset, LabelTable
from dvcl.errors import InputError
from dvcl.methods import METHODS
from dvcl.recipe import load_recipe, method_settings, parse_recipe, recipe_folder
from dvcl.splits import make_split

RECIPES = sorted(path.stem for path in recipe_folder().glob("*.toml"))

# Tables 1, 5, 6 and 7 of the paper and its appendices C and D: train, validation, test; labelled,
# unlabelled; batch of each kind; steps; rate.
TABLES = {
    "flare22-10": ((42, 14, 14), (42, 378), 4, 20_000, 0.1),
    "flare22-50": ((42, 14, 14), (42, 42), 4, 20_000, 0.1),
    "amos22-10": ((180, 60, 60), (18, 162), 4, 20_000, 0.1),
    "amos22-50": ((180, 60, 60), (90, 90), 4, 20_000, 0.1),
    "mmwhs-10": ((12, 4, 4), (2, 10), 2, 10_000, 0.03),
    "mmwhs-50": ((12, 4, 4), (6, 6), 2, 10_000, 0.03),
    "btcv-10": ((18, 6, 6), (2, 16), 4, 20_000, 0.1),
    "btcv-50": ((18, 6, 6), (9, 9), 4, 20_000, 0.1),
}
# Patch, network and methods of the tables' recipes are those of "paper", see below.
OTHERS = [name for name in RECIPES if name not in TABLES]


def problems_of(table: dict) -> list[str]:
    with pytest.raises(InputError) as caught:
        parse_recipe(table, "mine", "mine.toml")
    return caught.value.problems


def only_problem_of(table: dict) -> str:
    (problem,) = problems_of(table)
    return problem


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_loads_and_returns_from_json(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.about.endswith(".")
    plain = json.loads(json.dumps(recipe.to_json(), allow_nan=False))
    assert parse_recipe(plain, name, "run.json") == recipe


@pytest.mark.parametrize("name", OTHERS)
def test_every_recipe_fits_its_own_network(name):
    import torch

    recipe = load_recipe(name)
    network = recipe.network.build(2, "kaiming", torch.Generator())
    network.check_patch(recipe.sampling.patch)
    network.check_patch(recipe.window.size)


@pytest.mark.parametrize("name", OTHERS)
def test_every_recipe_fits_every_method(name):
    import torch

    recipe = load_recipe(name)
    for method, kind in METHODS.items():
        built = kind(
            lambda scheme: recipe.network.build(3, scheme, torch.Generator()),
            3,
            **recipe.methods.get(method, {}),
        )
        built.check_patch(recipe.sampling.patch)


def test_the_papers_recipe_holds_the_papers_numbers():
    recipe = load_recipe("paper")
    assert recipe.preprocessing.spacing_mm == (2.5, 1.25, 1.25)
    assert recipe.preprocessing.window == (-325.0, 325.0)
    assert recipe.sampling.patch == (64, 128, 128)
    assert recipe.window.size == (64, 160, 160)
    assert recipe.window.stride == (32, 80, 80)
    assert (recipe.training.iterations, recipe.training.rate) == (20_000, 0.1)
    defaults = {key: default for key, (_, default) in method_settings("dvcl").items()}
    paper = {
        "consistency": 0.1, "contrast": 0.1, "distance": 0.3, "alpha": 0.5, "maximum_weight": 1.0,
        "anchors": 256, "negatives": 50, "temperature": 1.0, "neighbours": 10, "outsiders": 15,
        "feature_dimension": 256,
    }  # fmt: skip
    assert defaults.items() >= paper.items()
    assert "dvcl" not in recipe.methods


def test_the_papers_recipe_writes_down_its_precision() -> None:
    # The paper gives none, and another default must not change what its tables were run with.
    written = tomllib.loads((recipe_folder() / "paper.toml").read_text(encoding="utf-8"))
    assert written["training"]["precision"] == "bf16"


def made_up(labelled, unlabelled=2000):
    """So many cases without a role, and so many images alone."""
    file = Path("x.nii.gz")
    cases = [Case(f"l{n}", file, file) for n in range(labelled)]
    cases += [Case(f"u{n}", file, None, "unlabelled") for n in range(unlabelled)]
    return Dataset("made up", "CT", tuple(cases), LabelTable((0, 1), ("background", "liver")))


def parts_of(recipe, labelled):
    split = make_split(made_up(labelled), recipe.split)
    return tuple(map(len, (split.labelled, split.unlabelled, split.validation, split.test)))


@pytest.mark.parametrize("name", TABLES)
def test_the_recipes_of_the_tables_hold_the_papers_numbers(name):
    (train, *held_out), numbers, batch, iterations, rate = TABLES[name]
    recipe, paper = load_recipe(name), load_recipe("paper")
    assert parts_of(recipe, train + sum(held_out)) == (*numbers, *held_out)
    assert (recipe.sampling.labelled, recipe.sampling.unlabelled) == (batch, batch)
    assert (recipe.training.iterations, recipe.training.rate) == (iterations, rate)
    assert recipe.preprocessing == paper.preprocessing
    assert recipe.sampling.patch == paper.sampling.patch
    assert (recipe.network, recipe.window, recipe.methods) == (paper.network, paper.window, {})


@pytest.mark.parametrize(
    ("name", "changes", "labelled", "expected"),
    [
        ("flare22-10", ["split.unlabelled_per_labelled=10"], 70, (42, 420, 14, 14)),
        ("btcv-10", ["split.unlabelled_per_labelled=6"], 30, (2, 12, 6, 6)),
        (
            "btcv-50",
            ["split.labelled_share=none", "split.labelled_cases=12", "split.validation_share=0"],
            30,
            (12, 12, 0, 6),
        ),
        ("flare22-10", [], 50, (30, 270, 10, 10)),
    ],
)
def test_the_literal_numbers_can_be_had(name, changes, labelled, expected):
    assert parts_of(load_recipe(name, changes), labelled) == expected


def test_every_recipe_is_listed():
    page = (Path(__file__).parents[1] / "recipes" / "README.md").read_text(encoding="utf-8")
    assert {name for name in RECIPES if f"| `{name}` |" in page} == set(RECIPES)


def write_recipe(path, text):
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_recipe_holds_what_differs_from_its_base(tmp_path):
    path = write_recipe(
        tmp_path / "mine.toml",
        'about = "Mine."\nbase = "demo"\n[training]\nrate = 0.5\n[methods.dvcl]\nanchors = 7\n',
    )
    mine, demo = load_recipe(path, ["training.warmup=3"]), load_recipe("demo")
    assert (mine.name, mine.about) == ("mine", "Mine.")
    assert mine.training == dataclasses.replace(demo.training, rate=0.5, warmup=3)
    assert mine.methods["dvcl"] == {**demo.methods["dvcl"], "anchors": 7}
    assert mine.methods["magicnet"] == demo.methods["magicnet"]
    assert mine.sampling == demo.sampling


def test_a_base_may_be_a_file_beside_the_recipe(tmp_path):
    write_recipe(tmp_path / "below.toml", "[training]\niterations = 3\n")
    path = write_recipe(tmp_path / "mine.toml", 'base = "below.toml"\n[training]\nrate = 0.5\n')
    assert load_recipe(path).training.iterations == 3


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ("5", "mine.toml: base: 5 found, the name of a recipe expected."),
        ("'pape'", "mine.toml: base: recipe 'pape': no such recipe. Known: amos22-10"),
        (
            "'btcv-10'",
            "mine.toml: base: 'btcv-10' has the base 'paper' itself; a recipe without one was",
        ),
        ("'mine.toml'", "mine.toml: base: 'mine.toml' has the base 'mine.toml' itself"),
    ],
)
def test_a_base_that_cannot_be_one(base, message, tmp_path):
    path = write_recipe(tmp_path / "mine.toml", f"base = {base}\n")
    with pytest.raises(InputError) as caught:
        load_recipe(path)
    assert message in str(caught.value)


def test_an_empty_recipe_has_the_defaults():
    recipe = parse_recipe({}, "mine", "mine.toml")
    assert recipe.training.iterations == 20_000
    assert recipe.methods == {}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"trainig": {}}, "mine.toml: unknown key 'trainig'; did you mean 'training'?"),
        (
            {"training": {"iteration": 5}},
            "mine.toml: training.iteration: unknown setting; did you mean 'training.iterations'?",
        ),
        (
            {"methods": {"dvlc": {}}},
            "mine.toml: unknown method 'dvlc'; did you mean 'dvcl'?",
        ),
        (
            {"methods": {"dvcl": {"neighbors": 5}}},
            "mine.toml: methods.dvcl.neighbors: unknown setting; did you mean "
            "'methods.dvcl.neighbours'?",
        ),
    ],
)
def test_an_unknown_key_comes_with_the_nearest_known_one(table, message):
    assert only_problem_of(table) == message


def test_a_key_like_no_other_comes_with_all_known_ones():
    assert "known: patch, labelled, unlabelled" in only_problem_of({"sampling": {"xyz": 1}})


@pytest.mark.parametrize(
    ("section", "key", "value", "expected"),
    [
        ("training", "iterations", "many", "int"),
        ("training", "iterations", 5.0, "int"),
        ("training", "iterations", True, "int"),
        ("training", "rate", "fast", "float"),
        ("training", "rate", False, "float"),
        ("training", "precision", "fp16", "'bf16' or 'float32'"),
        ("sampling", "patch", [8, 8], "tuple[int, int, int]"),
        ("sampling", "patch", [8, 8, 8.5], "tuple[int, int, int]"),
        ("sampling", "patch", 8, "tuple[int, int, int]"),
        ("sampling", "flips", "H", "tuple[str, ...]"),
        ("sampling", "flips", ["H", 1], "tuple[str, ...]"),
        ("preprocessing", "window", [-325.0], "tuple[float, float]"),
        ("preprocessing", "window", "air", "tuple[float, float]"),
        ("network", "name", 3, "str"),
        ("methods.dvcl", "anchors", 1.5, "int"),
        ("methods.dvcl", "per_network", 1, "bool"),
        ("methods.dvcl", "reduction", "max", "'sum' or 'mean'"),
        ("methods.cps", "consistency", "none", "float"),
    ],
)
def test_a_wrong_type_is_named_with_the_right_one(section, key, value, expected):
    table = {key: value}
    for part in reversed(section.split(".")):
        table = {part: table}
    problem = only_problem_of(table)
    assert problem.startswith(f"mine.toml: {section}.{key}: {value!r} found, ")
    assert expected in problem


@pytest.mark.parametrize(
    ("table", "where"),
    [
        ({"training": 5}, "mine.toml: training: 5 found"),
        ({"sampling": [8]}, "mine.toml: sampling: [8] found"),
        ({"methods": "dvcl"}, "mine.toml: methods: 'dvcl' found"),
        ({"methods": {"dvcl": 3}}, "mine.toml: methods.dvcl: 3 found"),
        ({"about": 3}, "mine.toml: about: 3 found"),
    ],
)
def test_a_value_in_the_place_of_a_section(table, where):
    assert only_problem_of(table).startswith(where)


def test_values_are_converted():
    table = {
        "training": {"rate": 1},
        "sampling": {"patch": [8, 16, 16], "flips": []},
        "preprocessing": {"window": "none", "spacing_mm": [1, 2, 3]},
        "methods": {"dvcl": {"alpha": 1}},
    }
    recipe = parse_recipe(table, "mine", "mine.toml")
    assert isinstance(recipe.training.rate, float)
    assert recipe.sampling.patch == (8, 16, 16)
    assert recipe.sampling.flips == ()
    assert recipe.preprocessing.window is None
    assert recipe.preprocessing.spacing_mm == (1.0, 2.0, 3.0)
    assert isinstance(recipe.methods["dvcl"]["alpha"], float)


def test_all_problems_are_listed_together():
    problems = problems_of(
        {
            "colour": "red",
            "training": {"iterations": "many", "rte": 0.1},
            "sampling": {"labelled": 0},
            "network": {"levels": 9},
            "methods": {"cps": {"consistency": "high"}, "other": {}},
        }
    )
    text = "\n".join(problems)
    for part in ("colour", "'many'", "rte", "labelled must", "levels 2 to 5", "'high'", "'other'"):
        assert part in text
    assert len(problems) == 7


def test_changes_are_written_as_in_toml_and_come_last():
    recipe = load_recipe(
        "demo",
        [
            "training.iterations=500",
            "training.iterations=7",
            "training.precision=float32",
            "network.name = 'vnet'",
            "sampling.flips=['D', 'W']",
            "preprocessing.window=none",
            "methods.cps.predict_with=A",
            "methods.dvcl.alpha=1",
        ],
    )
    assert recipe.training.iterations == 7
    assert recipe.training.precision == "float32"
    assert recipe.network.name == "vnet"
    assert recipe.sampling.flips == ("D", "W")
    assert recipe.preprocessing.window is None
    assert recipe.methods["cps"]["predict_with"] == "A"
    assert recipe.methods["dvcl"]["alpha"] == 1
    assert recipe.methods["dvcl"]["anchors"] == load_recipe("demo").methods["dvcl"]["anchors"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("training.iterations", "expected SECTION.KEY=VALUE"),
        ("training={}", "a table found, which would take the place of a whole section"),
        ("training={rate=0.1}", "Give its settings one by one"),
        ("=5", "expected SECTION.KEY=VALUE"),
        ("about.text=5", "'about' is a value, not a section"),
        ("training.iterations=many", "'many' found, int expected"),
        ("training.steps=5", "training.steps: unknown setting"),
    ],
)
def test_a_change_that_cannot_be_made(change, message):
    with pytest.raises(InputError, match=message):
        load_recipe("demo", [change])


def test_a_recipe_that_does_not_exist_comes_with_those_that_do(tmp_path):
    for name in ("pape", str(tmp_path / "mine.toml")):
        with pytest.raises(
            InputError, match="no such recipe. Known: amos22-10, .*demo, .*paper, small-ct"
        ):
            load_recipe(name)


@pytest.mark.parametrize("content", [b"training = [", b"[training]\nrate = fast"])
def test_a_file_that_is_no_toml(content, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(InputError, match="mine.toml: not valid TOML"):
        load_recipe(str(path))


def test_a_file_of_ones_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('about = "Mine."\n[training]\niterations = 3\n')
    recipe = load_recipe(str(path))
    assert (recipe.name, recipe.about, recipe.training.iterations) == ("mine", "Mine.", 3)


@pytest.mark.parametrize("name", METHODS)
def test_a_methods_defaults_have_the_types_they_ask_for(name):
    defaults = {key: default for key, (_, default) in method_settings(name).items()}
    recipe = parse_recipe({"methods": {name: defaults}}, "mine", "mine.toml")
    assert recipe.methods[name] == defaults


def test_recipes_cannot_be_changed_by_accident():
    with pytest.raises(dataclasses.FrozenInstanceError):
        load_recipe("demo").name = "other"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("training.validations=3", "did you mean 'training.validate_every'?"),
        ("sampling.rate=0.1", "did you mean 'training.rate'?"),
        ("iterations=500", "unknown key 'iterations'; did you mean 'training.iterations'?"),
        ("training.neighbours=5", "did you mean 'methods.dvcl.neighbours'?"),
        ("trainig.rate=1", "unknown key 'trainig'; did you mean 'training'?"),
        ("training.rate=fast", "training.rate: 'fast' found, a finite float expected"),
        ("training.zzz=1", "unknown setting; known: iterations"),
        ("training.iterations", "expected SECTION.KEY=VALUE"),
    ],
)
def test_a_wrong_change_is_named_as_such_and_not_the_recipe(change: str, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        load_recipe("small-ct", [change])
    (problem,) = caught.value.problems
    assert problem.startswith("--set")
    assert expected in problem
    assert "small-ct" not in str(caught.value)


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("utf-8-sig", None),
        ("utf-16", "line 1 is not UTF-8, the encoding of TOML; the file seems to be UTF-16"),
        ("utf-16-be-bom", "seems to be UTF-16"),
        ("cp1252", "line 2 is not UTF-8, the encoding of TOML; the file seems to be cp1252"),
    ],
)
def test_the_encoding_of_a_recipe(tmp_path: Path, encoding: str, expected: str | None) -> None:
    text = 'base = "small-ct"\nabout = "Köpfe."\n'
    is_be = encoding == "utf-16-be-bom"
    content = b"\xfe\xff" + text.encode("utf-16-be") if is_be else text.encode(encoding)
    (tmp_path / "mine.toml").write_bytes(content)
    if expected is None:
        assert load_recipe(str(tmp_path / "mine.toml")).about == "Köpfe."
        return
    with pytest.raises(InputError, match=expected):
        load_recipe(str(tmp_path / "mine.toml"))
