"""What records turned out to be, from a file to the REST service: `hearth feedback`."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hearth.cli import values
from hearth.cli.application import FAILED, PREDICTIONS, Command, CommandError, examples
from hearth.cli.remote import ApiKey, Timeout, Url
from hearth.cli.service import open_client

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hearth.client.answers import Receipt
    from hearth.predictions.label_files import FileReport

_SECONDS = "60s"
_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the command."""
    lines = examples("hearth feedback labels.csv", "hearth feedback labels.parquet --dataset heart --reported-by clinic")
    app.command(cls=Command, rich_help_panel=PREDICTIONS, epilog=lines)(feedback)


def feedback(  # noqa: PLR0913, PLR0917 - options
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV or Parquet: id, truth and, where known, row, dataset, observed_at, reported_by.")
    ],
    dataset: Annotated[str | None, values.dataset("The data set of rows that do not name theirs.", show_default=False)] = None,
    reported_by: Annotated[str | None, typer.Option(metavar="NAME", help="Who says so, where rows do not.", show_default=False)] = None,
    batch: Annotated[int, values.whole("Rows of one request.", maximum=100_000)] = 500,
    url: Url = None,
    api_key: ApiKey = None,
    timeout: Timeout = _SECONDS,  # type: ignore[assignment]  # Typer parses it
) -> None:
    """Report what served records turned out to be; sending a file again is safe.

    Rows that are refused are listed with their place and the reason, and end the command with code 1; all others are stored.
    """
    from hearth.errors import InvalidFile  # noqa: PLC0415 - a help page does not wait
    from hearth.predictions.label_files import in_batches, read_reports  # noqa: PLC0415

    counts: Counter[str] = Counter()
    try:
        with file.open("rb") as content, open_client(url, api_key, timeout) as client:
            for reports in in_batches(read_reports(content, file.name), batch):
                answer = client.send_feedback([report.report for report in reports], dataset=dataset, reported_by=reported_by)
                _print_refused(reports, answer.receipts, _SHOWN - counts["refused"])
                counts.update(answer.outcomes)
    except (OSError, InvalidFile) as error:
        raise CommandError(f"{error} So far: {_summary(counts)}.") from error
    typer.echo(f"{file}: {_summary(counts)}.")
    if counts["refused"]:
        raise typer.Exit(FAILED)


def _print_refused(reports: "Sequence[FileReport]", receipts: "Sequence[Receipt]", most: int) -> None:
    refused = [(report.place, receipt) for report, receipt in zip(reports, receipts, strict=True) if receipt.error is not None]
    for place, receipt in refused[: max(most, 0)]:
        typer.echo(f"{place}: {receipt.error}: {receipt.detail}", err=True)
    if most > 0 and len(refused) > most:
        typer.echo(f"and others: only the first {_SHOWN} refused rows are listed", err=True)


def _summary(counts: "Counter[str]") -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()) if count) or "no rows"
