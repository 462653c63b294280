import numpy as np
import pytest
from scipy import ndimage

from dvcl.leaks import search
from dvcl.leaks.likeness import ALIKE, VIEWS, likeness, views
from dvcl.leaks.search import alike_pairs

SHAPE = (24, 24, 24)
DISGUISES = (
    lambda cells, random: cells,
    lambda cells, random: 2 * cells + 7,
    lambda cells, random: cells + random.normal(0, random.uniform(0, 0.6), SHAPE) * cells.std(),
    lambda cells, random: np.roll(cells, 1, axis=random.integers(3)),
    lambda cells, random: np.flip(cells, random.integers(3)),
    lambda cells, random: ndimage.zoom(cells[1:-1, 2:-2], (24 / 22, 24 / 20, 1), order=1),
)


def look(cells: np.ndarray) -> np.ndarray:
    ranks = cells.ravel().argsort(kind="stable").argsort(kind="stable")
    return (ranks / cells.size * 256).astype(np.uint8).reshape(SHAPE)


def scans(number: int, seed: int) -> np.ndarray:
    """People of one outline with structure of some coarseness, many of them twins in disguise."""
    random = np.random.default_rng(seed)
    common = ndimage.gaussian_filter(random.standard_normal(SHAPE), 1.5)
    made: list[np.ndarray] = []
    for _ in range(number):
        if made and random.random() < 0.4:
            known = made[random.integers(len(made))]
            made.append(DISGUISES[random.integers(len(DISGUISES))](known, random))
        else:
            own = ndimage.gaussian_filter(random.standard_normal(SHAPE), random.uniform(0.3, 2))
            made.append(own / own.std() + random.uniform(0, 1.5) * common / common.std())
    constant = np.zeros(SHAPE, np.uint8)
    return np.stack([*map(look, made), constant])


@pytest.mark.parametrize("numbers", [(4,), (16, 64), search.NUMBERS], ids=["few", "some", "all"])
@pytest.mark.parametrize("limit", [0.6, ALIKE])
@pytest.mark.parametrize("look_up", [0, 100, 1e9], ids=["apart", "usual", "in blocks"])
@pytest.mark.parametrize("seed", range(2))
def test_the_search_finds_what_comparing_all_pairs_finds(
    monkeypatch: pytest.MonkeyPatch,
    numbers: tuple[int, ...],
    limit: float,
    seed: int,
    look_up: float,
) -> None:
    monkeypatch.setattr(search, "LOOK_UP", look_up)
    monkeypatch.setattr(search, "NUMBERS", numbers)
    monkeypatch.setattr(search, "TOGETHER", 10)
    monkeypatch.setattr(search, "SAMPLE", 20)
    looks = scans(30, seed)
    every = likeness(looks)
    expected = {
        (i, j): every[i, j]
        for i, j in zip(*map(np.ndarray.tolist, np.triu_indices(len(looks), 1)), strict=True)
        if every[i, j] >= limit
    }
    found = alike_pairs(looks, limit)
    assert len(expected) > 5
    assert list(found) == sorted(expected)
    assert found == pytest.approx(expected, abs=1e-5)


def test_the_bound_is_never_below_the_correlation() -> None:
    looks = scans(20, 5)
    whole = next(views(looks))
    directions = np.linalg.qr(np.random.default_rng(0).normal(size=(4096, 7)))[0]
    directions = directions.astype(np.float32)
    shadows = search._shadows(whole, directions)
    for view in views(looks):
        assert (search._shadows(view, directions) @ shadows.T > view @ whole.T - 1e-5).all()


def test_views_are_unit_vectors_and_begin_with_the_whole_look() -> None:
    looks = scans(3, 0)
    found = list(views(looks))
    assert len(found) == VIEWS
    assert np.allclose(np.linalg.norm(found, axis=2), [1, 1, 1, 0], atol=1e-5)
    assert np.allclose(likeness(looks).max(axis=1), [1, 1, 1, 0], atol=1e-5)


@pytest.mark.parametrize("number", [0, 1])
def test_fewer_than_two_scans_have_no_pairs(number: int) -> None:
    assert alike_pairs(np.zeros((number, *SHAPE), np.uint8)) == {}


def test_scans_without_structure_are_like_nothing() -> None:
    assert alike_pairs(np.zeros((3, *SHAPE), np.uint8)) == {}


def test_the_progress_counts_scans() -> None:
    steps: list[tuple[int, int, str]] = []
    alike_pairs(scans(5, 1), progress=lambda *step: steps.append(step))
    assert steps == [(6, 6, "")]
