"""`python -m dvcl.cli`, the same as `dvcl`."""

from dvcl.cli import main

main()
