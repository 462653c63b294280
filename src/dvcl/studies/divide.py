"""Which prepared case is for what: by the recipe's section [split] and the command line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dvcl.datasets.dataset import Role
from dvcl.errors import InputError, some_of
from dvcl.recipe import Recipe
from dvcl.splits import Split, make_split, read_split
from dvcl.splits.strata import absent_organs
from dvcl.store import Store
from dvcl.studies.project import Project, open_project


def with_division(recipe: Recipe, given: Mapping[str, Any]) -> Recipe:
    """A recipe whose section [split] has the values that were given; None is not given.

    Raises:
        InputError: When the values do not fit each other.
    """
    given = {name: value for name, value in given.items() if value is not None}
    if "labelled_cases" in given:
        # The number stands for all that the recipe says about who is labelled and who is not.
        others = ("labelled_share", "unlabelled_cases", "unlabelled_per_labelled")
        given = {**dict.fromkeys(others), **given}
    return replace(recipe, split=replace(recipe.split, **given))


def edition_name(recipe: Recipe, edition: int) -> str:
    """The recipe's name, with the edition where the study has grown."""
    return recipe.name if edition == 1 else f"{recipe.name}-edition-{edition}"


def run_name(recipe: Recipe, edition: int = 1, fine_tuned: bool = False) -> str:
    """Where runs are kept: the recipe's name and edition, with the fold in a cross-validation.

    Those that begin with the weights of another run lie apart from those that begin anew.
    """
    division, name = recipe.split, edition_name(recipe, edition)
    name = name if division.folds is None else f"{name}-fold-{division.fold}"
    return f"{name}-fine-tuned" if fine_tuned else name


def divide(project: Project, recipe: Recipe) -> Split:
    """Divide a study's data set as the recipe says.

    Where a study has grown, the cases that its earlier editions validated and tested with stay so,
    and none are drawn beside them: a run can go on from one of an earlier edition, and their
    scores are of the same cases. The folds of a cross-validation are drawn anew.

    Raises:
        InputError: When the data set cannot be divided so, or is not prepared for the recipe.
    """
    if project.edition > 1 and recipe.split.folds is None:
        project, recipe, kept = _as_before(project, recipe)
        split = _divide(project, recipe)
        return replace(split, note=" ".join(filter(None, (kept, split.note))))
    return _divide(project, recipe)


def _as_before(project: Project, recipe: Recipe) -> tuple[Project, Recipe, str]:
    """The study with the purposes that its edition before has drawn, and what to say of that."""
    limits = ("labelled_cases", "labelled_share", "unlabelled_cases", "unlabelled_per_labelled")
    none: dict[str, Any] = dict.fromkeys(limits)
    every = replace(recipe, split=replace(recipe.split, **none))
    before = open_project(project.folder, project.edition - 1)
    drawn = divide(before, every)
    parts: dict[Role, tuple[str, ...]] = {"validation": drawn.validation, "test": drawn.test}
    roles = {case: role for role, ids in parts.items() for case in ids}
    cases = tuple(
        case if case.role in parts else replace(case, role=roles.get(case.id, case.role))
        for case in project.dataset.cases
    )
    if drawn.test:
        recipe = replace(recipe, split=replace(recipe.split, test_share=0.0))
    kept = " and ".join(role for role, ids in parts.items() if ids)
    note = f"Cases for {kept} are those of earlier editions." if kept else ""
    grown = replace(project, dataset=replace(project.dataset, cases=cases))
    return grown, recipe, note


def _divide(project: Project, recipe: Recipe) -> Split:
    organs = {}
    if recipe.split.stratify:
        cases = (*project.dataset.with_role("labelled"), *project.dataset.with_role(None))
        with_label = (case.id for case in cases if case.label)
        organs = shown_organs(project.store(recipe), with_label)
    return make_split(project.dataset, recipe.split, organs)


def division_of(
    project: Project, recipe: Recipe, path: Path | None, given: Mapping[str, Any]
) -> tuple[Recipe, Split]:
    """What the command line asks for: a division that is made, or one from a file.

    Args:
        project: The study.
        recipe: Its settings.
        path: A split.json.
        given: Values for the section [split] instead; None is not given.

    Returns:
        The recipe with these values, and the split.

    Raises:
        InputError: With both, or when either does not fit the data set.
    """
    if path and any(value is not None for value in given.values()):
        raise InputError(
            "train: --split says what each case is for; leave out the options that divide the "
            "data set (--labelled-cases, shares, --split-seed, --stratify, folds), or --split."
        )
    settings = with_division(recipe, given)
    return settings, _given_split(path, project) if path else divide(project, settings)


def _given_split(path: Path, project: Project) -> Split:
    """A split from a file; its note says which cases of the study it leaves out."""
    split = read_split(path)
    named = {case for ids in split.parts().values() for case in ids}
    if not (left := [case.id for case in project.dataset.cases if case.id not in named]):
        return split
    note = f"The split given leaves out {some_of(left)} of the study."
    return replace(split, note=" ".join(filter(None, (split.note.replace(note, "").strip(), note))))


def shown_organs(store: Store, ids: Iterable[str]) -> dict[str, frozenset[str]]:
    """{case id: organs that its prepared label map shows}, of the cases that have one."""
    cases = (store.case(case_id) for case_id in ids)
    return {
        case.id: frozenset(
            store.labels.names[index] for index in np.unique(case.organ_voxels[:, 0])
        )
        for case in cases
        if case.label_source
    }


def tell_absent(split: Split, store: Store) -> list[str]:
    """One line per part of a split in which organs are missing; other labels are not looked at."""
    used = shown_organs(store, (*split.labelled, *split.validation, *split.test))
    return list(absent_organs(split, used, store.labels.organs))
