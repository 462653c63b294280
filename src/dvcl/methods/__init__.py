"""Training methods by name."""

from dvcl.methods.cps import CPS
from dvcl.methods.dvcl import DVCL
from dvcl.methods.method import Method
from dvcl.methods.supervised import Supervised

METHODS: dict[str, type[Method]] = {"supervised": Supervised, "cps": CPS, "dvcl": DVCL}
