"""What holds for every shape, spacing, affine and voxel type."""

import itertools
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial.transform import Rotation

from dvcl.datasets.dataset import Case, Dataset, LabelTable
from dvcl.errors import InputError
from dvcl.preprocessing.geometry import make_grid
from dvcl.preprocessing.prepare import Preprocessing, prepare_image, prepare_label
from dvcl.store import build_store
from dvcl.volume import Geometry, Volume, write_volume

ORIENTATIONS = [
    "".join(codes)
    for pairs in itertools.permutations(("LR", "PA", "IS"))
    for codes in itertools.product(*pairs)
]
DTYPES = ["uint8", "int16", "uint16", "int32", "float32", "float64"]

shapes = st.tuples(*[st.integers(2, 14)] * 3)
lengths = st.tuples(*[st.floats(0.3, 6)] * 3)


@st.composite
def affines(draw: st.DrawFn) -> np.ndarray:
    """Any axes, mirrored or not, turned by up to 30 degrees, any spacing and place."""
    affine = np.eye(4)
    turned = Rotation.from_euler("xyz", draw(st.tuples(*[st.floats(-30, 30)] * 3)), degrees=True)
    axes = np.eye(3)[list(draw(st.permutations(range(3))))]
    signs = np.array(draw(st.tuples(*[st.sampled_from((-1, 1))] * 3)))
    affine[:3, :3] = turned.as_matrix() @ axes * signs * draw(lengths)
    affine[:3, 3] = draw(st.tuples(*[st.floats(-500, 500)] * 3))
    return affine


@st.composite
def volumes(draw: st.DrawFn, dtype: str | None = None) -> Volume:
    """Noise in any voxel type."""
    kind = np.dtype(dtype or draw(st.sampled_from(DTYPES)))
    random = np.random.default_rng(draw(st.integers(0, 1000)))
    low, high = (0, 255) if kind.kind == "u" else (-1000, 1000)
    array = random.integers(low, high, draw(shapes), endpoint=True).astype(kind)
    return Volume(array, draw(affines()))


@st.composite
def preparations(draw: st.DrawFn) -> Preprocessing:
    return Preprocessing(
        draw(st.sampled_from(ORIENTATIONS)),
        draw(lengths),
        draw(st.sampled_from([None, (-325.0, 325.0), (5.0, 90.0)])),
        draw(st.sampled_from([(0.5, 99.5), (0.0, 100.0), (10.0, 90.0)])),
        draw(st.sampled_from([1, 3])),
    )


@settings(deadline=None, max_examples=60)
@given(shapes, affines(), st.sampled_from(ORIENTATIONS), lengths)
def test_a_grid_has_the_files_centre_its_extent_and_the_asked_axes(
    shape: tuple[int, int, int], affine: np.ndarray, codes: str, spacing: tuple[float, ...]
) -> None:
    grid = make_grid(Geometry(shape, affine), codes, spacing)
    assert grid.prepared.orientation == codes
    centres = [
        g.affine[:3, :3] @ (np.array(g.shape[::-1]) - 1) / 2 + g.affine[:3, 3]
        for g in (grid.source, grid.prepared)
    ]
    assert np.allclose(*centres, atol=1e-6)
    source_mm = np.array(grid.source.spacing_mm)[list(grid.moves.order)]
    extents = np.array(grid.oriented_shape) * source_mm, np.array(grid.prepared.shape) * spacing
    # Half a prepared voxel of rounding; a thin scan keeps one voxel, whatever its size.
    thin = np.array(grid.prepared.shape) == 1
    assert (np.abs(extents[0] - extents[1]) <= np.array(spacing) / 2 + 1e-2)[~thin].all()
    for size, count, start, step in zip(
        grid.oriented_shape, grid.prepared.shape, grid.starts, grid.steps, strict=True
    ):
        # Symmetric about the centre of the axis.
        assert np.isclose(start + (start + (count - 1) * step), size - 1)


@settings(deadline=None, max_examples=60)
@given(volumes(), preparations())
def test_images_are_what_scipy_makes_of_them(volume: Volume, how: Preprocessing) -> None:
    clipped = volume.array.astype(np.float64)
    if how.window:
        clipped = clipped.clip(*how.window)
    grid = how.grid(volume.geometry)
    expected = ndimage.affine_transform(
        grid.moves.apply(clipped),
        grid.steps,
        grid.starts,
        grid.prepared.shape,
        order=how.order,
        mode="nearest",
    )
    low, high = np.percentile(expected, how.percentiles)
    if high - low < 1:
        reject()  # hardly any contrast: the scale would enlarge round-off
    image, found = prepare_image(volume, how)
    assert image.dtype == np.float32
    assert np.array_equal(found.prepared.affine, grid.prepared.affine)
    assert np.abs(image * (high - low) + low - expected).max() < 2e-3


@settings(deadline=None, max_examples=60)
@given(volumes("uint8"), preparations(), st.sampled_from(["nearest", "linear"]))
def test_labels_come_from_the_file_and_only_turn_where_the_spacing_is_kept(
    volume: Volume, how: Preprocessing, interpolation: Any
) -> None:
    classes = volume.array % 7
    grid = how.grid(volume.geometry)
    label = prepare_label(classes, grid, interpolation)
    assert label.shape == grid.prepared.shape
    assert set(np.unique(label)) <= set(np.unique(classes))
    kept = make_grid(volume.geometry, how.orientation, _own_spacing(volume, how))
    turned = prepare_label(classes, kept, interpolation)
    assert np.array_equal(kept.moves.undo(turned), classes)


def _own_spacing(volume: Volume, how: Preprocessing) -> tuple[float, float, float]:
    order = how.grid(volume.geometry).moves.order
    depth, height, width = (volume.spacing_mm[axis] for axis in order)
    return depth, height, width


@settings(deadline=None, max_examples=25)
@given(volumes(), preparations())
def test_a_store_gives_back_what_was_prepared(volume: Volume, how: Preprocessing) -> None:
    values = (0, 3, 700)
    classes = (volume.array.astype(np.int64) % 3).astype(np.uint8)
    with TemporaryDirectory() as folder:
        paths = Path(folder) / "a.nii.gz", Path(folder) / "a_label.nii.gz"
        write_volume(paths[0], volume)
        write_volume(paths[1], Volume(np.array(values, np.int16)[classes], volume.affine))
        labels = LabelTable(values, ("background", "liver", "spleen"))
        dataset = Dataset("laws", "CT", (Case("a", *paths),), labels)
        grid = how.grid(volume.geometry)
        try:
            image, _ = prepare_image(volume, how)
        except InputError:
            reject()  # without contrast; test_prepare.py has what is refused
        case = build_store(dataset, how, Path(folder) / "store", workers=1).case("a")
        step = (image.max() - image.min()) / 65535
        assert np.abs(case.image * case.scale + case.offset - image).max() <= 0.51 * step + 1e-4
        assert np.array_equal(case.label, prepare_label(classes, grid))
        assert np.allclose(case.grid.prepared.affine, grid.prepared.affine, atol=1e-3)
        turned_back = case.grid.moves.undo(case.grid.moves.apply(volume.array))
        assert np.array_equal(turned_back, volume.array)
