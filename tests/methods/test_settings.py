"""Numbers that make no sense are refused by every method, by name."""

import math
import types
import typing

import pytest

from dvcl.errors import InputError
from dvcl.methods import METHODS
from dvcl.recipe import method_settings

# Not weights: DVCL's alpha moves a threshold in either direction.
SIGNED = {("dvcl", "alpha")}
SHARES = {
    "anchor_cutoff", "certainty", "complementary", "confidence", "cutmix", "cutoff", "decay",
    "distribution_momentum", "jitter", "momentum", "threshold", "unreliable",
}  # fmt: skip


def numeric() -> list[tuple[str, str, type]]:
    """(method, setting, type) of every setting that is one number."""
    found = []
    for name in METHODS:
        for key, (kind, _) in method_settings(name).items():
            kinds = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
            found += [(name, key, kind) for kind in kinds if kind in (int, float)]
    return found


def is_start(key: str) -> bool:
    return key == "start" or key.endswith("_start")


NUMERIC = numeric()
SENSELESS = [
    *((n, k, v) for n, k, kind in NUMERIC for v in (math.nan, math.inf) if kind is float),
    *((n, k, kind(-1)) for n, k, kind in NUMERIC if (n, k) not in SIGNED),
    *((n, k, 1.5) for n, k, _ in NUMERIC if k in SHARES or is_start(k)),
    *((n, k, 1.0) for n, k, _ in NUMERIC if is_start(k)),
]


@pytest.mark.parametrize(("name", "key", "value"), SENSELESS)
def test_a_senseless_number_is_refused_by_name(name, key, value, build_method):
    with pytest.raises(InputError, match=rf"method\.{key}: {value} found"):
        build_method(name, **{key: value})


@pytest.mark.parametrize(("name", "key"), [(n, k) for n, k, _ in NUMERIC if is_start(k)])
def test_a_term_that_would_never_begin_says_how_to_switch_it_off(name, key, build_method):
    with pytest.raises(InputError, match="less than 1 expected.*weight of 0"):
        build_method(name, **{key: 1.0})


def test_a_threshold_may_move_down(build_method):
    assert build_method("dvcl", alpha=-0.5).teaching.alpha == -0.5
