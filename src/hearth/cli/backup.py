"""Backups: `hearth backup`, `hearth backup list` and `verify`, and `hearth restore`."""

from typing import TYPE_CHECKING, Annotated

import typer

from hearth.cli import values
from hearth.cli.application import STACK, Command, CommandError, examples, make_app
from hearth.cli.checkout import SERVE, enter

if TYPE_CHECKING:
    from hearth.backup.manifest import Manifest
    from hearth.backup.places import Place

_PLACE = "A folder, or s3://bucket/prefix (default: HEARTH_BACKUP_TO)."
From = Annotated[str | None, typer.Option("--from", metavar="PLACE", help=_PLACE)]
Id = Annotated[str | None, typer.Argument(metavar="ID", help="A backup (default: the newest whole one).", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    lines = examples("hearth backup --to /mnt/backups", "hearth backup list", "hearth backup verify --from s3://backups/hearth")
    group = make_app("Back up the whole stack, list backups, check them.", no_args_is_help=False, invoke_without_command=True)
    group.callback(epilog=lines)(backup)
    group.command("list", cls=Command, epilog=examples("hearth backup list --from /mnt/backups"))(list_)
    group.command(cls=Command, epilog=examples("hearth backup verify", "hearth backup verify 20261129T224100Z-ab12"))(verify)
    app.add_typer(group, name="backup", rich_help_panel=STACK)
    lines = examples("hearth restore --from /mnt/backups", "hearth restore 20261129T224100Z-ab12 --force")
    app.command(cls=Command, rich_help_panel=STACK, epilog=lines)(restore)


def backup(
    context: typer.Context,
    to: Annotated[str | None, typer.Option("--to", metavar="PLACE", help=_PLACE)] = None,
    keep: Annotated[int | None, values.whole("Delete all but this many of the newest backups there.")] = None,
) -> None:
    """Back up databases, object store and streams, encrypted with HEARTH_BACKUP_KEY. The stack may go on working."""
    if context.invoked_subcommand:
        return
    enter(SERVE)
    from hearth.backup.create import create_backup, remove_old  # noqa: PLC0415 - a help page does not wait for pandas

    place = _place(to)
    manifest = create_backup(place)
    typer.echo(f"The backup {manifest.id} is in {place}: {_described(manifest)}.")
    for warning in manifest.warnings:
        typer.echo(f"warning: {warning}.", err=True)
    for backup_id in remove_old(place, keep) if keep else []:
        typer.echo(f"The backup {backup_id} is deleted.")


def list_(from_: From = None) -> None:
    """List the backups of a place, oldest first. Needs no key."""
    enter(SERVE)
    from hearth.backup.listing import list_backups  # noqa: PLC0415

    place = _place(from_)
    found = list_backups(place)
    for entry in found:
        state = _described(entry.manifest) if entry.manifest else entry.problem
        typer.echo(f"{entry.id}  {entry.started_at:%Y-%m-%d %H:%M:%S} UTC  {entry.size / 1e6:>10,.1f} MB  {state}")
    if not found:
        typer.echo(f"There is no backup in {place}.")


def verify(backup_id: Id = None, from_: From = None) -> None:
    """Check a backup without restoring it: every byte is read, decrypted and compared with what was written."""
    enter(SERVE)
    from hearth.backup.create import require_secret  # noqa: PLC0415
    from hearth.backup.listing import choose_backup  # noqa: PLC0415
    from hearth.backup.verify import find_problems, open_backup  # noqa: PLC0415
    from hearth.settings import BackupPlaceSettings  # noqa: PLC0415

    place = _place(from_)
    chosen = choose_backup(place, backup_id)
    manifest, vault = open_backup(place, chosen, require_secret(BackupPlaceSettings().backup_key.get_secret_value()))
    if problems := list(find_problems(place, manifest, vault)):
        raise CommandError("\n".join([f"The backup {chosen} in {place} is damaged:", *problems]))
    typer.echo(f"The backup {chosen} in {place} is whole: {_described(manifest)}.")
    for warning in manifest.warnings:
        typer.echo(f"warning: {warning}.", err=True)


def restore(
    backup_id: Id = None,
    from_: From = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there, from the beginning.")] = False,
) -> None:
    """Fill an empty stack with a backup.

    Its servers have to run (PostgreSQL, Valkey, object store, MLflow, Airflow's tables), and nothing else of it: `make restore` does that.
    After an interruption, give the same command again.
    """
    enter(SERVE)
    from hearth.backup.listing import choose_backup  # noqa: PLC0415
    from hearth.backup.restore import restore_backup  # noqa: PLC0415

    place = _place(from_)
    chosen = choose_backup(place, backup_id)
    typer.echo(f"Restoring {chosen} from {place}.")
    restore_backup(place, chosen, force=force, announce=lambda line: typer.echo(f"  {line}"))
    typer.echo(f"The backup {chosen} is restored.")


def _place(address: str | None) -> "Place":
    from hearth.backup.places import open_place  # noqa: PLC0415
    from hearth.settings import BackupPlaceSettings  # noqa: PLC0415

    settings = BackupPlaceSettings()
    return open_place(address or settings.backup_to, settings)


def _described(manifest: "Manifest") -> str:
    rows = sum(sum(database["tables"].values()) for database in manifest.databases.values())
    objects = sum(bucket["objects"] for bucket in manifest.buckets.values())
    entries = sum(stream["entries"] for stream in manifest.streams.values())
    seconds = (manifest.finished_at - manifest.started_at).total_seconds()
    return f"{rows:,} rows, {objects:,} objects, {entries:,} stream entries; {manifest.size / 1e6:,.1f} MB in {seconds:.1f} s"
