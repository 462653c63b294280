"""Training methods by name."""

from dvcl.methods.bacon import BaCon
from dvcl.methods.bcp import BCP
from dvcl.methods.ccl import CCL
from dvcl.methods.cld import CLD
from dvcl.methods.cps import CPS
from dvcl.methods.dan import DAN
from dvcl.methods.dhc import DHC
from dvcl.methods.dtc import DTC
from dvcl.methods.dvcl import DVCL
from dvcl.methods.magicnet import MagicNet
from dvcl.methods.mean_teacher import MeanTeacher
from dvcl.methods.method import Method
from dvcl.methods.sassnet import SASSNet
from dvcl.methods.supervised import Supervised
from dvcl.methods.supervised_pair import SupervisedPair
from dvcl.methods.u2pl import U2PL
from dvcl.methods.ua_mt import UAMT
from dvcl.methods.ugpcl import UGPCL

METHODS: dict[str, type[Method]] = {
    "supervised": Supervised,
    "supervised_pair": SupervisedPair,
    "dan": DAN,
    "mean_teacher": MeanTeacher,
    "ua_mt": UAMT,
    "sassnet": SASSNet,
    "dtc": DTC,
    "cps": CPS,
    "cld": CLD,
    "dhc": DHC,
    "magicnet": MagicNet,
    "ugpcl": UGPCL,
    "u2pl": U2PL,
    "bacon": BaCon,
    "ccl": CCL,
    "dvcl": DVCL,
    "bcp": BCP,
}

# What the others are held against.
BASELINE = "supervised"


def baselines(method: str) -> list[str]:
    """What a method is worth is held against: one network, and as many as it trains itself."""
    return list(dict.fromkeys([METHODS[method].control, BASELINE]))
