"""Lose a whole stack and get it back from its backup: `python -m benchmarks.backup_drill`, or `make drill-backup`.

A stack with three data sets, on ports and in a folder of its own, is trained and used. Its answers, aliases and stored predictions are
noted. It is backed up, cleaned, restored and started. The smoke test without trainings has to pass, and what was noted to be the same.
"""

import hashlib
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import httpx
import psycopg
import typer

from deploy.embedded import ports
from deploy.embedded.temporary_servers import ROOT, free_ports
from hearth.cli.application import CommandError, run_program
from hearth.contracts.loading import chosen_contracts
from hearth.fakes import FakeRecords
from hearth.registry import Registry
from hearth.settings import RegistrySettings

_RECORDS, _SEED = 50, 7
_STORED_SECONDS = 15  # after which a prediction is stored


def main(
    dataset: Annotated[str, typer.Option(help="Data sets, or all.")] = "employees,heart,covertype",
    trials: Annotated[int, typer.Option(help="Optuna trials of each training.")] = 1,
    rows: Annotated[int, typer.Option(help="Rows of demo data.")] = 3_000,
) -> None:
    """Lose a whole stack and get it back from its backup."""
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="hearth-drill-", ignore_cleanup_errors=True) as folder:
        environment = _environment(Path(folder, "state"))
        backups = Path(folder, "backups")

        def step(title: str, action: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the action returns
            start = time.monotonic()
            result = action()
            seconds[title] = time.monotonic() - start
            print(f"{title}: {seconds[title]:.1f} s", flush=True)
            return result

        def hearth(*words: str) -> None:
            _run(environment, "./hearth", *words)

        def start(*groups: tuple[str, ...]) -> None:
            for services in groups:
                hearth("up", *services)

        try:
            step("start", lambda: start(*START_ORDER))
            step("demo", lambda: hearth("demo", "--dataset", dataset, "--trials", str(trials), "--rows", str(rows)))
            before = step("note answers", lambda: _noted(environment, dataset))
            step("backup", lambda: hearth("backup", "--to", str(backups)))
            size = sum(path.stat().st_size for path in backups.glob("*/*"))
            step("verify", lambda: hearth("backup", "verify", "--from", str(backups)))
            step("clean", lambda: hearth("clean"))
            step("start servers", lambda: start(*START_ORDER[:3]))
            step("restore", lambda: hearth("restore", "--from", str(backups)))
            step("start the rest", lambda: start(*START_ORDER[3:]))
            step("smoke", lambda: hearth("smoke", "--dataset", dataset, "--skip-training"))
            after = _noted(environment, dataset)
        finally:
            hearth("clean")
    lost = [name for name in before if before[name] != after.get(name)]
    for name in before:
        print(f"{'LOST' if name in lost else 'equal'}  {name}")
    print(f"The backup has {size / 1e6:.1f} MB.")
    if lost:
        raise CommandError(f"Not the same after the restore: {', '.join(lost)}.")


# What a restore needs comes first. One group after the other: on a busy machine all at once would not be healthy in their time.
START_ORDER: tuple[tuple[str, ...], ...] = (
    ("postgres", "valkey", "minio"),
    ("mlflow",),
    ("airflow-apiserver",),
    ("airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"),
    ("fastapi", "grpc"),
    (),  # all others
)


def _environment(state: Path) -> dict[str, str]:
    """Return the settings of a stack on free ports; the fake records do not change what is compared."""
    names = list(dict.fromkeys(port.setting for port in ports.PORTS))
    numbers = free_ports(len(names), with_grpc=True)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HEARTH_")}
    own = {"HEARTH_STATE_DIR": str(state), "HEARTH_MONITOR_SCHEDULE": "none"}
    return {**inherited, **own, **{name: str(number) for name, number in zip(names, numbers, strict=True)}}


def _run(environment: dict[str, str], *command: str) -> None:
    ended = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    if ended.returncode:
        raise CommandError(f"{' '.join(command)} ended with {ended.returncode}.")


def _noted(environment: dict[str, str], dataset: str) -> dict[str, str]:
    """Return the aliases, the answers of all aliases, and the predictions that were stored before the first call, by what they are."""
    found: dict[str, str] = {}
    settings = RegistrySettings(mlflow_tracking_uri=f"http://127.0.0.1:{environment['HEARTH_MLFLOW_PORT']}")
    registry = Registry.from_settings(settings)
    with httpx.Client(base_url=f"http://127.0.0.1:{environment['HEARTH_API_PORT']}", timeout=60) as api:
        for contract in chosen_contracts(dataset, ROOT / "data"):
            aliases = registry.aliases(contract.name)
            found[f"{contract.name}: aliases"] = str(sorted(aliases.items()))
            records = FakeRecords.load(contract, ROOT / "data").records(_RECORDS, seed=_SEED)
            for alias in sorted(aliases):
                answer = api.post(f"/{contract.name}/predict", params={"model": alias}, json={"data": records}).raise_for_status().json()
                found[f"{contract.name}: answers of {alias}"] = str((answer["version"], answer["probabilities"]))
    found |= _stored(environment)
    return found


def _stored(environment: dict[str, str]) -> dict[str, str]:
    """Return a digest of what was stored in the first minutes: later predictions are those of the producer and of this drill."""
    user, password = os.environ["HEARTH_POSTGRES_USER"], os.environ["HEARTH_POSTGRES_PASSWORD"]
    url = f"postgresql://{user}:{password}@127.0.0.1:{environment['HEARTH_POSTGRES_PORT']}/predictions"
    mark = Path(environment["HEARTH_STATE_DIR"]).with_name("moment")
    if not mark.exists():
        mark.write_text(str(time.time() - _STORED_SECONDS), encoding="utf-8")
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT message_id, row, version, probabilities::text FROM predictions WHERE scored_at < to_timestamp(%s) ORDER BY 1, 2, 3",
            (float(mark.read_text(encoding="utf-8")),),
        ).fetchall()
    return {"stored predictions": f"{len(rows)} {hashlib.sha256(repr(rows).encode()).hexdigest()}"}


if __name__ == "__main__":
    run_program(main)
