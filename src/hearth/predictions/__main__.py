"""Look at what was predicted: `python -m hearth.predictions export --output predicciones.csv`."""

import argparse
import csv
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from pydantic_core import to_json

from hearth.errors import HearthError
from hearth.predictions.migration import migrate
from hearth.predictions.store import Prediction, PredictionStore
from hearth.settings import PredictionsSettings

HEADER = ("timestamp", "model", "prediction", "data")


def main() -> int:
    """Run one command; 0 if it did what it says."""
    options = _parser().parse_args()
    url = PredictionsSettings().predictions_url.get_secret_value()
    try:
        if options.command == "migrate":
            print(f"The predictions store is at revision {migrate(url)}.")  # noqa: T201 - a program for people
            return 0
        with PredictionStore(url) as store:
            if options.command == "tail":
                write_csv(reversed(store.recent(options.number, options.dataset)), sys.stdout)
            else:
                _export(store, options.output, options.since, options.dataset)
    except (HearthError, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


def write_csv(predictions: Iterable[Prediction], file: TextIO) -> int:
    """Write the header and one line a prediction; return the number of predictions."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(HEADER)
    count = 0
    for count, given in enumerate(predictions, start=1):  # noqa: B007 - counts what an iterator gives
        model = f"{given.dataset}@{given.alias} v{given.version}"
        writer.writerow((given.scored_at.astimezone(UTC).isoformat(), model, given.label, to_json(given.record).decode()))
    return count


def _export(store: PredictionStore, output: Path, since: datetime | None, dataset: str | None) -> None:
    partial = output.with_name(f"{output.name}.partial")  # a reader never sees half a file under the name that was asked for
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            count = write_csv(store.since(since, dataset), file)
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)
    print(f"{count} predictions are in {output}.")  # noqa: T201


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hearth.predictions", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    export = commands.add_parser("export", help="write predictions to a file, oldest first")
    export.add_argument("--format", choices=["csv"], default="csv")
    export.add_argument("--output", type=Path, default=Path("predicciones.csv"))
    export.add_argument("--since", type=_moment, help="only what was scored from then on, such as 2026-11-21 or 2026-11-21T08:00:00+00:00")
    tail = commands.add_parser("tail", help="print the latest predictions, newest last")
    tail.add_argument("-n", "--number", type=int, default=20)
    for command in (export, tail):
        command.add_argument("--dataset", help="of one data set only")
    commands.add_parser("migrate", help="bring the store up to this version's schema (the worker does this when it starts)")
    return parser


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


if __name__ == "__main__":
    sys.exit(main())
