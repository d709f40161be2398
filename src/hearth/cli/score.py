"""Files of records: `hearth score`."""

import typer


def register(app: typer.Typer) -> None:
    pass
