"""`hearth data contract`: the draft of a data set's contract from its rows."""

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hearth.cli.application import Command, CommandError, examples
from hearth.cli.checkout import SERVE, enter
from hearth.errors import InvalidRawData

if TYPE_CHECKING:
    from hearth.contracts.drafting import Draft, RawTable

_PACKED = b"\x1f\x8b", b"PK\x03\x04"  # gzip; zip, which workbooks are too
_MAX_UNPACKED_BYTES = 1 << 30  # as in the ETL
CONTRACT, README = "contract.yaml", "README.md"


def register(app: typer.Typer) -> None:
    """Add the command to the group `hearth data`."""
    lines = examples(
        "hearth data contract titanic.csv --target survived",
        "hearth data contract sales.parquet --name shop --target returned",
        "hearth data contract staff.xlsx",
    )
    app.command(cls=Command, epilog=lines)(contract)


def contract(
    file: Annotated[
        Path,
        typer.Argument(help="A CSV, Parquet or .xlsx file, plain or packed (gzip, bzip2, xz, zstd, zip).", exists=True, dir_okay=False),
    ],
    target: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="The column to predict (default: one named like it, or the last).", show_default=False),
    ] = None,
    name: Annotated[str | None, typer.Option(help="The name of the data set (default: from that of the file).", show_default=False)] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder of the data sets (default: HEARTH_DATA_DIR, or data).", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the files of an earlier draft.")] = False,
) -> None:
    """Draft the contract of a data set from its rows.

    Writes contract.yaml, README.md and the rows, as the ETL reads them, to a folder of its own. The draft loads as it is; its comments
    name what a person has to decide.
    """
    enter(SERVE)
    from hearth.contracts.drafting import draft_contract  # noqa: PLC0415 - a help page does not wait for pandas
    from hearth.contracts.drafting.names import dataset_name  # noqa: PLC0415

    try:
        table = _read(file)
    except OSError as error:
        raise CommandError(str(error)) from error
    draft = draft_contract(table, name or dataset_name(file.name.removesuffix(".gz").removesuffix(".zip")), target)
    folder = (output or Path(os.environ.get("HEARTH_DATA_DIR") or "data")) / draft.contract.name
    _write(draft, file, folder, force=force)
    _print_report(draft, folder)


def _read(file: Path) -> "RawTable":
    """Return the table of a file; what is packed or a workbook becomes CSV first, as the ETL would read it, and a note says so.

    Raises:
        InvalidRawData: it is no table.
        OSError: it cannot be read.
    """
    from hearth.contracts.drafting import parse_csv, read_raw_table  # noqa: PLC0415 - as above
    from hearth.contracts.file_format import FileFormat  # noqa: PLC0415
    from hearth.tables import UnreadableTable, unpack  # noqa: PLC0415

    with file.open("rb") as content:
        if not content.read(len(max(_PACKED, key=len))).startswith(_PACKED):
            return read_raw_table(file)
        try:
            unpacked = unpack(content, FileFormat(), _MAX_UNPACKED_BYTES)
        except UnreadableTable as error:
            raise InvalidRawData(f"{file.name}: {error}") from error
    with unpacked.file as text:
        text.seek(0)
        table = parse_csv(text.read(), file.name)
    return replace(table, notes=(f"The file was {' and '.join(unpacked.notes)}; the copy is CSV.", *table.notes))


def _write(draft: "Draft", file: Path, folder: Path, *, force: bool) -> None:
    """Write the three files.

    Raises:
        CommandError: one is there already and `force` is not set, or the rows would replace the file itself.
    """
    from hearth.contracts.drafting import csv_content  # noqa: PLC0415 - as above

    rows = folder / draft.contract.source.file
    is_in_place = rows.exists() and rows.samefile(file)
    if is_in_place and not draft.is_as_read:
        raise CommandError(f"{rows} is not as the ETL reads it, and the copy would replace it: move it elsewhere and draft from there.")
    present = [path for path in (folder / CONTRACT, folder / README, rows) if path.exists() and not (path == rows and is_in_place)]
    if present and not force:
        raise CommandError(f"{', '.join(map(str, present))} would be replaced: remove it, choose another --name, or give --force.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CONTRACT).write_text(draft.contract_yaml, "utf-8")
        (folder / README).write_text(draft.readme, "utf-8")
        if not is_in_place and draft.is_as_read:
            shutil.copyfile(file, rows)
        elif not is_in_place:
            rows.write_bytes(csv_content(draft.rows))
    except OSError as error:
        raise CommandError(str(error)) from error


def _print_report(draft: "Draft", folder: Path) -> None:
    contract, rows = draft.contract, folder / draft.contract.source.file
    classes = ", ".join(contract.target.classes)
    typer.echo(f"{folder / CONTRACT}: {len(contract.columns)} columns, {len(draft.rows):,} rows")
    typer.echo(f"{rows}: {'the file as it is' if draft.is_as_read else 'a copy as the ETL reads it'}")
    typer.echo(f"Predicted: {contract.target.column} ({classes}). Dropped: {', '.join(contract.drop) or 'no column'}.")
    for note in draft.notes:
        typer.echo(f"Note: {note}")
    typer.echo(
        f"""
Next:
  1. Settle the {draft.decisions} comments `# decide` in {folder / CONTRACT}; say in {README} where the rows come from.
  2. Start the services anew, as they read contracts when they start: hearth down && hearth up
  3. Upload the rows: hearth data upload --dataset {contract.name}
  4. Trigger the ETL and the trainings: hearth smoke --dataset {contract.name}
docs/draft-a-contract.md says what each comment asks."""
    )
