import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dvcl.datasets.dataset import Case, Dataset, LabelTable
from dvcl.errors import InputError

TABLE = LabelTable.from_mapping({300: "spleen", 0: "air", -1: "other", 7: "liver"})


def test_the_background_is_first_and_the_rest_is_sorted() -> None:
    assert TABLE.values == (0, -1, 7, 300)
    assert TABLE.names == ("background", "other", "liver", "spleen")
    assert (TABLE.classes, TABLE.organs) == (4, ("other", "liver", "spleen"))


@given(arrays.arrays(np.uint8, arrays.array_shapes(max_dims=3), elements=st.integers(0, 3)))
def test_encoding_undoes_decoding(classes: np.ndarray) -> None:
    raw = TABLE.decode(classes)
    assert set(np.unique(raw)) <= set(TABLE.values)
    encoded = TABLE.encode(raw)
    assert encoded.dtype == np.uint8
    assert np.array_equal(encoded, classes)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint16", "int32", "int64"])
def test_any_integer_type_is_encoded(dtype: str) -> None:
    assert TABLE.encode(np.array([[0, 7]], dtype)).tolist() == [[0, 2]]


def test_decoded_labels_take_the_smallest_type_that_fits() -> None:
    small = LabelTable((0, 255), ("background", "liver"))
    assert small.decode(np.array([1, 0])).dtype == np.uint8
    assert TABLE.decode(np.array([1, 0])).dtype == np.int32


@pytest.mark.parametrize("value", [-2, 1, 6, 8, 299, 301, 2**31 - 1, -(2**31)])
def test_unknown_values_are_counted(value: int) -> None:
    with pytest.raises(InputError) as error:
        TABLE.encode(np.array([0, 7, value, value], np.int32), Path("a.nii"))
    assert f"a.nii: label values {value} (2 voxels) are not in" in str(error.value)


def test_a_table_of_254_organs_is_encoded_whole() -> None:
    table = LabelTable.from_mapping({value: f"organ {value}" for value in range(1, 255)})
    assert np.array_equal(table.encode(np.arange(255)), np.arange(255))
    with pytest.raises(InputError, match="255 "):
        table.encode(np.array([255]))


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ((0, 1), ("background",)),
        ((0, 1, 1), ("background", "a", "b")),
        ((0,), ("background",)),
        (tuple(range(256)), tuple(map(str, range(256)))),
        ((0, 2**16), ("background", "a")),
    ],
    ids=["names", "twice", "no organ", "too many", "too large"],
)
def test_impossible_tables_are_refused(values: tuple[int, ...], names: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="label table"):
        LabelTable(values, names)


def test_json_round_trip() -> None:
    cases = (
        Case("a.b", Path("/x/ä b.nii.gz"), Path("/x/l.nii"), "labelled"),
        Case("c", Path("/y.nii"), None, None),
    )
    dataset = Dataset("mine", "MR", cases, TABLE)
    text = json.dumps(dataset.to_json())
    assert Dataset.from_json(json.loads(text)) == dataset


def test_cases_of_one_role_keep_their_order() -> None:
    roles = ("test", "labelled", None, "test")
    cases = tuple(Case(str(i), Path("x"), None, role) for i, role in enumerate(roles))
    dataset = Dataset("mine", "CT", cases, TABLE)
    assert [case.id for case in dataset.with_role("test")] == ["0", "3"]
    assert [case.id for case in dataset.with_role(None)] == ["2"]
