"""MagicNet: a mean teacher with patches cut into cubes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dvcl.errors import InputError
from dvcl.losses.class_sums import counts_per_class
from dvcl.losses.pseudo_labels import hard_labels
from dvcl.losses.ramps import sigmoid_ramp
from dvcl.losses.supervised import dice_loss
from dvcl.methods.cubes import draw_orders, mix, partition, recover, unmix
from dvcl.methods.location import LocationHead, coarsest_maps
from dvcl.methods.method import MakeNetwork, Method, Terms
from dvcl.methods.parts import check_at_least, check_at_most
from dvcl.methods.teacher import Teacher
from dvcl.methods.views import noisy
from dvcl.sampling.batch import Batch


class MagicNet(Method):
    """Magic-cube partition and recovery (Chen et al., CVPR 2023).

    https://arxiv.org/abs/2212.14310. Patches are cut into cubes. Across images: cubes are exchanged
    between labelled and unlabelled patches within their cell, segmented, and given back. Within an
    image: every cube is segmented alone, and its cell is told from its coarsest features. A
    moving-average teacher labels the unlabelled patches; where its class is frequent, the labels
    lean on the cubes' own prediction. Predicts with the student.

    Deviations from the official code. Cubes return to their own cells, where it misplaces 18 of 27.
    Any grid serves, where it takes the first axis for all three. Predictions are recovered instead
    of feature maps, which makes no difference to a classifier of single voxels. All cubes share one
    batch normalisation in the location head, whose surplus outputs are cut off. Counts replace the
    stored labels of 20 steps; until the first 20 are over, the teacher speaks alone. Dice and ramp
    are those of all methods here. The official network has no dropout: here the teacher labels
    without it, and the student, whose cubes are also learnt from, keeps it. Kept as it is there:
    the weight of the cubes in the pseudo-labels grows with a class's frequency, nearly 1 on the
    background and nearly 0 on small organs, and their prediction is the student's.

    Args:
        make_network: See `Method`.
        classes: See `Method`.
        cube: Voxels of a cube along (D, H, W); divides the patch. Patches of 32 need 16.
        consistency: Largest weight of the pseudo-labels, reached at the end.
        location: Weight of telling the cells.
        decay: Of the teacher's moving average.
        blend_after: Steps until the cubes' own prediction enters the pseudo-labels.
        refresh: Steps over which pseudo-labels are counted for the class frequencies.
        hidden: Width of the location head.
        cells: Most cubes of a patch that the location head can tell apart.
        noise: Standard deviation of the noise in the teacher's images.
        noise_limit: Largest absolute value of the noise.
    """

    learns_by = (
        "pseudo-labels of patches whose cubes are mixed across scans; telling where a cube was"
    )
    supervised_extra = "its mixed cubes"
    extra_cost = (
        "labelled patches seen three times, unlabelled ones twice and once more by the average"
    )
    counts: Tensor
    frequency: Tensor

    def __init__(
        self,
        make_network: MakeNetwork,
        classes: int,
        *,
        cube: tuple[int, int, int] = (32, 32, 32),
        consistency: float = 0.1,
        location: float = 0.1,
        decay: float = 0.99,
        blend_after: int = 100,
        refresh: int = 20,
        hidden: int = 4096,
        cells: int = 64,
        noise: float = 0.1,
        noise_limit: float = 0.2,
    ) -> None:
        super().__init__(make_network, classes)
        check_at_least(0, consistency=consistency, location=location, decay=decay,
                       blend_after=blend_after, noise=noise, noise_limit=noise_limit)  # fmt: skip
        check_at_least(1, refresh=refresh, hidden=hidden, depth=cube[0], height=cube[1],
                       width=cube[2])  # fmt: skip
        check_at_least(2, cells=cells)
        check_at_most(1, decay=decay)
        self.cube, self.cells = cube, cells
        self.consistency, self.location = consistency, location
        self.blend_after, self.refresh = blend_after, refresh
        self.noise, self.noise_limit = noise, noise_limit
        self.student = make_network("kaiming")
        self.teacher = Teacher(self.student, decay)
        self.location_head = LocationHead(self._coarsest_size(), hidden, cells)
        self.register_buffer("counts", torch.zeros(classes, dtype=torch.int64))
        self.register_buffer("frequency", torch.zeros(classes))

    @torch.no_grad()
    def _coarsest_size(self) -> int:
        """Numbers that describe one cube at the network's coarsest level."""
        stride = self.student.stride
        if any(side % stride for side in self.cube) or math.prod(self.cube) <= stride**3:
            raise InputError(
                f"methods.magicnet.cube: {self.cube} found; each side must be a multiple of "
                f"{stride}, and one side longer, for a network of this depth."
            )
        with coarsest_maps(self.student) as maps:
            self.student(torch.zeros(2, 1, *self.cube))
        return maps[0][0].numel()

    def check_patch(self, patch: tuple[int, int, int]) -> None:
        """Refuse a patch that cubes do not fill, or too few or too many of them."""
        found = math.prod(patch) // math.prod(self.cube)
        divides = not any(side % length for side, length in zip(patch, self.cube, strict=True))
        if not divides or not 2 <= found <= self.cells:
            half = [side // 2 for side in patch]
            raise InputError(
                f"sampling.patch: {patch} found for cubes of {self.cube} voxels. 2 to {self.cells} "
                f"cubes must fill it exactly; set methods.magicnet.cube, for example to {half}."
            )

    def losses(self, batch: Batch, progress: float) -> Terms:
        """Supervision of whole, mixed and single cubes; location; consistency of mixed cubes."""
        images, labels = batch.images, batch.labels
        depth, height, width = images.shape[2:]
        sides = (depth, height, width)
        self.check_patch(sides)
        sizes = [len(batch.labelled), len(batch.unlabelled)]
        cubes = partition(images, self.cube)
        count, cells = cubes.shape[:2]
        orders = draw_orders(count, cells, self.random)
        labelled_cubes, unlabelled_cubes = cubes.split(sizes)

        whole = self.run(self.student, batch.labelled).logits.log_softmax(1)
        mixed = self.run(self.student, recover(mix(cubes, orders), sides)).logits.softmax(1)
        unmixed = recover(unmix(partition(mixed, self.cube), orders), sides)
        unmixed_labelled, unmixed_unlabelled = unmixed.split(sizes)
        with coarsest_maps(self.student) as maps:
            # Of unlabelled cubes only the encoder is trained; let go of their decoder at once.
            alone_unlabelled = recover(self._cubewise(unlabelled_cubes).detach(), sides)
            alone_labelled = recover(self._cubewise(labelled_cubes), sides)
        pseudo_labels = self._pseudo_labels(batch.unlabelled, alone_unlabelled)
        cubewise = dice_loss(alone_labelled.softmax(1), labels)
        recovered = dice_loss(unmixed_labelled, labels)
        taught = dice_loss(unmixed_unlabelled, pseudo_labels)
        return {
            "supervised": (2 * self.supervised_loss(whole, labels) + recovered + cubewise) / 4,
            "location": self.location * self.location_head(torch.cat(maps), cells),
            "consistency": self.consistency * sigmoid_ramp(progress) * taught,
        }

    def _cubewise(self, cubes: Tensor) -> Tensor:
        """Logits (B, N, K, d, h, w) of cubes that the student sees one by one."""
        logits = self.run(self.student, cubes.flatten(0, 1)).logits
        return logits.unflatten(0, cubes.shape[:2])

    @torch.no_grad()
    def _pseudo_labels(self, images: Tensor, cubewise: Tensor) -> Tensor:
        """The teacher's labels of noisy patches, blended with the cubes' own prediction."""
        noised = noisy(images, self.random, self.noise, self.noise_limit)
        with self.teacher.without_dropout() as teacher:
            logits = self.run(teacher, noised).logits
        step = int(self.teacher.steps)
        if step >= self.blend_after:
            relative = self.frequency / self.frequency.max().clamp(min=1)
            logits = logits.lerp(cubewise, relative[hard_labels(logits)].unsqueeze(1))
        labels = hard_labels(logits)
        self.counts += counts_per_class(labels, self.classes)
        if (step + 1) % self.refresh == 0:
            self.frequency.copy_(self.counts)
            self.counts.zero_()
        return labels

    def after_step(self) -> None:
        """Move the teacher."""
        self.teacher.follow(self.student)

    def predict(self, images: Tensor) -> Tensor:
        """Softmax of the student."""
        return self.run(self.student, images).logits.softmax(1)
