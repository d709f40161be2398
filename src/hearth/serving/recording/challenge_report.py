"""How challengers did, asked of the store: `python -m hearth.serving.recording.challenge_report --dataset employees --hours 24`.

The services count in memory, each its own requests since its start; the store has what all of them have stored.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby

from hearth.contracts import Contract, load_contract
from hearth.errors import HearthError
from hearth.predictions import PredictionStore
from hearth.predictions.comparison import Compared
from hearth.serving.recording.challenger import ChallengeReport
from hearth.settings import PredictionsSettings


def stored_challenges(store: PredictionStore, contract: Contract, since: datetime | None = None) -> list[ChallengeReport]:
    """Return a report for each pair of champion and challenger of which the store has records.

    Raises:
        PredictionsUnavailable: the store does not answer.
    """
    compared = store.compared(contract.name, since)
    pairs = groupby(compared, key=lambda found: (found.champion_version, found.challenger_version))
    return [_report(contract, pair, list(found)) for pair, found in pairs]


def _report(contract: Contract, pair: tuple[str, str], found: Sequence[Compared]) -> ChallengeReport:
    return ChallengeReport(
        dataset=contract.name,
        champion_version=pair[0],
        challenger_version=pair[1],
        compared=sum(some.records for some in found),
        agreed=sum(some.records for some in found if some.champion_label == some.challenger_label),
        champion_classes=_counts(contract, ((some.champion_label, some.records) for some in found)),
        challenger_classes=_counts(contract, ((some.challenger_label, some.records) for some in found)),
        skipped={},
    )


def _counts(contract: Contract, said: Iterable[tuple[str, int]]) -> dict[str, int]:
    counts = dict.fromkeys(contract.target.classes, 0)
    for label, records in said:
        counts[label] = counts.get(label, 0) + records
    return counts


def main() -> int:
    """Print a line for each pair."""
    parser = argparse.ArgumentParser(description="How challengers did against champions, from the predictions store.")
    parser.add_argument("--dataset", default="employees")
    parser.add_argument("--hours", type=float, default=24.0, help="how far to look back")
    options = parser.parse_args()
    settings = PredictionsSettings()
    try:
        contract = load_contract(options.dataset, settings.data_dir)
        with PredictionStore(settings.predictions_url.get_secret_value()) as store:
            reports = stored_challenges(store, contract, datetime.now(UTC) - timedelta(hours=options.hours))
    except HearthError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a program for people
        return 1
    for report in reports:
        print(f"{report.dataset}: champion {report.champion_version}, challenger {report.challenger_version}: ", end="")  # noqa: T201
        print(f"{report.agreed} of {report.compared} the same ({report.agreement:.1%})")  # noqa: T201
        print(f"  champion said {dict(report.champion_classes)}, challenger {dict(report.challenger_classes)}")  # noqa: T201
    if not reports:
        print(f"{contract.name}: nothing was compared in the last {options.hours:g} hours.")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
