"""Reports on challengers from the store: `python -m hearth.serving.recording.challenge_report --dataset employees --hours 24`.

A service counts its own requests since its start, in memory; the store has the predictions of all services.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby

from hearth.contracts import Contract, load_contract
from hearth.errors import HearthError
from hearth.predictions import PredictionStore
from hearth.predictions.comparison import LabelPair
from hearth.serving.recording.agreement import ChallengeReport, Tally
from hearth.settings import PredictionsSettings


def stored_challenges(store: PredictionStore, contract: Contract, since: datetime | None = None) -> list[ChallengeReport]:
    """Return a report for each pair of champion and challenger in the store; `skipped` is empty.

    Raises:
        PredictionsUnavailable: the store does not answer.
    """
    pairs = groupby(store.label_pairs(contract.name, since), key=lambda pair: (pair.champion_version, pair.challenger_version))
    return [_report(contract, versions, list(group)) for versions, group in pairs]


def _report(contract: Contract, versions: tuple[str, str], pairs: Sequence[LabelPair]) -> ChallengeReport:
    labels = (label for pair in pairs for label in (pair.champion_label, pair.challenger_label))
    codes = {label: code for code, label in enumerate(dict.fromkeys((*contract.target.classes, *labels)))}
    tally = Tally(contract.name, versions, tuple(codes))
    for pair in pairs:
        tally.add(codes[pair.champion_label], codes[pair.challenger_label], pair.records)
    return tally.report()


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
