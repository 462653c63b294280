"""The journal as TensorBoard events; needs the extra ``tensorboard``."""

from __future__ import annotations

from pathlib import Path

from dvcl.errors import InputError
from dvcl.training.journal import Row


class TensorBoard:
    """An observer of journal rows.

    Args:
        folder: For the event files.
        first: Events after this iteration are replaced, as when a run resumes.

    Raises:
        InputError: When TensorBoard is not installed.
    """

    def __init__(self, folder: Path, first: int = 0) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise InputError(
                "TensorBoard is not installed: run `pip install tensorboard`, or leave "
                "--tensorboard out; the journal holds the same numbers."
            ) from error
        self.writer = SummaryWriter(str(folder), purge_step=first + 1)

    def __call__(self, row: Row) -> None:
        """Write every number of the row."""
        for group in ("terms", "worked_on", "gradient_norms", "dice", "diagnostics"):
            for name, value in row.get(group, {}).items():
                self.writer.add_scalar(f"{group}/{name}", value, row["iteration"])
        if row["kind"] == "validation":
            self.writer.add_scalar("mean_dice", row["mean_dice"], row["iteration"])
        self.writer.flush()
