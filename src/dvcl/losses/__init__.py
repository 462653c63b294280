"""Pure functions, each one equation of a paper; no state, no randomness of their own.

Those of DVCL are `dvcl.losses.distance_aware` and so on; all others lie in their own files.
"""

from dvcl.losses.contrastive import distance_aware, prototype_contrast
from dvcl.losses.cross_supervision import cross_supervision
from dvcl.losses.entropy import pseudo_label_weights, select_reliable, voxel_entropy
from dvcl.losses.neighbour_divergence import kl_contrast
from dvcl.losses.neighbours import find_neighbours
from dvcl.losses.ramps import sigmoid_ramp
from dvcl.losses.supervised import dice_loss
from dvcl.losses.voxel_sampling import sample_mask, sample_per_class

__all__ = [
    "cross_supervision",
    "dice_loss",
    "distance_aware",
    "find_neighbours",
    "kl_contrast",
    "prototype_contrast",
    "pseudo_label_weights",
    "sample_mask",
    "sample_per_class",
    "select_reliable",
    "sigmoid_ramp",
    "voxel_entropy",
]
