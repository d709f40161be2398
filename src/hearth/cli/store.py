"""The predictions store: `hearth export`, and `hearth store tail`, `prune` and `migrate`."""

import contextlib
import logging
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from hearth.cli import values
from hearth.cli.application import PREDICTIONS, Command, CommandError, examples, make_app
from hearth.cli.audited import audited, trail_of_checkout
from hearth.cli.checkout import SERVE, enter

if TYPE_CHECKING:
    from hearth.predictions import PredictionStore

Dataset = Annotated[str | None, typer.Option(metavar="NAME", help="Only this data set; Parquet then has a column for each feature.")]


class Format(StrEnum):
    """The kind of file."""

    CSV = "csv"
    PARQUET = "parquet"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    lines = examples(
        "hearth export --format parquet --dataset employees", "hearth export --since 2026-11-21 --output s3://data/exports/week.csv"
    )
    app.command(cls=Command, rich_help_panel=PREDICTIONS, epilog=lines)(export)
    group = make_app("Look after the predictions store.")
    group.command(cls=Command, epilog=examples("hearth store tail -n 5", "hearth store tail --dataset heart"))(tail)
    group.command(cls=Command, epilog=examples("hearth store prune --older-than-days 30"))(prune)
    group.command(cls=Command, epilog=examples("hearth store migrate"))(migrate)
    app.add_typer(group, name="store", rich_help_panel=PREDICTIONS)


def export(
    format_: Annotated[Format, typer.Option("--format", help="The kind of file.")] = Format.CSV,
    output: Annotated[str | None, typer.Option(help="A path, or s3://bucket/key (default: predicciones.csv or .parquet).")] = None,
    since: Annotated[datetime | None, values.moment("Predictions scored at this moment or later.")] = None,
    until: Annotated[datetime | None, values.moment("Predictions scored before this moment.")] = None,
    dataset: Dataset = None,
) -> None:
    """Write stored predictions to a file.

    The oldest prediction comes first. The file appears when it is whole.
    """
    enter(SERVE)
    from hearth.audit import Action, new_entry  # noqa: PLC0415
    from hearth.predictions import export as exports  # noqa: PLC0415 - a help page does not wait for pyarrow
    from hearth.settings import PredictionsSettings  # noqa: PLC0415

    target = output or f"predicciones.{format_}"
    try:
        exports.require_output(target)
    except ValueError:
        raise typer.BadParameter(f"expected a path or s3://bucket/key, got {target!r}.", param_hint="--output") from None
    try:
        chosen = {"since": since, "until": until, "format": format_.value, "to": target}
        with trail_of_checkout() as trail, _open_store() as store:
            # Before anything is read: what cannot be recorded is not handed out
            trail.require(new_entry(Action.PREDICTIONS_EXPORTED, dataset=dataset or "", detail={"began": True, **chosen}))
            selection = exports.PredictionFilter(dataset, since, until)
            count = exports.export(store, selection, exports.Format(format_), target, PredictionsSettings().data_dir)
            trail.record(new_entry(Action.PREDICTIONS_EXPORTED, dataset=dataset or "", detail={"rows": count, **chosen}))
    except OSError as error:
        raise CommandError(str(error)) from error
    typer.echo(f"{count} predictions are in {target}.")


def tail(number: Annotated[int, values.whole("How many.", "--number", "-n")] = 20, dataset: Dataset = None) -> None:
    """Print the latest predictions as CSV, newest last."""
    enter(SERVE)
    from hearth.audit import Action, new_entry  # noqa: PLC0415
    from hearth.predictions.csv_export import write_csv  # noqa: PLC0415

    with trail_of_checkout() as trail, _open_store() as store:
        trail.require(new_entry(Action.PREDICTIONS_READ, dataset=dataset or "", detail={"newest": number}))
        write_csv(reversed(store.recent(number, dataset)), sys.stdout)


def prune(
    older_than_days: Annotated[float | None, values.number("Delete predictions that are older than this.")] = None,
    before: Annotated[datetime | None, values.moment("Delete predictions scored before this moment.")] = None,
) -> None:
    """Delete old predictions for good; the stream worker does it by itself with HEARTH_PREDICTIONS_KEEP_DAYS."""
    if (older_than_days is None) == (before is None):
        raise typer.BadParameter("give one of --older-than-days and --before.")
    enter(SERVE)
    from hearth.predictions.retention import prune as delete  # noqa: PLC0415

    limit = before or datetime.now(UTC) - timedelta(days=older_than_days or 0)
    from hearth.audit import Action, Draft  # noqa: PLC0415

    with _open_store() as store, audited(Action.PREDICTIONS_PRUNED, Draft(detail={"before": limit.isoformat()})) as draft:
        deleted = delete(store, limit)
        draft.detail["rows"] = deleted
        typer.echo(f"{deleted} predictions of before {limit:%Y-%m-%d %H:%M:%S} UTC are deleted.")


def migrate() -> None:
    """Bring the store to the schema of this version; the stream worker does it when it starts."""
    enter(SERVE)
    from hearth.predictions.migration import migrate as upgrade  # noqa: PLC0415
    from hearth.settings import PredictionsSettings  # noqa: PLC0415

    typer.echo(f"The predictions store is at revision {upgrade(PredictionsSettings().predictions_url.get_secret_value())}.")


@contextlib.contextmanager
def _open_store() -> Iterator["PredictionStore"]:
    from hearth.predictions import PredictionStore  # noqa: PLC0415
    from hearth.settings import PredictionsSettings  # noqa: PLC0415

    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)  # it would repeat at every try what the error says once
    with PredictionStore(PredictionsSettings().predictions_url.get_secret_value()) as store:
        yield store
