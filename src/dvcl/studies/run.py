"""A run's folder: what it was trained with, and its method rebuilt from that."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from dvcl.datasets.dataset import LabelTable, Modality
from dvcl.errors import InputError, counted, shown
from dvcl.files import sha256_of_json, write_json
from dvcl.methods import METHODS, Method
from dvcl.recipe import Recipe, parse_recipe
from dvcl.recipe.values import hint
from dvcl.records import read_record
from dvcl.resources import in_words, installed_ram, is_out_of_memory, out_of_memory
from dvcl.splits import Split
from dvcl.studies.made_with import made_with
from dvcl.studies.pace import kernel_record, measure_pace
from dvcl.studies.place import place_now
from dvcl.studies.run_record import RunRecord, StartRecord, completed, deciding, differences
from dvcl.training.averaging import WeightAverage
from dvcl.training.checkpoint import load_averages, load_weights, saved_facts
from dvcl.training.journal import last_iteration
from dvcl.training.precision import Precision

NEW_NAME = "Restore the file from a copy, or train again under another --name."


@dataclass(frozen=True)
class Run:
    """One training run.

    Attributes:
        folder: Of the run.
        method: Name in `METHODS`.
        seed: Of initialisation, sampling and dropout.
        recipe: All settings.
        split: Case ids by role.
        labels: Meaning of the classes.
        modality: "CT" or "MR".
        store: Folder of the prepared cases.
        data: Hash of the voxel content of all cases that take part.
        start: The run whose weights it began with; None where it began anew.
        label_maps: Hash of the label maps that it learns from and is validated by.
        edition: Of the study's data set.
        extended_at: Steps at which a schedule had ended and a longer one took its place.
        pseudo_labelled: Labelled cases whose label maps are predictions.
        weights: Which of them predict: those of the best validation, or the last ones.
    """

    folder: Path
    method: str
    seed: int
    recipe: Recipe
    split: Split
    labels: LabelTable
    modality: Modality
    store: Path
    data: str
    label_maps: str = ""
    edition: int = 1
    start: StartRecord | None = None
    extended_at: tuple[int, ...] = ()
    pseudo_labelled: tuple[str, ...] = ()
    weights: Literal["best", "last"] = "best"

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that decides the result, as plain values."""
        return {
            "method": self.method,
            "seed": self.seed,
            "recipe": deciding(self.recipe.to_json()),
            "split": {role: list(ids) for role, ids in self.split.parts().items()},
            "labels": self.labels.to_json(),
            "modality": self.modality,
            "data": self.data,
            **({"edition": self.edition} if self.edition > 1 else {}),
            **({"start": self.start["weights"]} if self.start else {}),
            **({"extended_at": list(self.extended_at)} if self.extended_at else {}),
            **({"pseudo_labelled": [*self.pseudo_labelled]} if self.pseudo_labelled else {}),
        }

    @property
    def checkpoint(self) -> Path:
        """The weights that predict."""
        return self.folder / f"{self.weights}.safetensors"

    def steps_done(self) -> int | None:
        """Steps after which its state was last saved; None where nothing tells."""
        done: int | None = saved_facts(self.folder / "last.safetensors").get("iteration")
        return done

    def unfinished(self) -> str:
        """A sentence about a run whose last step is still to come; empty for all others."""
        done, wanted = self.steps_done(), self.recipe.training.iterations
        if done is None and self.journal.exists():
            # Without a saved state, which people delete for its size, the journal tells.
            done = last_iteration(self.journal)
        if done is None or done >= wanted:
            return ""
        return (
            f"{self.folder}: is trained for {done} of {counted(wanted, 'step')}. Its results are "
            "those of an unfinished run; `dvcl train` with the same options finishes it."
        )

    @property
    def journal(self) -> Path:
        """Its diary."""
        return self.folder / "journal.jsonl"

    def study(self, remedy: str) -> Path:
        """The study's folder, in which the run lies.

        Args:
            remedy: What to do where it has been moved out of it.

        Raises:
            InputError: When it has.
        """
        parents = self.folder.absolute().parents
        if len(parents) < 4 or not (parents[3] / "project.json").exists():
            raise InputError(
                f"{self.folder}: does not lie in its study, WORK/runs/<name>/<method>/seed-<n>. "
                f"{remedy}"
            )
        # As the run was named, so that paths told are as short.
        named = self.folder.parents
        return named[3] if len(named) > 3 else parents[3]

    def is_recorded(self) -> bool:
        """Whether the folder holds this run, finished or not.

        Raises:
            InputError: When it holds a run with other settings; lists the differences.
        """
        path = self.folder / "run.json"
        if not path.exists():
            return False
        with read_record(path, RunRecord, NEW_NAME) as record:
            recorded, first = completed(record["settings"]), {"edition": 1}
            changed = differences(first | recorded, first | self.settings)
            # Runs of earlier versions do not say which label maps they have learned from.
            maps = record.get("label_maps", self.label_maps)
            changed += differences({"label maps": maps}, {"label maps": self.label_maps})
        if changed:
            raise InputError(
                changed,
                f"{self.folder}: holds a run with other settings. Give this one another --name, "
                "or delete that folder:",
            )
        return True

    def save(self, device: torch.device, processes: int = 1) -> None:
        """Write run.json, where it is not there already.

        Args:
            device: Of the training.
            processes: That train together.

        Raises:
            InputError: As `is_recorded`.
        """
        if self.is_recorded():
            return
        precision, kernels = measure_pace(self.recipe, self.labels.classes, device)
        write_json(
            self.folder / "run.json",
            {
                "settings": self.settings,
                "hash": sha256_of_json(self.settings),
                "store": str(self.store.absolute()),
                "note": self.split.note,
                "split_seed": self.split.seed,
                "label_maps": self.label_maps,
                "precision": precision,
                "kernels": kernel_record(kernels),
                "made_with": made_with(device, processes),
                **({"start": self.start} if self.start else {}),
            },
        )

    def build_method(self, classes: int | None = None) -> Method:
        """The method, freshly initialised by the run's seed.

        Args:
            classes: Instead of those of the labels.

        Raises:
            InputError: When there is no such method, a setting makes no sense for it, or what it
                holds does not fit into the memory.
        """
        check_method(self.method)
        classes = classes or self.labels.classes
        random = torch.Generator().manual_seed(self.seed)
        torch.manual_seed(self.seed)
        settings = self.recipe.methods.get(self.method, {})
        what = (
            f"method {self.method} with these settings ({shown(settings)}, {self.recipe.network})"
        )
        try:
            method = METHODS[self.method](
                lambda scheme: self.recipe.network.build(classes, scheme, random),
                classes,
                **settings,
            )
        except InputError as error:
            # Its class does not know the name under which recipes and people have it.
            named = [re.sub(r"^method\.", f"methods.{self.method}.", p) for p in error.problems]
            raise InputError(named, error.heading) from error
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                raise InputError(f"{out_of_memory(what, error)} Or lower them.") from error
            raise
        # What is all zeros takes no memory until it is used.
        size = sum(part.nbytes for part in (*method.parameters(), *method.buffers()))
        if size > installed_ram():
            raise InputError(
                f"{what} takes {in_words(size)} of memory for weights and queues; at most the "
                f"{in_words(installed_ram())} of this machine were expected. Lower them."
            )
        method.supervised_loss = self.recipe.loss
        return method

    def precision(self) -> Precision:
        """In which it is trained, as its record says where the recipe leaves it to the machine."""
        asked = self.recipe.training.precision
        if asked != "auto":
            return asked
        with read_record(self.folder / "run.json", RunRecord, NEW_NAME) as record:
            return record["precision"]

    def trained_method(self, device: torch.device) -> Method:
        """The method with the run's weights, ready to predict.

        Raises:
            InputError: When there are none yet or they do not fit.
        """
        method = self.build_method()
        load_weights(self.checkpoint, method)
        if self.weights == "last":
            # The file has the weights that train; where they are averaged, the averages predict.
            average = WeightAverage(method, self.recipe.training.average)
            load_averages(self.checkpoint, average.means)
            average.settle()
        method.precision = replace(self.recipe.training, precision=self.precision()).autocast
        return method.to(device).eval()


def check_method(name: str) -> None:
    """Refuse a name that no method has.

    Raises:
        InputError: With the nearest one.
    """
    if name not in METHODS:
        raise InputError(f"method {name!r}: no such method{hint(name, METHODS)}")


def open_run(folder: Path) -> Run:
    """Open a run's folder.

    Raises:
        InputError: When it holds no run, or the run's record is damaged.
    """
    if not (folder / "run.json").exists():
        raise InputError(
            f"{folder}: not a run (run.json is missing). Name a folder such as "
            "WORK/runs/<name>/<method>/seed-0, as `dvcl train` prints it."
        )
    with read_record(folder / "run.json", RunRecord, NEW_NAME) as record:
        settings = record["settings"]
        recipe, store, start = dict(settings["recipe"]), Path(record["store"]), record.get("start")
        if start:
            start = {**start, "run": str(place_now(Path(start["run"]), store, folder))}
        return Run(
            folder=folder,
            method=settings["method"],
            seed=settings["seed"],
            recipe=parse_recipe(recipe, str(recipe["name"]), str(folder / "run.json")),
            split=Split(
                **{role: tuple(ids) for role, ids in settings["split"].items()},
                seed=record["split_seed"],
                note=record["note"],
            ),
            labels=LabelTable.from_json(settings["labels"]),
            modality=settings["modality"],
            store=place_now(store, store, folder),
            data=settings["data"],
            label_maps=record.get("label_maps", ""),
            edition=settings.get("edition", 1),
            start=start,
            extended_at=tuple(settings.get("extended_at", ())),
            pseudo_labelled=tuple(settings.get("pseudo_labelled", ())),
        )
