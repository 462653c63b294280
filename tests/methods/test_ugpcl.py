"""UGPCL: rotation, agreement, certain organs, anchors, queue; every term against its formula."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from dvcl.errors import InputError
from dvcl.losses.supervised import SupervisedLoss
from dvcl.losses.supervised_contrast import supervised_contrast
from dvcl.methods import METHODS
from dvcl.methods.organ_contrast import OrganContrast
from dvcl.sampling.batch import Batch


@pytest.fixture
def contrast() -> OrganContrast:
    torch.manual_seed(0)
    return OrganContrast(4, 5, 6, anchors=4, queue_size=3, temperature=0.07)


def maps_and_organs(seed: int = 0, organs: int = 4):
    random = torch.Generator().manual_seed(seed)
    maps = torch.randn(2, 5, 4, 4, 4, generator=random)
    return (
        maps,
        torch.randint(organs, (2, 4, 4, 4), generator=random),
        torch.rand(2, 4, 4, 4, generator=random) < 0.3,
    )


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def means_by_loop(contrast, maps, organs) -> dict[int, list[torch.Tensor]]:
    means: dict[int, list[torch.Tensor]] = {1: [], 2: [], 3: []}
    for b in range(len(maps)):
        for c in means:
            rows = [
                F.normalize(contrast.head(maps[b, :, d, h, w]), dim=0)
                for d, h, w in np.ndindex(*organs.shape[1:])
                if organs[b, d, h, w] == c
            ]
            if rows:
                means[c].append(F.normalize(torch.stack(rows).mean(0), dim=0).detach())
    return means


def test_queues_hold_the_mean_feature_of_every_patch_and_organ(contrast):
    maps, organs, wrong = maps_and_organs()
    organs[1][organs[1] == 3] = 0  # patch 1 lacks organ 3
    contrast(maps, organs, wrong, generator())
    expected = means_by_loop(contrast, maps, organs)
    assert [len(rows) for rows in expected.values()] == [2, 2, 1]
    for queue, rows in zip(contrast.queues, expected.values(), strict=True):
        torch.testing.assert_close(queue.content(), torch.stack(rows))
        assert not queue.content().requires_grad
    for seed in (1, 2):
        contrast(*maps_and_organs(seed), generator())
    assert [len(queue.content()) for queue in contrast.queues] == [3, 3, 3]


def test_the_loss_is_that_of_the_drawn_anchors(contrast):
    maps, organs, wrong = maps_and_organs()
    found = contrast(maps, organs, wrong, generator(5))
    voxels = contrast._draw_anchors(organs, wrong, generator(5))
    classes = organs.flatten()[voxels]
    rows = F.normalize(contrast.head(maps.movedim(1, -1).reshape(-1, 5)[voxels]), dim=1)
    means = means_by_loop(contrast, maps, organs)
    memories = torch.cat([torch.stack(kept) for kept in means.values()])
    names = torch.tensor([c for c, kept in means.items() for _ in kept])
    expected = supervised_contrast(rows, classes, memories, names, 0.07).mean()
    torch.testing.assert_close(found, expected)


def test_half_of_the_anchors_are_hard_and_one_kind_makes_up_for_the_other(contrast):
    organs = torch.zeros(2, 4, 4, 4, dtype=torch.int64)
    wrong = torch.zeros_like(organs, dtype=torch.bool)
    organs[0, 0] = 1  # 16 voxels, 8 of them hard
    wrong[0, 0, :2] = True
    organs[0, 1] = 2  # 16 voxels, 1 hard
    wrong[0, 1, 0, 0] = True
    organs[1, 0] = 3  # all hard
    wrong[1, 0] = True
    organs[1, 2, 0, :3] = 1  # 3 voxels, 1 hard
    wrong[1, 2, 0, 0] = True
    voxels = contrast._draw_anchors(organs, wrong, generator())
    classes = organs.flatten()[voxels]
    assert len(voxels.unique()) == len(voxels)
    hard = wrong.flatten()[voxels]
    patch = voxels // 64
    found = {
        (b, c): (int((~hard[(patch == b) & (classes == c)]).sum()),
                 int(hard[(patch == b) & (classes == c)].sum()))
        for b, c in ((0, 1), (0, 2), (1, 3), (1, 1))
    }  # fmt: skip
    assert found == {(0, 1): (2, 2), (0, 2): (3, 1), (1, 3): (0, 4), (1, 1): (2, 1)}
    assert len(voxels) == 15


def test_a_single_anchor_is_hard_every_second_time(contrast):
    contrast.anchors = 1
    organs = torch.ones(1, 4, 4, 4, dtype=torch.int64)
    wrong = torch.zeros_like(organs, dtype=torch.bool)
    wrong[0, 0] = True
    random, hard = generator(), 0
    for _ in range(200):
        voxels = contrast._draw_anchors(organs, wrong, random)
        assert len(voxels) == 1
        hard += int(wrong.flatten()[voxels])
    assert 70 < hard < 130


def test_without_organs_the_contrast_is_0_and_finite(contrast):
    maps, organs, wrong = maps_and_organs(organs=1)
    maps.requires_grad_()
    loss = contrast(maps, organs, wrong, generator())
    loss.backward()
    assert loss.item() == 0
    assert all(len(queue.content()) == 0 for queue in contrast.queues)


def test_certain_organs(build_method):
    method = build_method("ugpcl", levels=3)
    assert method.level == 2
    random = generator()
    logs = [(3 * torch.randn(4, 3, 8, 8, 8, generator=random)).log_softmax(1) for _ in range(2)]
    labels = torch.randint(3, (2, 8, 8, 8), generator=random)
    limit = 0.5 * math.log(3)
    organs, wrong = method._certain_organs(logs, labels, limit)
    assert organs.shape == wrong.shape == (4, 2, 2, 2)
    uncertain = 0
    for b, d, h, w in np.ndindex(4, 2, 2, 2):
        place = (4 * d, 4 * h, 4 * w)
        p, q = (log[(b, slice(None), *place)].double().exp().numpy() for log in logs)
        mean = (p + q) / 2
        entropy = -(mean * np.log(mean)).sum()
        expected = labels[(b, *place)].item() if b < 2 else int(mean.argmax())
        if b >= 2 and entropy > limit:
            uncertain += 1
            expected = 0
        assert organs[b, d, h, w] == expected
        assert wrong[b, d, h, w] == (p.argmax() != expected)
    assert 3 <= uncertain <= 13


def test_all_terms_equal_the_formulas(build_method, make_batch):
    method, batch = build_method("ugpcl"), make_batch(side=8)
    method.random.manual_seed(4)
    terms = method.losses(batch, 0.5)
    random, queues = generator(4), method.organ_contrast.queues
    turns = torch.randint(4, (4,), generator=random)
    images = torch.stack(
        [image.rot90(int(turn), (-2, -1)) for image, turn in zip(batch.images, turns, strict=True)]
    )
    labels = torch.stack(
        [label.rot90(int(turn), (-2, -1)) for label, turn in zip(batch.labels, turns, strict=False)]
    )
    first, second, levels = method.networks(images)
    logs = [logits.log_softmax(1) for logits in (first, second)]
    supervised = [SupervisedLoss()(log[:2], labels) for log in logs]
    torch.testing.assert_close(terms["supervised"], supervised[0] + 0.4 * supervised[1])

    ramp = math.exp(-1.25)
    p, q = (log[2:].detach().double().exp().numpy() for log in logs)
    squares = [(p[index] - q[index]) ** 2 for index in np.ndindex(*p.shape)]
    expected = 0.01 * ramp * sum(squares) / len(squares)
    assert terms["consistency"].item() == pytest.approx(expected, rel=1e-4)

    pooled = levels[-1].mean((2, 3, 4))
    guesses = (pooled @ method.rotation_head.weight.T + method.rotation_head.bias).log_softmax(1)
    expected = -sum(guesses[b, turns[b]] for b in range(4)).item() / 4
    assert terms["rotation"].item() == pytest.approx(0.1 * expected, rel=1e-4)

    limit = (0.75 + 0.25 * ramp) * math.log(3)
    for queue in queues:
        queue.filled.zero_()
        queue.cursor.zero_()
    organs, wrong = method._certain_organs(logs, labels, limit)
    expected = method.organ_contrast(levels[1], organs, wrong, random)
    torch.testing.assert_close(terms["contrast"], 0.1 * expected)


def test_labels_turn_with_their_images(build_method, make_batch):
    seen = []
    method, batch = build_method("ugpcl"), make_batch(side=8)
    method.networks.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    # The image is its label: whatever the turns, the supervised loss cannot tell.
    images = batch.labels.unsqueeze(1).float()
    batch = Batch(images, batch.labels, batch.unlabelled, batch.case_ids, batch.distance_maps)
    original = method._certain_organs
    found = []
    method._certain_organs = lambda logs, labels, limit: (
        found.append(labels) or original(logs, labels, limit)
    )
    turned = False
    for _ in range(5):
        method.losses(batch, 0.5)
        assert torch.equal(seen[-1][:2, 0], found[-1].float())
        turned |= not torch.equal(found[-1], batch.labels)
    assert turned


def test_only_half_turns_fit_where_height_and_width_differ(build_method, make_batch):
    method, batch = build_method("ugpcl"), make_batch(side=8)
    batch = Batch(batch.labelled[..., :4], batch.labels[..., :4], batch.unlabelled[..., :4],
                  batch.case_ids)  # fmt: skip
    drawn = torch.cat([method._draw_turns(batch) for _ in range(20)])
    assert drawn.unique().tolist() == [0, 2]
    assert method.losses(batch, 0.5)["rotation"].isfinite()
    square = make_batch(side=8)
    drawn = torch.cat([method._draw_turns(square) for _ in range(20)])
    assert drawn.unique().tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("settings", "progress", "expected"),
    [
        ({}, 0.049, ["supervised", "consistency", "rotation"]),
        ({}, 0.05, ["supervised", "consistency", "rotation", "contrast"]),
        ({"rotation": 0.0}, 0.05, ["supervised", "consistency", "contrast"]),
        ({"contrast": 0.0}, 0.5, ["supervised", "consistency", "rotation"]),
    ],
)
def test_which_terms_take_part(settings, progress, expected, build_method, make_batch):
    method = build_method("ugpcl", **settings)
    assert list(method.losses(make_batch(side=8), progress)) == expected


def test_the_contrast_trains_the_encoder_and_its_head_alone(build_method, make_batch):
    method = build_method("ugpcl", levels=3)
    method.losses(make_batch(side=8), 0.5)["contrast"].backward()
    moved = {
        name.split(".", 3)[:3][-1] if name.startswith("networks.network") else name.split(".")[0]
        for name, weight in method.named_parameters()
        if weight.grad is not None
    }
    assert moved == {"encoder", "organ_contrast"}


def test_it_predicts_with_the_first_decoder(build_method, make_batch):
    method, images = build_method("ugpcl").eval(), make_batch(side=8).images
    expected = method.networks(images).first.softmax(1)
    torch.testing.assert_close(method.predict(images), expected)


@pytest.mark.parametrize(
    "setting",
    [
        {"anchors": 0},
        {"temperature": 0.0},
        {"queue_size": 0},
        {"rotation": -1.0},
        {"certainty": 1.1},
    ],
)
def test_settings_without_sense_are_refused_at_the_start(setting):
    with pytest.raises(InputError, match=next(iter(setting))):
        METHODS["ugpcl"](lambda scheme: pytest.fail("no network is built"), 3, **setting)


def test_one_organ_has_nothing_to_contrast_with():
    with pytest.raises(InputError, match="method.contrast"):
        METHODS["ugpcl"](lambda scheme: pytest.fail("no network is built"), 2)
