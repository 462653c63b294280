"""Data flow one way, and so do imports: each part of dvcl imports only from the parts before it."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

ORDER = (
    "errors",
    "files",
    "records",
    "locks",
    "resources",
    "jobs",
    "volume",
    "leaks",
    "datasets",
    "preprocessing",
    "store",
    "splits",
    "sampling",
    "networks",
    "losses",
    "methods",
    "training",
    "inference",
    "evaluation",
    "report",
    "viewer",
    "recipe",
    "planning",
    "paper",
    "studies",
    "comparison",
    "inspection",
    "export",
    "commands",
    "cli",
    "api",
)

HEAVY = ("torch", "matplotlib", "monai", "scipy", "nibabel", "numpy")


def module_name(path: Path, source: Path) -> str:
    """ "dvcl.losses.contrastive" for src/dvcl/losses/contrastive.py; a package for its __init__."""
    parts = path.relative_to(source).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(tree: ast.Module, modules: set[str]) -> set[str]:
    """Modules of dvcl imported anywhere in a file, inside functions too."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}"
            members = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in modules else node.module for name in members}
    return {name for name in found if name.partition(".")[0] == "dvcl"}


def read_graph(source: Path) -> dict[str, set[str]]:
    """{module: the modules of dvcl that it imports}, without the version in dvcl itself."""
    files = {module_name(path, source): path for path in sorted(source.glob("dvcl/**/*.py"))}
    trees = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in files.items()}
    graph = {name: imports_of(tree, set(files)) for name, tree in trees.items()}
    return {name: targets - {"dvcl"} for name, targets in graph.items() if name != "dvcl"}


def part_of(module: str) -> str:
    return module.split(".")[1]


def backward_imports(graph: dict[str, set[str]]) -> list[str]:
    rank = {part: position for position, part in enumerate(ORDER)}
    return [
        f"{module} imports {target}"
        for module, targets in graph.items()
        for target in sorted(targets)
        if part_of(module) != part_of(target) and rank[part_of(module)] < rank[part_of(target)]
    ]


def test_every_part_has_its_place_in_the_order() -> None:
    unknown = {part_of(module) for module in read_graph(ROOT / "src")} - set(ORDER)
    assert not unknown, f"{sorted(unknown)} in src/dvcl: give each its place in ORDER"


def test_no_import_goes_backward() -> None:
    assert backward_imports(read_graph(ROOT / "src")) == []


def test_no_module_imports_itself_in_a_circle() -> None:
    try:
        TopologicalSorter(read_graph(ROOT / "src")).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def test_the_checks_see_a_backward_import_and_a_circle(tmp_path: Path) -> None:
    package = tmp_path / "dvcl"
    (package / "losses").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "losses" / "__init__.py").write_text("from dvcl.losses.overlap import dice\n")
    (package / "losses" / "overlap.py").write_text("from dvcl.losses import ramps\nimport dvcl\n")
    (package / "losses" / "ramps.py").write_text("def f():\n    from dvcl.losses import dice\n")
    (package / "volume.py").write_text("from dvcl import losses, errors\n")
    (package / "errors.py").write_text("")
    graph = read_graph(tmp_path)
    assert backward_imports(graph) == ["dvcl.volume imports dvcl.losses"]
    with pytest.raises(CycleError):
        TopologicalSorter(graph).prepare()


def test_the_command_line_loads_nothing_heavy() -> None:
    code = f"import sys, dvcl.cli; print(*sorted(set({HEAVY}) & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == [], "import these inside the command that needs them"
