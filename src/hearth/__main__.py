"""`python -m hearth` is the command `hearth`."""

from hearth.cli import main

main()
