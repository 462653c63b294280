"""When a run counts as trained and scored."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dvcl.datasets.folders import load_folders
from dvcl.evaluation.cases import CaseScore
from dvcl.evaluation.score_file import write_scores
from dvcl.files import write_json
from dvcl.splits import make_split
from dvcl.commands.train import make_run, train_run
from dvcl.studies.scored import has_scores, is_scored, write_run_scores
from dvcl.training.checkpoint import save_weights, weights_hash

SCORES = [CaseScore("a", "liver", 0.5, 0.4, 1.0, 1.0)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, prepare_tiny):
    """A run of two steps, trained to its end."""
