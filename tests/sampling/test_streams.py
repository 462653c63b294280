"""Batches hold what the prepared cases hold, and continue where they were saved."""

import json

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from dvcl.errors import InputError
from dvcl.sampling.distance_maps import signed_distance_maps
from dvcl.sampling.flips import draw_flips
from dvcl.sampling.settings import Sampling
from dvcl.sampling.streams import Sampler, Stream
from dvcl.store import StoredCase

SCALE, OFFSET = 2e-3, 0.4


class Case(StoredCase):
    """A prepared case in memory; every voxel of its image is different."""

    def __init__(self, id: str, shape=(6, 7, 8), organs: bool = True) -> None:
        self.id, self.scale, self.offset = id, SCALE, OFFSET
        count = int(np.prod(shape))
        first = 1000 * sum(id.encode())
        self.image = (np.arange(count).reshape(shape) + first % 30_000).astype(np.int16)
        self.label = self.class_of(self.image) if organs else np.zeros(shape, np.uint8)
        places = np.argwhere(self.label > 0)
        classes = self.label[tuple(places.T)]
        self.organ_voxels = np.column_stack([classes, places]).astype(np.int32)

    @staticmethod
    def class_of(stored: np.ndarray) -> np.ndarray:
        return np.where(stored % 50 < 2, 1 + stored % 50, 0).astype(np.uint8)


class WithoutLabel(Case):
    """Whoever asks for its label gets an exception."""

    def __init__(self, id: str, shape=(6, 7, 8)) -> None:
        self.id, self.scale, self.offset = id, SCALE, OFFSET
        self.image = np.ones(shape, np.int16)

    @property
    def label(self):
        raise AssertionError("the label of an unlabelled case was read")

    @property
    def organ_voxels(self):
        raise AssertionError("the organs of an unlabelled case were read")


def stored_values(images: torch.Tensor) -> np.ndarray:
    return np.rint((images.double().numpy() - OFFSET) / SCALE).astype(int)


def sampler(settings: Sampling, seed: int = 0, labelled=None, unlabelled=None) -> Sampler:
    labelled = labelled or [Case("a"), Case("b"), Case("c")]
    return Sampler(labelled, unlabelled or [WithoutLabel("u"), WithoutLabel("v")], settings, seed)


def test_a_whole_volume_is_scale_times_stored_plus_offset():
    case = Case("a")
    whole = Sampling(case.image.shape, labelled=1, unlabelled=0, flips=())
    batch = sampler(whole, labelled=[case]).draw()
    expected = torch.from_numpy(case.image * SCALE + OFFSET)
    torch.testing.assert_close(batch.labelled[0, 0].double(), expected, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(batch.labels[0].numpy(), case.label)
    assert batch.labelled.dtype == torch.float32
    assert batch.labels.dtype == torch.uint8
    assert batch.to(torch.device("cpu")).labels.dtype == torch.int64


@pytest.mark.parametrize("flips", [(), ("H",), ("D", "H", "W")])
@pytest.mark.parametrize("organ_share", [0.0, 1.0])
def test_labels_follow_their_images_and_patches_are_contiguous(flips, organ_share):
    settings = Sampling((4, 4, 4), 3, 1, flips, organ_share)
    drawing, mirrored = sampler(settings), np.zeros(3, dtype=bool)
    for _ in range(20):
        batch = drawing.draw()
        stored = stored_values(batch.labelled[:, 0])
        np.testing.assert_array_equal(batch.labels.numpy(), Case.class_of(stored))
        for axis, step in enumerate((56, 8, 1)):
            steps = np.diff(stored, axis=axis + 1)
            assert set(np.abs(steps).flatten()) == {step}
            mirrored[axis] |= (steps < 0).any()
    assert mirrored.tolist() == [axis in flips for axis in "DHW"]


def test_flips_are_drawn_half_the_time():
    random = np.random.default_rng(0)
    drawn = [draw_flips(("H", "W"), random) for _ in range(400)]
    assert {axis for flips in drawn for axis in flips} == {1, 2}
    for axis in (1, 2):
        assert binomtest(sum(axis in flips for flips in drawn), 400).pvalue > 1e-3


def test_outside_the_volume_images_are_0_and_labels_background():
    case = Case("a", (3, 7, 8))
    settings = Sampling((6, 7, 8), 1, 1, ())
    batch = sampler(settings, labelled=[case], unlabelled=[WithoutLabel("u", (3, 7, 8))]).draw()
    outside = [0, 4, 5]
    for images in (batch.labelled, batch.unlabelled):
        assert images[0, 0, outside].abs().max() == 0
        assert images[0, 0, 1:4].abs().min() > 0.1
    assert batch.labels[0, outside].max() == 0
    np.testing.assert_array_equal(batch.labels[0, 1:4].numpy(), case.label)


@pytest.mark.parametrize("flips", [(), ("D", "H", "W")])
@pytest.mark.parametrize("depth", [2, 5])
def test_a_thin_volume_is_padded_anew_in_memory_that_held_another_patch(flips, depth, monkeypatch):
    # The allocator hands out what was there before; nothing of it may show, not even where one
    # voxel is missing and all padding lies behind the volume.
    used = torch.empty
    monkeypatch.setattr(torch, "empty", lambda *size, **kind: used(*size, **kind).fill_(77))
    full, thin = Case("a", (6, 7, 8)), Case("b", (depth, 7, 8))
    settings = Sampling((6, 7, 8), 2, 0, flips)
    drawing = sampler(settings, labelled=[full, thin])
    for _ in range(10):
        batch = drawing.draw()
        row = batch.case_ids.index("b")
        assert (batch.labelled[row, 0].abs().amax((1, 2)) > 0).sum() == depth
        assert (batch.labels[row].amax((1, 2)) > 0).sum() <= depth
        del batch


def test_the_layout_of_a_batch():
    batch = sampler(Sampling((4, 4, 4), 3, 2)).draw()
    assert batch.labelled.shape == (3, 1, 4, 4, 4)
    assert batch.labels.shape == (3, 4, 4, 4)
    assert batch.unlabelled.shape == (2, 1, 4, 4, 4)
    assert batch.images.shape == (5, 1, 4, 4, 4)
    assert torch.equal(batch.images[:3], batch.labelled)
    assert sorted(batch.case_ids[:3]) == ["a", "b", "c"]
    assert sorted(batch.case_ids[3:]) == ["u", "v"]
    moved = batch.to(torch.device("cpu"))
    assert torch.equal(moved.images, batch.images)
    assert moved.case_ids == batch.case_ids


@pytest.mark.parametrize("organ_share", [0.0, 1.0])
def test_labels_of_unlabelled_cases_are_never_read(organ_share):
    drawing = sampler(Sampling((4, 4, 4), 1, 4, organ_share=organ_share))
    for _ in range(10):
        drawing.draw()


def test_without_unlabelled_patches_no_unlabelled_case_is_needed():
    drawing = Sampler([Case("a")], [], Sampling((4, 4, 4), 2, 0), seed=0)
    assert drawing.draw().unlabelled.shape == (0, 1, 4, 4, 4)


def test_patches_are_centred_on_organs_as_often_as_asked():
    case = Case("a", (20, 20, 20))
    case.label = np.zeros_like(case.label)
    case.label[3, 3, 3], case.label[16, 16, 16] = 1, 2
    case.organ_voxels = np.array([[1, 3, 3, 3], [2, 16, 16, 16]], dtype=np.int32)
    found = []
    drawing = sampler(Sampling((4, 4, 4), 10, 0, (), 1.0), labelled=[case])
    for _ in range(20):
        found += drawing.draw().labels.amax((1, 2, 3)).tolist()
    assert 0 not in found
    assert binomtest(found.count(1), len(found)).pvalue > 1e-3
    half = sampler(Sampling((4, 4, 4), 200, 0, (), 0.5), labelled=[case]).draw()
    assert binomtest(int((half.labels.amax((1, 2, 3)) > 0).sum()), 200, 0.51).pvalue > 1e-3


def test_a_case_without_organs_is_cropped_anywhere():
    drawing = sampler(Sampling((4, 4, 4), 2, 0, (), 1.0), labelled=[Case("a", organs=False)])
    starts = {int(stored_values(drawing.draw().labelled)[0, 0, 0, 0, 0]) for _ in range(20)}
    assert len(starts) > 5


def test_every_case_comes_once_per_round_in_changing_order():
    stream = Stream([Case(id) for id in "abcde"], np.random.default_rng(0))
    rounds = ["".join(stream.next().id for _ in range(5)) for _ in range(6)]
    assert all(sorted(order) == list("abcde") for order in rounds)
    assert len(set(rounds)) > 3


def test_a_saved_sampler_continues_bit_for_bit():
    settings = Sampling((4, 4, 4), 2, 1, ("H", "W"), 0.5)
    drawing = sampler(settings, seed=3)
    for _ in range(4):
        drawing.draw()
    saved = json.dumps(drawing.state_dict())
    expected = [drawing.draw() for _ in range(5)]
    continued = sampler(settings, seed=9)
    continued.load_state_dict(json.loads(saved))
    for batch in expected:
        again = continued.draw()
        assert again.case_ids == batch.case_ids
        assert torch.equal(again.images, batch.images)
        assert torch.equal(again.labels, batch.labels)


def test_the_seed_decides():
    settings = Sampling((4, 4, 4), 2, 1)
    first, again, other = (sampler(settings, seed).draw() for seed in (1, 1, 2))
    assert torch.equal(first.images, again.images)
    assert not torch.equal(first.images, other.images)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"flips": ("X",)}, r"\['X'\] found, each of D, H, W"),
        ({"flips": ("H", "H")}, "at most once"),
        ({"patch": (4, 0, 4)}, r"\(4, 0, 4\) found, positive"),
        ({"labelled": 0}, "labelled must be at least 1"),
        ({"unlabelled": -1}, "found 4, -1, 0.0"),
        ({"organ_share": 1.5}, "found 4, 4, 1.5"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        Sampling(**settings)


def test_distance_maps_follow_the_cropped_and_flipped_labels():
    settings, cases = Sampling((4, 6, 5), 2, 1, ("D", "H", "W")), [Case("a"), Case("b")]
    drawing = Sampler(cases, [WithoutLabel("u")], settings, seed=0, map_classes=3)
    plain = Sampler(cases, [WithoutLabel("u")], settings, seed=0)
    for _ in range(3):
        batch, without = drawing.draw(), plain.draw()
        assert without.distance_maps is None
        assert torch.equal(batch.images, without.images)
        maps = signed_distance_maps(batch.labels.numpy(), 3)
        assert torch.equal(batch.distance_maps, torch.from_numpy(maps))
        assert batch.distance_maps.shape == (2, 2, 4, 6, 5)
    moved = batch.to(torch.device("cpu"))
    assert torch.equal(moved.distance_maps, batch.distance_maps)
    assert without.to(torch.device("cpu")).distance_maps is None


def test_batches_say_which_classes_are_annotated_only_where_some_are_not() -> None:
    settings = Sampling((4, 4, 4), labelled=2, unlabelled=1)
    whole, part = [Case("a"), Case("b")], Case("p")
    part.annotated = np.array([True, False, True])
    assert sampler(settings, labelled=whole).draw().annotated is None
    batches = [sampler(settings, seed, [*whole, part]).draw() for seed in range(12)]
    for batch in batches:
        if "p" not in batch.case_ids:
            assert batch.annotated is None
            continue
        expected = [[True, id != "p", True] for id in batch.case_ids[:2]]
        assert batch.annotated.tolist() == expected
        assert batch.to(torch.device("cpu")).annotated.tolist() == expected
    assert len({batch.annotated is None for batch in batches}) == 2


def test_patches_grow_in_equal_stages():
    settings = Sampling((32, 48, 32), 1, 1, grow_from=(16, 16, 16), grow_until=0.5)
    assert settings.patch_at(0) == (16, 16, 16)
    assert settings.patch_at(0.25) == (16, 32, 16)
    assert settings.patch_at(0.5) == settings.patch_at(1) == (32, 48, 32)
    assert Sampling((32, 48, 32), 1, 1).patch_at(0) == (32, 48, 32)
    fixed = Sampling((8, 8, 8), 1, 1, grow_from=(8, 8, 8), grow_until=0.5)
    assert fixed.patch_at(0.25) == (8, 8, 8)
    drawing = sampler(Sampling((4, 6, 4), 2, 1, grow_from=(2, 2, 2), grow_until=0.5))
    assert drawing.draw(0.0).images.shape == (3, 1, 2, 2, 2)
    assert drawing.draw(0.0).labels.shape == (2, 2, 2, 2)
    assert drawing.draw().images.shape == (3, 1, 4, 6, 4)


def test_every_stage_of_a_growing_patch_fits_the_network():
    settings = Sampling((64, 96, 96), 1, 1, grow_from=(16, 32, 32), grow_until=1.0)
    sizes = {settings.patch_at(progress) for progress in np.linspace(0, 1, 101)}
    assert min(sizes) == (16, 32, 32)
    assert max(sizes) == (64, 96, 96)
    assert all(side % 16 == 0 for size in sizes for side in size)


def test_a_batch_may_hold_labelled_patches_alone():
    drawing = sampler(Sampling((4, 4, 4), 2, 3))
    batch = drawing.draw(unlabelled=False)
    assert batch.unlabelled.shape == (0, 1, 4, 4, 4)
    assert len(batch.case_ids) == 2
    assert drawing.unlabelled.order == []
    assert len(drawing.draw().unlabelled) == 3


class Spaced(Case):
    """A case that knows its spacing, as warps ask for."""

    class grid:  # noqa: N801 - stands in for an attribute
        class prepared:  # noqa: N801
            spacing_mm = (2.0, 1.0, 1.0)


def test_warps_and_intensities_are_drawn_with_the_patches_and_continue():
    settings = Sampling(
        (4, 4, 4), 2, 0, rotation_degrees=20, scaling=0.2, contrast=0.3, noise=0.1, blur=0.5
    )
    labelled = [Spaced("a"), Spaced("b")]
    drawing = Sampler(labelled, [], settings, seed=0)
    plain = Sampler(labelled, [], Sampling((4, 4, 4), 2, 0), seed=0).draw()
    first = drawing.draw()
    assert not torch.equal(first.labelled, plain.labelled)
    assert set(first.labels.unique().tolist()) <= {0, 1, 2}
    state = json.loads(json.dumps(drawing.state_dict()))
    expected = drawing.draw()
    again = Sampler(labelled, [], settings, seed=5)
    again.load_state_dict(state)
    found = again.draw()
    assert torch.equal(found.labelled, expected.labelled)
    assert torch.equal(found.labels, expected.labels)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"noise": -0.1}, "sampling.noise: -0.1 found"),
        ({"rotation_degrees": float("nan")}, "sampling.rotation_degrees: nan found"),
        ({"grow_until": 1.5}, "sampling.grow_until: 1.5 found"),
        ({"grow_from": (128, 64, 64), "grow_until": 0.5}, "sides of at most those of the patch"),
        ({"grow_from": (16, 16, 16)}, "with both, or with neither"),
        ({"grow_until": 0.5}, "with both, or with neither"),
    ],
)
def test_amounts_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        Sampling(**settings)
