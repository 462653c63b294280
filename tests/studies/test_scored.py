"""When a run counts as trained and scored."""

import pytest

from dvcl.evaluation.cases import CaseScore

SCORES = [CaseScore("a", "liver", 0.5, 0.4, 1.0, 1.0)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, prepare_tiny):
    """A run of two steps, trained to its end."""
