"""Fault test of the stream: `python -m benchmarks.chaos [--records 100000] [--seed 1] …`.

Numbered records go through real workers on a real Valkey, PostgreSQL and MLflow, with a LightGBM pipeline of 200 trees. Meanwhile workers
are killed, and the servers are stopped, crashed, killed and started again. In the end every good record must have exactly one row, every
bad message exactly one dead letter, nothing may be pending, and the stream must be trimmed. The seed decides what is sent and which faults
happen when; the load of the machine at that moment does not repeat.
"""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.chaos.plan import draw_blows
from benchmarks.chaos.run import ChaosError, Report, Run, Servers
from benchmarks.harness import model
from deploy.embedded import temporary_servers
from hearth.cli import values
from hearth.cli.application import CommandError, run_program
from hearth.cli.tables import make_console, make_table
from hearth.contracts import load_contract
from hearth.contracts.aliases import CHAMPION
from hearth.fakes import FakeRecords
from hearth.predictions.migration import migrate
from hearth.streaming.producer.fake_messages import Source, fake_messages

_FAMILY = "lightgbm"
_SIZES = (1, 1, 1, 10, 50)  # records in a message
_TRAINING_ROWS = 3_000


@dataclass(frozen=True)
class Options:
    """What is sent and what goes wrong."""

    records: int
    workers: int
    kills: int
    restarts: int
    bad_share: float
    seed: int


def main(  # noqa: PLR0913, PLR0917 - each is an option
    records: Annotated[int, values.whole("Records to send.")] = 100_000,
    workers: Annotated[int, values.whole("Workers at the same time.")] = 2,
    kills: Annotated[int, values.whole("How often a worker is killed.", minimum=0)] = 20,
    restarts: Annotated[int, values.whole("How often each server is stopped and started.", minimum=0)] = 3,
    bad_share: Annotated[float, values.share("The share of records that break the contract.")] = 0.01,
    seed: Annotated[int, values.seed("The same seed sends the same records and plans the same faults.")] = 1,
    logs: Annotated[Path | None, typer.Option(help="The folder for the workers' logs (default: a temporary one).")] = None,
) -> None:
    """Kill workers and servers while records go through the stream, and count what comes out."""
    options = Options(records, workers, kills, restarts, bad_share, seed)
    console = make_console()
    folder = logs or Path(tempfile.mkdtemp(prefix="hearth-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        report = _run(options, folder, console.print)
    except (ChaosError, temporary_servers.ServerStartError) as error:
        raise CommandError(f"The run did not come to its end: {error}. Logs of the workers: {folder}") from error
    _print(report, options, console)
    if not report.holds:
        raise CommandError(f"Records were lost or doubled. Logs of the workers: {folder}")
    console.print("Nothing was lost, and nothing was doubled.")
    if not logs:
        shutil.rmtree(folder)


def _run(options: Options, logs: Path, say: Callable[[str], None]) -> Report:
    with temporary_servers.mlflow() as mlflow, temporary_servers.valkey_server() as valkey, temporary_servers.postgres_server() as postgres:
        contract = load_contract("employees", model.DATA)
        X, y = model.rows(contract, _TRAINING_ROWS)
        model.register(model.signing_registry(mlflow), contract, _FAMILY, model.fitted(contract, _FAMILY, X, y), X)
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


def _print(report: Report, options: Options, console: Console) -> None:
    table = make_table("Counts", "count", "expected", "found", "")
    for count in report.counts:
        mark = "" if count.holds else f"[red]WRONG[/red] {', '.join(count.examples)}"
        table.add_row(count.what, f"{count.expected:,}", f"{count.actual:,}", mark)
    console.print(table)
    sending = report.sending
    console.print(
        f"Workers: {report.kills} killed, {report.kills_at_work} of them with messages in hand; {report.own_ends} ended by themselves; "
        f"{report.starts} started; exit codes at the end: {', '.join(map(str, report.exit_codes))}."
    )
    console.print(f"Valkey and PostgreSQL: stopped and started {options.restarts} times each.")
    console.print(
        f"Sender: interrupted {sending.interruptions} times; {sending.added_unanswered} messages had been added although no answer came, "
        f"{sending.answered_lost} had been answered and were lost again (and sent again)."
    )
    console.print(f"{report.seconds:.0f} s from the first message on.")


if __name__ == "__main__":
    run_program(main)
