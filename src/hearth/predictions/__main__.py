"""Look at what was predicted: `python -m hearth.predictions export --output predicciones.csv`."""

import argparse
import logging
import sys
from datetime import UTC, datetime, timedelta

from hearth.errors import HearthError
from hearth.moments import parse_moment
from hearth.predictions.csv_export import write_csv
from hearth.predictions.export import Format, PredictionFilter, export, require_output
from hearth.predictions.migration import migrate
from hearth.predictions.retention import prune
from hearth.predictions.store import PredictionStore
from hearth.settings import PredictionsSettings


def main() -> int:
    """Run one command; 0 if it did what it says."""
    options = _parser().parse_args()
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)  # what it says at every try is said once, below
    try:
        _run(options)
    except (HearthError, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - a program for people
        return 1
    return 0


def _run(options: argparse.Namespace) -> None:
    settings = PredictionsSettings()
    url = settings.predictions_url.get_secret_value()
    if options.command == "migrate":
        print(f"The predictions store is at revision {migrate(url)}.")  # noqa: T201
        return
    with PredictionStore(url) as store:
        if options.command == "tail":
            write_csv(reversed(store.recent(options.number, options.dataset)), sys.stdout)
        elif options.command == "prune":
            before = options.before or datetime.now(UTC) - timedelta(days=options.older_than_days)
            print(f"{prune(store, before)} predictions of before {before:%Y-%m-%d %H:%M:%S} UTC are deleted.")  # noqa: T201
        else:
            selection = PredictionFilter(options.dataset, options.since, options.until)
            output = options.output or f"predicciones.{options.format}"
            count = export(store, selection, options.format, output, settings.data_dir)
            print(f"{count} predictions are in {output}.")  # noqa: T201


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hearth.predictions", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    to_file = commands.add_parser("export", help="write predictions to a file, oldest first")
    to_file.add_argument("--format", type=Format, choices=list(Format), default=Format.CSV)
    to_file.add_argument("--output", type=require_output, help="a path, or s3://bucket/key (default: predicciones.csv or .parquet)")
    to_file.add_argument("--since", type=parse_moment, help="only what was scored from then on: 2026-11-21 or 2026-11-21T08:00:00+00:00")
    to_file.add_argument("--until", type=parse_moment, help="only what was scored before")
    tail = commands.add_parser("tail", help="print the latest predictions, newest last")
    tail.add_argument("-n", "--number", type=int, default=20)
    for command in (to_file, tail):
        command.add_argument("--dataset", help="of one data set only; Parquet then has a column for each feature")
    pruning = commands.add_parser("prune", help="delete old predictions for good (the worker does, with HEARTH_PREDICTIONS_KEEP_DAYS)")
    age = pruning.add_mutually_exclusive_group(required=True)
    age.add_argument("--older-than-days", type=_days)
    age.add_argument("--before", type=parse_moment)
    commands.add_parser("migrate", help="bring the store up to this version's schema (the worker does this when it starts)")
    return parser


def _days(text: str) -> float:
    days = float(text)
    if not 0 < days < float("inf"):
        raise ValueError(text)
    return days


if __name__ == "__main__":
    sys.exit(main())
