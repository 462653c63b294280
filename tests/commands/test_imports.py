"""Commands load what they need: what draws, and what is seldom used, waits for its turn."""

import subprocess
import sys

import pytest

# Each takes a tenth of a second and more; torch, scipy.ndimage and nibabel no command can spare.
SELDOM = ("matplotlib", "scipy.spatial", "scipy.stats", "SimpleITK", "monai", "sklearn")
SELDOM += ("torch._dynamo", "tensorboard", "submitit")

# Modules of commands that draw nothing, or nothing yet.
COMMANDS = ("check_tables", "evaluate", "methods", "plan", "predict", "predict_page", "train")


@pytest.mark.parametrize("imported", [f"dvcl.commands.{name}" for name in COMMANDS])
def test_what_is_seldom_needed_is_not_loaded(imported: str) -> None:
    code = f"import sys, {imported}; print(*sorted(set({SELDOM}) & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == [], f"{imported}: import these in the function that needs them"


def test_pages_wait_for_pictures() -> None:
    """`dvcl predict --no-pictures` of one scan is done sooner than they are loaded."""
    pages = ("dvcl.viewer.scene", "dvcl.report.html", "dvcl.report.tables")
    code = f"import sys, dvcl.commands.predict; print(*sorted(set({pages}) & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == []
