"""The command `hearth`, also `python -m hearth`.

Each module holds the commands of one subject and adds them to the application by its function `register`.
"""

from hearth.cli.app import main

__all__ = ["main"]
