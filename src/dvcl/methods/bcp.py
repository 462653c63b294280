"""Bidirectional copy-paste: labelled and unlabelled patches pasted into each other."""

from __future__ import annotations

import torch
from torch import Tensor

from dvcl.losses.pseudo_labels import hard_labels, largest_components
from dvcl.methods.cutmix import place_boxes
from dvcl.methods.method import MakeNetwork, Method, Terms
from dvcl.methods.parts import check_at_least, check_at_most
from dvcl.methods.teacher import Teacher
from dvcl.networks.heads import gather_voxels
from dvcl.sampling.batch import Batch


class BCP(Method):
    """Labelled and unlabelled patches pasted into each other (Bai et al., CVPR 2023).

    https://arxiv.org/abs/2305.00673. Not among the paper's methods: its pseudo-labelled half costs
    a teacher's pass and no more, as the student sees as many patches as supervised training does.
    A box of 2/3 of each side is cut out of a labelled patch and put into an unlabelled one, or the
    other way round; labels and the teacher's hard labels are pasted in the same way. Predicts with
    the student, which that code tests.

    Both directions alternate over the pairs of a batch, the first one drawn, where the original
    takes half of a batch for each. A supervised start is `training.unlabelled_from`, on plain
    patches, where the original pastes labelled ones into each other. The supervised loss takes the
    voxels with labels, and the pseudo-labelled term the others, each as one set over the batch.

    Args:
        make_network: See `Method`.
        classes: See `Method`.
        weight: alpha, of the voxels with pseudo-labels.
        decay: Of the teacher, a moving average of the student.
        box: beta, the box's sides as a share of the patch's.
        largest_component: Keep only the largest connected component of every organ in the
            pseudo-labels of a patch, as the original does.
    """

    learns_by = "hard labels of a moving average, on patches pasted into labelled ones"
    extra_cost = "one pass of the average on unlabelled patches"

    def __init__(
        self,
        make_network: MakeNetwork,
        classes: int,
        *,
        weight: float = 0.5,
        decay: float = 0.99,
        box: float = 2 / 3,
        largest_component: bool = True,
    ) -> None:
        super().__init__(make_network, classes)
        check_at_least(0, weight=weight, decay=decay)
        check_at_most(1, decay=decay)
        check_at_least(0.1, box=box)
        check_at_most(0.95, box=box)
        self.weight, self.box, self.largest_component = weight, box, largest_component
        self.network = make_network("kaiming")
        self.teacher = Teacher(self.network, decay)

    def losses(self, batch: Batch, progress: float) -> Terms:
        """Eq. 6-8: the loss of labelled voxels, and ``weight`` times that of pseudo-labelled ones.

        As many pairs are made as the smaller half of the batch has patches.
        """
        pairs = min(len(batch.labelled), len(batch.unlabelled))
        unlabelled, labels = batch.unlabelled[:pairs], batch.labels[:pairs]
        known = self._draw_known(labels.shape)
        images = torch.where(known.unsqueeze(1), batch.labelled[:pairs], unlabelled)
        pseudo_labels = self._pseudo_labels(unlabelled)
        logs = self.run(self.network, images).logits.log_softmax(1)
        return {
            "supervised": self._loss_of(logs, labels, known),
            "pseudo_labels": self.weight * self._loss_of(logs, pseudo_labels, ~known),
        }

    def _draw_known(self, shape: torch.Size) -> Tensor:
        """Where each pair shows its labelled patch, (B, D, H, W) bool: in a box, or around it."""
        sizes = torch.tensor(shape[1:], device=self.random.device)
        sides = (self.box * sizes).floor().clamp_min(1).expand(shape[0], 3)
        boxes = place_boxes(sides, shape[1:], self.random)
        first = torch.randint(2, (), generator=self.random, device=sizes.device)
        outward = (torch.arange(shape[0], device=sizes.device) + first) % 2 == 1
        return boxes ^ outward.view(-1, 1, 1, 1)

    @torch.no_grad()
    def _pseudo_labels(self, images: Tensor) -> Tensor:
        with self.teacher.without_dropout() as teacher:
            labels = hard_labels(self.run(teacher, images).logits)
        return largest_components(labels, self.classes) if self.largest_component else labels

    def _loss_of(self, logs: Tensor, labels: Tensor, voxels: Tensor) -> Tensor:
        """The supervised loss of some voxels, which needs no neighbours."""
        chosen = voxels.flatten().nonzero().squeeze(1)
        rows, classes = gather_voxels(logs, chosen), labels.flatten()[chosen]
        return self.supervised_loss(rows.T[None, ..., None, None], classes[None, :, None, None])

    def after_step(self) -> None:
        """The teacher follows."""
        self.teacher.follow(self.network)

    def predict(self, images: Tensor) -> Tensor:
        """Softmax of the student."""
        return self.run(self.network, images).logits.softmax(1)
