"""U2PL's contrast: who is anchor, centre and negative, and the loss, against loops."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from dvcl.methods.negative_contrast import NegativeContrast

CLASSES, ALL = 4, 10_000


class Scene:
    """Two labelled and two unlabelled patches with features of student and teacher."""

    def __init__(self, classes: int = CLASSES, seed: int = 0) -> None:
        random = torch.Generator().manual_seed(seed)
        shape = (4, 3, 3, 4)

        def draw(channels):
            return torch.randn(4, channels, *shape[1:], generator=random)

        self.log = (1.5 * draw(classes)).log_softmax(1)
        self.student, self.teacher = draw(5).requires_grad_(), draw(5)
        # Two in three agree with the teacher.
        right = torch.rand(shape, generator=random) < 0.67
        others = torch.randint(classes, shape, generator=random)
        self.labels = torch.where(right, self.log.argmax(1), others)
        self.certain = torch.rand(2, *shape[1:], generator=random) < 0.4
        self.uncertain = ~self.certain & (torch.rand(2, *shape[1:], generator=random) < 0.6)

    def rows(self, maps):
        flat = maps.movedim(1, -1).flatten(0, -2)
        return lambda voxels: flat[voxels]

    def loss(self, contrast, seed: int = 0):
        return contrast(
            self.rows(self.student), self.rows(self.teacher), self.log, self.labels,
            self.certain, self.uncertain, torch.Generator().manual_seed(seed),
        )  # fmt: skip

    def voxels(self):
        """Place, class, p and, for each class, its rank among the teacher's probabilities."""
        for b, d, h, w in np.ndindex(*self.labels.shape):
            p = self.log[b, :, d, h, w].exp().tolist()
            order = sorted(range(len(p)), key=lambda c: -p[c])
            ranks = [order.index(c) for c in range(len(p))]
            yield (b, d, h, w), self.labels[b, d, h, w].item(), p, ranks

    def negatives(self, c: int, probable: int) -> list[torch.Tensor]:
        found = []
        for (b, d, h, w), label, _, ranks in self.voxels():
            if b < 2:
                wanted = label != c and ranks[c] < probable
            else:
                wanted = self.uncertain[b - 2, d, h, w] and ranks[c] >= probable
            if wanted:
                found.append(F.normalize(self.teacher[b, :, d, h, w], dim=0))
        return found

    def anchors(self, c: int, confidence: float):
        """Features of the student's anchors and of the teacher's centre."""
        mine, theirs = [], []
        for (b, d, h, w), label, p, _ in self.voxels():
            if label == c and (b < 2 or self.certain[b - 2, d, h, w]):
                theirs.append(self.teacher[b, :, d, h, w])
                if p[c] > confidence:
                    mine.append(self.student[b, :, d, h, w])
        return mine, theirs


def build(**settings) -> NegativeContrast:
    chosen = {
        "classes": CLASSES, "dimension": 5, "probable": 2, "confidence": 0.3, "anchors": ALL,
        "negatives": 6, "keys": ALL, "bank_size": ALL, "temperature": 0.5,
    }  # fmt: skip
    return NegativeContrast(**chosen | settings)


def sorted_rows(rows: torch.Tensor) -> torch.Tensor:
    return rows[rows[:, 0].argsort()]


@pytest.mark.parametrize("probable", [1, 2, 3])
def test_banks_hold_the_negatives_of_the_paper(probable):
    contrast, scene = build(probable=probable), Scene()
    scene.loss(contrast)
    for c, bank in enumerate(contrast.banks):
        expected = torch.stack(scene.negatives(c, probable))
        torch.testing.assert_close(sorted_rows(bank.content()), sorted_rows(expected))
        assert len(expected) > 10


def test_the_loss_equals_the_loop():
    contrast, scene = build(), Scene()
    found = scene.loss(contrast, seed=7)
    # Nothing is left out, so that only the drawn negatives are random.
    random, means = torch.Generator().manual_seed(7), []
    for c, bank in enumerate(contrast.banks):
        mine, theirs = scene.anchors(c, 0.3)
        kept = bank.content()
        drawn = torch.randint(len(kept), (len(mine), 6), generator=random)
        centre = torch.stack(theirs).double().mean(0)
        losses = []
        for anchor, chosen in zip(mine, drawn, strict=True):

            def score(other, anchor=anchor):
                return math.exp(F.cosine_similarity(anchor.double(), other, dim=0).item() / 0.5)

            positive = score(centre)
            others = sum(score(kept[index].double()) for index in chosen)
            losses.append(-math.log(positive / (positive + others)))
        means.append(sum(losses) / len(losses))
    assert found.item() == pytest.approx(sum(means) / CLASSES, rel=1e-5)


def test_only_anchors_of_the_student_get_a_gradient():
    contrast, scene = build(), Scene()
    scene.teacher.requires_grad_()
    scene.loss(contrast).backward()
    moved = scene.student.grad.abs().sum(1) > 0
    for (b, d, h, w), label, p, _ in scene.voxels():
        sure = b < 2 or bool(scene.certain[b - 2, d, h, w])
        assert moved[b, d, h, w] == (sure and p[label] > 0.3)


def test_a_missing_class_is_skipped_and_the_others_keep_their_banks():
    """The official code then mixes the classes up."""
    contrast, scene = build(), Scene()
    scene.labels[scene.labels == 1] = 0
    scene.log[:, 2] = -30.0
    scene.log = scene.log.log_softmax(1)
    loss = scene.loss(contrast, seed=3)
    assert loss.isfinite()
    random, means = torch.Generator().manual_seed(3), []
    for c in (0, 3):  # 1 has no voxel, 2 no probability
        mine, theirs = scene.anchors(c, 0.3)
        kept = contrast.banks[c].content()
        drawn = torch.randint(len(kept), (len(mine), 6), generator=random)
        anchors = F.normalize(torch.stack(mine), dim=1)
        positive = anchors @ F.normalize(torch.stack(theirs).mean(0), dim=0)
        negative = (anchors.unsqueeze(1) * kept[drawn]).sum(2)
        scores = torch.cat([positive.unsqueeze(1), negative], dim=1) / 0.5
        means.append(F.cross_entropy(scores, torch.zeros(len(mine), dtype=torch.int64)))
    torch.testing.assert_close(loss, torch.stack(means).mean())


def test_nobody_at_all_is_0_and_finite():
    contrast, scene = build(confidence=1.0), Scene()
    loss = scene.loss(contrast)
    loss.backward()
    assert loss.item() == 0
    contrast, scene = build(), Scene()
    scene.certain[:], scene.uncertain[:] = False, False
    assert scene.loss(contrast).isfinite()


def test_numbers_of_anchors_keys_and_memories():
    contrast, scene = build(anchors=3, keys=5, bank_size=7), Scene()
    scene.loss(contrast).backward()
    moved = scene.student.grad.abs().sum(1) > 0
    assert scene.labels[moved].bincount(minlength=CLASSES).tolist() == [3, 3, 3, 3]
    assert max(len(bank.content()) for bank in contrast.banks) <= 7
    scene.loss(contrast)
    assert [len(bank.content()) for bank in contrast.banks] == [7, 7, 7, 7]
