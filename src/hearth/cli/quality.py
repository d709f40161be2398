"""What labels show of the quality of what is served, from the REST service: `hearth quality`."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from hearth.cli import values
from hearth.cli.application import MODELS, Command, examples
from hearth.cli.remote import ApiKey, AsJson, NamedDataset, Timeout, Url, print_json, print_table
from hearth.cli.service import open_client

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hearth.client.answers import Interval, Measured, Quality, QualityPart

_SECONDS = "60s"


def register(app: typer.Typer) -> None:
    """Add the command."""
    lines = examples("hearth quality employees", "hearth quality heart --by group", "hearth quality heart --history 20")
    app.command(cls=Command, rich_help_panel=MODELS, epilog=lines)(quality)


def quality(  # noqa: PLR0913, PLR0917 - options
    dataset: NamedDataset,
    by: Annotated[
        str | None, typer.Option(metavar="WHAT", help="The champion by day, group or alias, instead of all versions.", show_default=False)
    ] = None,
    history: Annotated[int | None, values.whole("List so many of the newest checks instead of the newest one.", maximum=500)] = None,
    at: Annotated[datetime | None, values.moment("The newest check that was made by this moment.")] = None,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    timeout: Timeout = _SECONDS,  # type: ignore[assignment]  # Typer parses it
) -> None:
    """Show what labels say of what is served; `hearth monitor` measures it."""
    if by not in {None, "day", "group", "alias"}:
        raise typer.BadParameter(f"expected day, group or alias, got {by!r}.", param_hint="--by")
    with open_client(url, api_key, timeout) as client:
        if history is not None:
            listed = client.quality_history(dataset, limit=history)
            if as_json:
                return print_json(listed)
            rows = [
                [f"{check.checked_at:%Y-%m-%d %H:%M:%S}", check.version, check.level, check.labels, check.figure, check.evidence]
                for check in listed.checks
            ]
            return print_table(["checked at", "version", "level", "labels", "metric", "evidence"], rows)
        found = client.quality(dataset, at=at)
    return print_json(found) if as_json else _print(found, by)


def _print(found: "Quality", by: str | None) -> None:
    typer.echo(f"{found.dataset}, measured {found.checked_at:%Y-%m-%d %H:%M:%S} UTC: {found.summary}")
    if by is not None:
        champion = found.versions[0]
        parts: dict[str, Sequence[QualityPart]] = {"day": champion.days, "group": champion.groups, "alias": champion.aliases}
        named = [(f"{part.column}: {part.name}" if part.column else part.name, part) for part in parts[by]]
        print_table(
            [by, *_columns(found), "coverage"],
            [[name, *_figures(part.measured), _percent(part.coverage.share if part.coverage else None)] for name, part in named],
        )
        return
    rows = [
        [
            version.version,
            version.subject,
            *_figures(version.measured),
            _percent(version.coverage.share if version.coverage else None),
            version.evidence.value if version.evidence else None,
        ]
        for version in found.versions
    ]
    print_table(["version", "is", *_columns(found), "coverage", "evidence"], rows)
    if found.paired:
        typer.echo(
            f"challenger {found.paired.challenger} less champion {found.paired.champion} on the same {found.paired.rows} records: "
            f"{found.metric} {_interval(found.paired.metric)}"
        )


def _columns(found: "Quality") -> list[str]:
    return ["labels", found.metric, "accuracy", "calibration error"]


def _figures(measured: "Measured") -> list[object]:
    return [measured.rows, _interval(measured.metric), _interval(measured.accuracy), _interval(measured.calibration_error)]


def _interval(interval: "Interval | None") -> str | None:
    return None if interval is None else f"{interval.figure:.3f} ({interval.low:.3f} to {interval.high:.3f})"


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{share:.0%}"
