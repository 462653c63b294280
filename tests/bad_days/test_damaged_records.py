"""Every field of every record, changed into what it cannot be: a named error or none, no crash."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from dvcl.comparison.plan import Entry
from dvcl.comparison.records import finished, read_records, write_records
from dvcl.errors import InputError
from dvcl.recipe import load_recipe
from dvcl.splits import check_cases, read_split
from dvcl.store import open_store
from dvcl.studies.leak_guard import stored_twins
from dvcl.studies.project import open_project
from dvcl.studies.run import open_run
from dvcl.studies.scored import is_scored
from dvcl.studies.scored import test_cases as cases_of
from dvcl.training.journal import last_iteration, read_journal

RUN = Path("work/runs/done/supervised/seed-0")
RECORD = Path("work/comparisons/done/runs.json")

# JSON texts in the place of a field; the last ones no JSON parser should pass on.
VALUES = [
    "null", "true", '""', '"x"', '"../x"', "-1", "0.5", "7", "100000000000000000000", "[]", "{}",
    "[[]]", '{"x": 1}', "1e999", "NaN", '"\\ud800"', "9" * 5000, "[" * 3000 + "]" * 3000,
]  # fmt: skip


def use_project(study: Path) -> None:
    project = open_project(study / "work")
    recipe = project.load_recipe()
    project.store(recipe)


def use_store(study: Path) -> None:
    (folder,) = (study / "work" / "store").iterdir()
    store = open_store(folder)
    store.fingerprints()
    store.size_bytes()
    for case in store.ids:
        store.case(case).check()


def use_twins(study: Path) -> None:
    (folder,) = (study / "work" / "store").glob("*")
    stored_twins(open_store(folder))


def use_run(study: Path) -> None:
    run = open_run(study / RUN)
    run.unfinished()
    run.precision()
    cases_of(run)
    is_scored(run)
    run.trained_method(torch.device("cpu"))


def use_journal(study: Path) -> None:
    last_iteration(study / RUN / "journal.jsonl")
    read_journal(study / RUN / "journal.jsonl")


def use_scores(study: Path) -> None:
    is_scored(open_run(study / RUN))
    entry = Entry(study / "work", "supervised", 0, group="done")
    finished(entry)


def use_split(study: Path) -> None:
    check_cases(read_split(study / RUN / "split.json"), open_project(study / "work").dataset)


def use_record(study: Path) -> None:
    read_records((study / RECORD).parent)


def use_recipe(study: Path) -> None:
    load_recipe(str(study / "recipe.toml"))


RECORDS: dict[str, Callable[[Path], None]] = {
    "work/project.json": use_project,
    "work/store/*/store.json": use_store,
    "work/store/*/twins.json": use_twins,
    "work/store/*/a/case.json": use_store,
    f"{RUN}/run.json": use_run,
    f"{RUN}/journal.jsonl": use_journal,
    f"{RUN}/scores.json": use_scores,
    f"{RUN}/split.json": use_split,
    str(RECORD): use_record,
}


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every field, of lists the first and last two; and the record itself."""
    yield above
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*above, key))
    elif isinstance(value, list):
        for index in sorted({0, 1, len(value) - 1} & set(range(len(value)))):
            yield from places(value[index], (*above, index))


MARK = "<here>"


def with_mark(value: Any, place: tuple[Any, ...]) -> Any:
    if not place:
        return MARK
    copied = dict(value) if isinstance(value, dict) else list(value)
    copied[place[0]] = with_mark(value[place[0]], place[1:])
    return copied


def without(value: Any, place: tuple[Any, ...]) -> Any:
    copied = dict(value) if isinstance(value, dict) else list(value)
    if len(place) == 1:
        del copied[place[0]]
    else:
        copied[place[0]] = without(value[place[0]], place[1:])
    return copied


def spoiled(text: str) -> Iterator[str]:
    value = json.loads(text)
    for place in places(value):
        marked = json.dumps(with_mark(value, place))
        for new in VALUES:
            yield marked.replace(f'"{MARK}"', new)
        if place:
            yield json.dumps(without(value, place))


def expect_no_crash(use: Callable[[Path], None], study: Path, path: Path, text: str) -> bool:
    """Whether it was refused, with a message that names a file and can be printed."""
    try:
        use(study)
    except InputError as error:
        told = str(error)
        assert len(told) < 3000, told[:3000]
        told.encode()
        return True
    except Exception as error:
        error.add_note(f"{path.name}: {text[:2000]}")
        raise
    return False


@pytest.mark.parametrize("name", RECORDS)
def test_no_field_of_a_record_crashes_what_reads_it(
    name: str, study: Path, record_property: Callable[[str, object], None]
) -> None:
    if name == str(RECORD):
        record = finished(Entry(study / "work", "supervised", 0, group="done"))
        assert record is not None
        write_records((study / RECORD).parent, [record])
    (path,) = study.glob(name)
    whole, use = path.read_text(), RECORDS[name]
    use(study)
    head, _, tail = whole.partition("\n") if path.suffix == ".jsonl" else (whole, "", "")
    tried = refused = 0
    for text in spoiled(head):
        path.write_text(f"{text}\n{tail}" if tail else text)
        refused += expect_no_crash(use, study, path, text)
        tried += 1
    path.write_text(whole)
    use(study)
    record_property("tried", tried)
    record_property("refused", refused)
    print(f"{name}: {tried} tried, {refused} refused")
    assert refused or "twins" in name or "scores" in name, "these are made again"


@pytest.mark.parametrize("name", ["cases.csv", "journal.jsonl", "best.safetensors"])
def test_no_cut_and_no_changed_byte_crashes_what_reads_it(name: str, study: Path) -> None:
    path = study / RUN / name
    use = {"cases.csv": use_scores, "journal.jsonl": use_journal}.get(name, use_run)
    whole = path.read_bytes()
    for share in range(60):
        place = share * len(whole) // 60
        for content in (whole[:place], whole[:place] + b"\xff,\n" + whole[place + 1 :]):
            path.write_bytes(content)
            expect_no_crash(use, study, path, repr(content[:200]))


@pytest.mark.parametrize("value", [*VALUES, "inf", "-inf", "nan", "0x" + "f" * 5000])
def test_no_value_in_a_recipe_crashes_what_reads_it(value: str, study: Path) -> None:
    settings = (
        "preprocessing.spacing_mm", "preprocessing.window", "sampling.patch", "sampling.labelled",
        "sampling.organ_share", "network.base_channels", "loss.dice_over", "training.iterations",
        "training.rate", "window.size", "methods.dvcl.queue_size", "methods.dvcl.alpha",
    )  # fmt: skip
    path = study / "recipe.toml"
    for setting in settings:
        section, _, key = setting.rpartition(".")
        path.write_text(f"[{section}]\n{key} = {value}\n")
        expect_no_crash(use_recipe, study, path, value)
        path.write_text(f"{section} = {value}\n")
        expect_no_crash(use_recipe, study, path, value)
        expect_no_crash(
            lambda study, s=setting: load_recipe("small-ct", [f"{s}={value}"]), study, path, value
        )
