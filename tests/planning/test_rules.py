"""The rules: what they make of tiny organs, thin volumes, MR, contrast; and of known data sets."""

import itertools

import pytest
import torch

from dvcl.networks import Network
from dvcl.planning.effort import CPU, GPU, LEAST_VOXELS, Effort, starting_effort
from dvcl.planning.intensity import choose_intensity_window, skips_air
from dvcl.planning.patch import choose_organ_share, choose_patch, choose_window, voxels_along
from dvcl.planning.propose import choose_flips, propose
from dvcl.planning.spacing import choose_spacing, context_spacing_mm
from dvcl.recipe import load_recipe

HEAD_NECK = {
    "spacing_mm": (2.5, 3.91, 3.91), "shape": (84, 128, 128), "body_mm": (211.0, 250.0, 443.0),
    "organs": {"Brainstem": (18.6, 20), "SpinalCord": (10.9, 10), "Mandible": (11.5, 562)},
}  # fmt: skip


def test_on_a_gpu_abdominal_ct_gets_the_papers_settings(fingerprint):
    """FLARE22's scans: 2.5 x 0.8 x 0.8 mm, organs down to the adrenal glands."""
    plan, paper = propose(fingerprint(), GPU), load_recipe("paper")
    assert plan["preprocessing.spacing_mm"].value == paper.preprocessing.spacing_mm
    assert plan["sampling.patch"].value == paper.sampling.patch
    assert plan["sampling.labelled"].value == paper.sampling.labelled
    assert plan["network.levels"].value == paper.network.levels
    assert plan["network.base_channels"].value == paper.network.base_channels
    assert plan["network.dropout"].value == paper.network.dropout
    assert plan["window.size"].value == paper.window.size
    assert plan["window.stride"].value == paper.window.stride


def test_on_a_cpu_head_and_neck_ct_gets_what_worked_there(fingerprint):
    plan, small = propose(fingerprint(**HEAD_NECK), CPU), load_recipe("small-ct")
    assert plan["preprocessing.spacing_mm"].value == (5.0, 5.0, 5.0), "small-ct has 4 x 5 x 5"
    assert plan["preprocessing.window"].value == small.preprocessing.window
    assert plan["sampling.patch"].value == small.sampling.patch
    assert plan["sampling.organ_share"].value == small.sampling.organ_share
    assert plan["network.levels"].value == small.network.levels
    assert plan["network.base_channels"].value == small.network.base_channels
    assert plan["window.size"].value == small.window.size
    assert plan["window.stride"].value == small.window.stride
    assert plan["window.skip_air"].value == small.window.skip_air


def test_on_a_cpu_small_mr_structures_get_what_worked_there(fingerprint):
    hippocampus = fingerprint(
        spacing_mm=(1.0, 1.0, 1.0), shape=(35, 50, 35), modality="MR",
        organs={"anterior": (6.6, 500), "posterior": (5.4, 500)},
    )  # fmt: skip
    plan, small = propose(hippocampus, starting_effort("cpu", 2)), load_recipe("small-mr")
    assert plan["preprocessing.spacing_mm"].value == small.preprocessing.spacing_mm
    assert plan["preprocessing.window"].value is None
    assert plan["sampling.patch"].value == (32, 56, 32), "small-mr has 32 x 48 x 32"
    assert plan["network.base_channels"].value == small.network.base_channels
    assert plan["network.levels"].value == small.network.levels
    assert plan["sampling.organ_share"].value == 0
    assert plan["loss.class_weights"].value == small.loss.class_weights == "none"


def test_thin_organs_hold_the_spacing_back(fingerprint):
    coarse = choose_spacing(fingerprint(), CPU)
    assert coarse.value == (2.5, 2.5, 2.5), "two voxels across 5 mm, not the 5 mm of a wide patch"
    assert "2 voxels across left adrenal gland" in coarse.reason
    assert "5.0 mm" in coarse.reason
    wide = choose_spacing(fingerprint(organs={"liver": (60.0, 100.0)}), CPU)
    assert wide.value == (5.0, 5.0, 5.0)


def test_no_axis_is_made_finer_than_the_scans(fingerprint):
    for effort, spacing in itertools.product((CPU, GPU), ((8.0, 0.5, 0.5), (1.0, 6.0, 2.0))):
        shape = tuple(round(300 / mm) for mm in spacing)
        found = choose_spacing(fingerprint(spacing_mm=spacing, shape=shape), effort).value
        assert all(a >= b for a, b in zip(found, spacing, strict=True))


def test_axes_that_are_coarse_leave_their_voxels_to_the_others(fingerprint):
    isotropic = fingerprint(spacing_mm=(1.0, 1.0, 1.0), shape=(300, 300, 300))
    assert context_spacing_mm(isotropic, 32**3) == pytest.approx(5.0)
    thick = fingerprint(spacing_mm=(10.0, 1.0, 1.0), shape=(30, 300, 300))
    assert context_spacing_mm(thick, 32**3) == pytest.approx(160 / (32**3 / 16) ** 0.5)
    coarse = fingerprint(spacing_mm=(9.0, 9.0, 9.0), shape=(40, 40, 40))
    assert choose_spacing(coarse, CPU).value == (9.0, 9.0, 9.0)
    assert "coarse as they are for left adrenal gland" in choose_spacing(coarse, CPU).reason


@pytest.mark.parametrize("depth", [2, 4, 6, 9, 12, 20, 40, 200])
@pytest.mark.parametrize("width", [16, 60, 512])
@pytest.mark.parametrize("effort", [CPU, GPU, Effort(LEAST_VOXELS, 8, 2, True)])
def test_every_patch_and_window_fits_its_network(fingerprint, depth, width, effort):
    scans = fingerprint(spacing_mm=(5.0, 1.0, 1.0), shape=(depth, width, width))
    spacing = choose_spacing(scans, effort).value
    patch, levels = choose_patch(scans, spacing, effort)
    size, stride = choose_window(scans, patch.value, levels.value, spacing, effort.is_short)
    network = Network(base_channels=1, levels=levels.value).build(2, "kaiming", torch.Generator())
    network.check_patch(patch.value)
    network.check_patch(size.value)
    assert all(1 <= a <= b for a, b in zip(stride.value, size.value, strict=True))
    multiple = network.stride
    body = voxels_along(scans.body_mm, spacing)
    for side, n in zip(patch.value, body, strict=True):
        assert side <= max(2 * multiple, -(-n // multiple) * multiple), "larger than needed"
    volume = patch.value[0] * patch.value[1] * patch.value[2]
    assert volume <= max(effort.voxels, (2 * multiple) ** 3)


def test_thin_volumes_get_shallow_networks(fingerprint):
    thin = fingerprint(spacing_mm=(8.0, 1.0, 1.0), shape=(6, 300, 300))
    patch, levels = choose_patch(thin, (8.0, 4.0, 4.0), CPU)
    assert levels.value <= 3
    assert patch.value[0] == 8


def test_uniform_patches_where_one_shows_most_of_a_scan(fingerprint):
    small = fingerprint(spacing_mm=(1.0, 1.0, 1.0), shape=(36, 36, 36))
    assert choose_organ_share(small, (32, 32, 32), (1.0, 1.0, 1.0)).value == 0
    share = choose_organ_share(small, (16, 16, 16), (1.0, 1.0, 1.0))
    assert share.value == 0.7
    assert "left adrenal gland" in share.reason


def test_mr_has_no_window_and_no_air(fingerprint):
    mr = fingerprint(modality="MR", body_share=0.3)
    assert choose_intensity_window(mr).value is None
    assert skips_air(mr).value is False


def test_ct_that_is_not_in_hu_gets_no_window(fingerprint):
    shifted = fingerprint(body_hu=(100.0, 900.0, 1064.0, 1200.0, 1900.0))
    choice = choose_intensity_window(shifted)
    assert choice.value is None
    assert "1064" in choice.reason
    assert "not HU" in choice.reason


def test_the_window_moves_for_organs_that_would_vanish(fingerprint):
    lungs = choose_intensity_window(fingerprint(organs={"lung": (90.0, -850), "heart": (80.0, 40)}))
    assert lungs.value == (-920.0, 240.0), "the lung's 5 percent begin at -910"
    assert "lung (-850)" in lungs.reason
    vessel = choose_intensity_window(fingerprint(organs={"aorta": (25.0, 310), "liver": (60, 110)}))
    assert vessel.value == (-160.0, 360.0)
    bone = choose_intensity_window(fingerprint(organs={"jaw": (12.0, 562), "cord": (10.0, 20)}))
    assert bone.value == (-160.0, 240.0)
    assert "jaw (562) saturates" in bone.reason


@pytest.mark.parametrize(
    ("names", "flips"),
    [
        (("liver", "left kidney"), ("H",)),
        (("RightParotid", "Larynx"), ("H",)),
        (("kidney_L", "kidney_R"), ("H",)),
        (("anterior", "posterior"), ("W",)),
        (("left anterior", "right posterior"), ()),
        (("liver", "spleen"), ("H",)),
        (("label 1", "label 2"), ("H",)),
    ],
)
def test_flips_never_make_a_name_wrong(fingerprint, names, flips):
    found = fingerprint(organs=dict.fromkeys(names, (20.0, 40.0)))
    assert choose_flips(found).value == flips


def test_an_effort_is_halved_down_to_the_least():
    voxels, patches = [], []
    effort = GPU
    while effort:
        voxels.append(effort.voxels)
        patches.append(effort.patches)
        effort = effort.smaller()
    assert patches[:3] == [4, 2, 2]
    assert voxels[:3] == [2**20, 2**20, 2**19]
    assert voxels[-1] == LEAST_VOXELS
