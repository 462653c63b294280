"""What is BCP's own: patches pasted into each other, and what their voxels learn from."""

import pytest
import torch

from dvcl.errors import InputError
from dvcl.losses.pseudo_labels import hard_labels, largest_components
from dvcl.methods.bcp import BCP


def known_of(method: BCP, pairs: int = 4, side: int = 16) -> torch.Tensor:
    return method._draw_known(torch.Size([pairs, side, side, side]))


def test_boxes_go_in_both_directions_by_turns(build_method):
    method, firsts = build_method("bcp"), set()
    for _ in range(20):
        share = known_of(method).float().mean((1, 2, 3))
        inside = 10**3 / 16**3  # 2/3 of 16 is 10
        expected = torch.tensor([inside, 1 - inside] * 2)
        is_first = torch.allclose(share, expected)
        assert is_first or torch.allclose(share, expected.flip(0))
        firsts.add(is_first)
    assert firsts == {True, False}, "with a single pair, both directions occur"


def test_the_student_sees_pasted_patches_and_pasted_labels(build_method, make_batch, monkeypatch):
    method, batch = build_method("bcp", weight=0.25, largest_component=False), make_batch()
    state = method.random.get_state()
    known = method._draw_known(batch.labels.shape)
    method.random.set_state(state)
    seen = []
    run = method.run

    def watched(network, images):
        seen.append(images)
        return run(network, images)

    monkeypatch.setattr(method, "run", watched)
    terms = method.losses(batch, 0.5)
    teacher_saw, student_saw = seen
    assert torch.equal(teacher_saw, batch.unlabelled)
    for pair in range(2):
        inside, outside = known[pair], ~known[pair]
        assert torch.equal(student_saw[pair, 0][inside], batch.labelled[pair, 0][inside])
        assert torch.equal(student_saw[pair, 0][outside], batch.unlabelled[pair, 0][outside])
    # The formula, voxel by voxel, in float64.
    logs = run(method.network, student_saw).logits.double().log_softmax(1)
    pseudo = hard_labels(run(method.teacher.network, batch.unlabelled).logits)
    for name, labels, voxels, weight in (
        ("supervised", batch.labels, known, 1.0), ("pseudo_labels", pseudo, ~known, 0.25),
    ):  # fmt: skip
        chosen = [tuple(place) for place in voxels.nonzero().tolist()]
        rows = torch.stack([logs[b, :, d, h, w] for b, d, h, w in chosen])
        classes = torch.stack([labels[place] for place in chosen])
        entropy = -sum(row[k] for row, k in zip(rows, classes, strict=True)) / len(chosen)
        dice = []
        for k in range(3):
            p, y = rows[:, k].exp(), (classes == k).double()
            dice.append(1 - (2 * (p * y).sum() + 1e-5) / ((p * p).sum() + (y * y).sum() + 1e-5))
        expected = weight * (sum(dice) / 3 + entropy) / 2
        torch.testing.assert_close(terms[name].double(), expected, rtol=1e-5, atol=1e-6)


def test_uneven_halves_make_as_many_pairs_as_both_have(build_method, make_batch):
    for labelled, unlabelled in ((1, 3), (3, 1), (1, 1)):
        terms = build_method("bcp").losses(make_batch(0, labelled, unlabelled), 0.5)
        assert all(term.isfinite() for term in terms.values())


def test_the_teacher_labels_without_dropout(build_method, make_batch):
    method, batch = build_method("bcp", dropout=0.5), make_batch()
    method.train()
    first = method._pseudo_labels(batch.unlabelled)
    assert torch.equal(first, method._pseudo_labels(batch.unlabelled))
    assert method.teacher.training


def test_only_the_largest_component_of_an_organ_stays():
    labels = torch.zeros(2, 8, 8, 8, dtype=torch.int64)
    labels[0, 0, 0, :3] = 1
    labels[0, 1, 1, 3] = 1  # touches the third voxel by a corner
    labels[0, 6, 6, 6] = 1
    labels[0, 4:6, 4:6, 0] = 2
    labels[1, 7, 7, 7] = 1
    kept = largest_components(labels, 3)
    labels[0, 6, 6, 6] = 0
    assert torch.equal(kept, labels)


def test_largest_components_are_those_of_scikit_image():
    measure = pytest.importorskip("skimage.measure")
    random = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 6, (3, 12, 10, 9), generator=random).clamp_min(2) - 2
    kept = largest_components(labels, 4)
    for patch, found in zip(labels.numpy(), kept.numpy(), strict=True):
        for organ in (1, 2, 3):
            parts = measure.label(patch == organ, connectivity=3)
            sizes = sorted(region.area for region in measure.regionprops(parts))
            assert (found == organ).sum() == sizes[-1]
            assert ((found == organ) <= (patch == organ)).all()


@pytest.mark.parametrize("wrong", [{"box": 1.0}, {"box": 0.0}, {"decay": 1.5}, {"weight": -1.0}])
def test_settings_without_sense_are_refused(wrong, build_method):
    with pytest.raises(InputError, match=next(iter(wrong))):
        build_method("bcp", **wrong)
