"""What a REST service knows of the data: `hearth data report` and `hearth data sample`. They need the package alone, and no checkout."""

from typing import TYPE_CHECKING, Annotated

import typer

from hearth.cli import values
from hearth.cli.application import Command, examples
from hearth.cli.remote import ApiKey, AsJson, NamedDataset, Timeout, Url
from hearth.cli.service import open_client

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hearth.client.answers import DataInfo

_SECONDS = "30s"
_MOST_MOVED = 5


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(cls=Command, epilog=examples("hearth data report employees", "hearth data report heart --json | jq .moved"))(report)
    sampled = "hearth data sample heart | hearth predict --dataset heart"
    app.command(cls=Command, epilog=examples(sampled, "hearth data sample employees --count 100 --seed 7"))(sample)


def report(
    dataset: NamedDataset,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    timeout: Timeout = _SECONDS,  # type: ignore[assignment]  # Typer parses it
) -> None:
    """Describe the data that were published last: rows, rejected rows, duplicates, classes, and columns that have moved."""
    with open_client(url, api_key, timeout) as client:
        info = client.data(dataset)
    if as_json:
        return typer.echo(info.model_dump_json(indent=2))
    for name, value in _facts(info):
        typer.echo(f"{name:<18}{value}")
    return None


def sample(  # noqa: PLR0913, PLR0917 - options
    dataset: NamedDataset,
    count: Annotated[int, values.whole("Records to draw, at most 100.")] = 1,
    seed: Annotated[int | None, typer.Option(metavar="N", help="The same seed gives the same records.", show_default=False)] = None,
    url: Url = None,
    api_key: ApiKey = None,
    timeout: Timeout = _SECONDS,  # type: ignore[assignment]  # Typer parses it
) -> None:
    """Print generated records to try the service with, one JSON object a line."""
    import json  # noqa: PLC0415 - a help page does not need it

    with open_client(url, api_key, timeout) as client:
        drawn = client.samples(dataset, count=count, seed=seed)
    for record in drawn.records:
        typer.echo(json.dumps(record, ensure_ascii=False))


def _facts(info: "DataInfo") -> list[tuple[str, str]]:
    valid = info.rows_in - info.rejected
    facts = [
        ("data", f"{info.digest} ({info.origin}), published {info.published:%Y-%m-%d %H:%M} UTC"),
        ("from", info.source),
        ("rows", f"{info.rows_in:,} read, {info.rejected:,} rejected, {info.kept:,} kept"),
        ("train and test", f"{info.train_rows:,} and {info.test_rows:,}"),
        ("left out", ", ".join(f"{count:,} {reason}" for reason, count in info.dropped.items() if count) or "none"),
        ("duplicates", f"{info.duplicate_share:.1%} of {valid:,} valid rows"),
        ("classes", _shares(info.classes)),
        ("compared with", info.compared_with or "nothing"),
    ]
    if info.moved:
        facts.append(("moved most", _shares(dict(list(info.moved.items())[:_MOST_MOVED]))))
    facts += [("rejected", f"{count:,} rows: {reason}") for reason, count in info.reasons.items()]
    return [*facts, *(("warning", warning) for warning in info.warnings)]


def _shares(shares: "Mapping[str, float]") -> str:
    return ", ".join(f"{name} {share:.1%}" for name, share in shares.items())
