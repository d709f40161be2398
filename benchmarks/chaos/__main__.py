"""Fault test of the stream: `python -m benchmarks.chaos [--records 100000] [--seed 1] …`.

Numbered records go through real workers on a real Valkey, PostgreSQL and MLflow, with a LightGBM pipeline of 200 trees. Meanwhile workers
are killed, and the servers are stopped, crashed, killed and started again. In the end every good record must have exactly one row, every
bad message exactly one dead letter, nothing may be pending, and the stream must be trimmed. What goes wrong, when, and what is sent, is
drawn from the seed; what the machine is doing at that moment is not.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from benchmarks.chaos.plan import draw_blows
from benchmarks.chaos.run import ChaosError, Report, Run, Servers
from benchmarks.harness import model
from deploy.embedded import temporary_servers
from hearth.contracts import load_contract
from hearth.contracts.aliases import CHAMPION
from hearth.fakes import FakeRecords
from hearth.predictions.migration import migrate
from hearth.registry import Registry
from hearth.streaming.producer.fake_messages import Source, fake_messages
from utils.console import make_console, make_table

_FAMILY = "lightgbm"
_SIZES = (1, 1, 1, 10, 50)  # records in a message
_TRAINING_ROWS = 3_000


def main() -> int:
    """Run, print the counts; 0 if all of them are as they have to be."""
    options = _parser().parse_args()
    console = make_console()
    logs = options.logs or Path(tempfile.mkdtemp(prefix="hearth-chaos-"))
    logs.mkdir(parents=True, exist_ok=True)
    try:
        report = _run(options, logs, console.print)
    except (ChaosError, temporary_servers.ServerStartError) as error:
        console.print(f"[red]The run did not come to its end:[/red] {error}. Logs of the workers: {logs}")
        return 1
    _show(report, options, console)
    if not report.holds:
        console.print(f"[red]This is not what was promised.[/red] Logs of the workers: {logs}")
        return 1
    console.print("Nothing was lost, and nothing was doubled.")
    if not options.logs:
        shutil.rmtree(logs)
    return 0


def _run(options: argparse.Namespace, logs: Path, say: Callable[[str], None]) -> Report:
    with temporary_servers.mlflow() as mlflow, temporary_servers.valkey_server() as valkey, temporary_servers.postgres_server() as postgres:
        contract = load_contract("employees", model.DATA)
        X, y = model.rows(contract, _TRAINING_ROWS)
        model.register(Registry(mlflow), contract, _FAMILY, model.fitted(contract, _FAMILY, X, y), X)
        database = temporary_servers.create_database(postgres.url, "predictions")
        migrate(database)
        source = Source(contract, FakeRecords.load(contract, model.DATA), (_FAMILY, CHAMPION))
        messages = list(fake_messages([source], options.seed, sizes=_SIZES, records=options.records, bad_share=options.bad_share))
        blows = draw_blows(len(messages), workers=options.workers, kills=options.kills, restarts=options.restarts, seed=options.seed)
        bad = sum(bool(message.bad) for message in messages)
        say(f"{options.records} records in {len(messages)} messages, {bad} of them with bad records; seed {options.seed}")
        environment = {"HEARTH_MLFLOW_TRACKING_URI": mlflow}
        run = Run(messages, Servers(valkey, postgres, database), logs, workers=options.workers, environment=environment, say=say)
        return run.to_its_end(blows)


def _show(report: Report, options: argparse.Namespace, console: Console) -> None:
    table = make_table("What has to be, and what is", "count", "expected", "found", "")
    for count in report.counts:
        mark = "" if count.holds else f"[red]WRONG[/red] {', '.join(count.examples)}"
        table.add_row(count.what, f"{count.expected:,}", f"{count.found:,}", mark)
    console.print(table)
    sent = report.sent
    console.print(
        f"Workers: {report.kills} killed, {report.kills_at_work} of them with messages in hand; {report.own_ends} ended by themselves; "
        f"{report.starts} started; exit codes at the end: {', '.join(map(str, report.exit_codes))}."
    )
    console.print(f"Valkey and PostgreSQL: stopped and started {options.restarts} times each.")
    console.print(
        f"Sender: interrupted {sent.interruptions} times; {sent.added_unanswered} messages had been added although no answer came, "
        f"{sent.answered_lost} had been answered and were lost again (and sent again)."
    )
    console.print(f"{report.seconds:.0f} s from the first message on.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kills", type=int, default=20, help="how often a worker is killed")
    parser.add_argument("--restarts", type=int, default=3, help="how often each server is stopped and started")
    parser.add_argument("--bad-share", type=float, default=0.01, help="the share of records that no model will ever see")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--logs", type=Path, help="where the workers' logs go (default: a temporary folder)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
