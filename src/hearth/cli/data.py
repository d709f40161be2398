"""Data sets: `hearth data make` and `hearth data upload`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hearth.cli import values
from hearth.cli.application import Command, CommandError, examples
from hearth.cli.checkout import SERVE, enter

if TYPE_CHECKING:
    from hearth.contracts import Contract
    from hearth.storage import ObjectStore

_ROWS, _SEED = 15_000, 42  # hearth.fakes has the same, which a help page does not wait for; a test compares them


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(cls=Command, epilog=examples("hearth data make", "hearth data make --dataset heart --rows 5000 --output heart.csv"))(make)
    app.command(cls=Command, epilog=examples("hearth data upload", "hearth data upload --dataset all"))(upload)


def make(
    dataset: Annotated[str, values.dataset()] = "employees",
    rows: Annotated[int, values.whole("Rows to generate.")] = _ROWS,
    seed: Annotated[int, values.seed()] = _SEED,
    output: Annotated[
        Path | None,
        typer.Option(help="The file (default: data/<data set>/<source file> in the state folder, .hearth).", show_default=False),
    ] = None,
) -> None:
    """Generate the demo data of a data set.

    They are fake rows in the form of its real file.
    """
    enter(SERVE)
    from hearth.contracts import load_contract  # noqa: PLC0415 - a help page does not wait for pandas
    from hearth.fakes import fake_path, real_file, write_fake  # noqa: PLC0415
    from hearth.settings import get_settings  # noqa: PLC0415

    data_dir = get_settings().data_dir
    contract = load_contract(dataset, data_dir)
    path = output or fake_path(contract, _state_dir())
    try:
        write_fake(contract, data_dir, path, rows, seed)
    except OSError as error:
        raise CommandError(f"The demo data of {dataset!r} could not be made: {error}") from error
    typer.echo(f"{path}: {rows:,} fake rows of {dataset!r} (seed {seed}), {path.stat().st_size / 1e6:.1f} MB.")
    if (real := real_file(contract, data_dir)) is not None:
        typer.echo(f"There is a real file too, {real}: `hearth data upload` and `hearth demo` use that one.")


def upload(
    dataset: Annotated[str, values.datasets()] = "employees",
    rows: Annotated[int, values.whole("Rows to generate where there is no real file.")] = _ROWS,
    seed: Annotated[int, values.seed()] = _SEED,
) -> None:
    """Put raw data into the object store.

    That is the real file of data/<data set>/, or where there is none, generated demo data.
    """
    enter(SERVE)
    from hearth.contracts.loading import chosen_contracts  # noqa: PLC0415
    from hearth.settings import StorageSettings  # noqa: PLC0415
    from hearth.storage import ObjectStore  # noqa: PLC0415

    settings = StorageSettings()
    store = ObjectStore.from_settings(settings)
    store.ensure_bucket(settings.data_bucket)
    for contract in chosen_contracts(dataset, settings.data_dir):
        _upload(store, contract, settings.data_dir, rows, seed)


def _upload(store: "ObjectStore", contract: "Contract", data_dir: Path, rows: int, seed: int) -> None:
    from hearth.contracts.airflow_names import LOAD, dag_id  # noqa: PLC0415
    from hearth.contracts.model import BatchSource  # noqa: PLC0415
    from hearth.data.raw_origin import put_generated  # noqa: PLC0415
    from hearth.fakes import raw_file  # noqa: PLC0415

    key = f"{contract.name}/raw/{contract.source.file}"
    if isinstance(contract.source, BatchSource) and store.exists(store.data_bucket, key):
        typer.echo(f"s3://{store.data_bucket}/{key} stays as it is: its rows come in batches, by {dag_id(contract, LOAD)}.")
        return
    raw = raw_file(contract, data_dir, _state_dir(), rows, seed)
    content = raw.path.read_bytes()
    if raw.real:
        store.put(store.data_bucket, key, content)
    else:
        put_generated(store, contract.name, key, content)
    origin = f"the real file {raw.path}" if raw.real else f"demo data of {rows:,} fake rows (seed {seed}), in {raw.path}"
    typer.echo(f"s3://{store.data_bucket}/{key} holds {origin}.")


def _state_dir() -> Path:
    return Path(os.environ.get("HEARTH_STATE_DIR", ".hearth"))
