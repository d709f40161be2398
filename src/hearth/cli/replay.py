"""Dead letters: `hearth replay` lists them, or puts selected ones back on the stream."""

import contextlib
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from hearth.cli import values
from hearth.cli.application import PREDICTIONS, Command, examples
from hearth.cli.audited import audited
from hearth.cli.checkout import SERVE, enter

if TYPE_CHECKING:
    from hearth.settings import StreamSettings
    from hearth.streaming.dead_letters import StoredLetter
    from hearth.streaming.replay import Choice, Replay

_BATCH_LETTERS = 100
_LONGEST_REASON = 100


def register(app: typer.Typer) -> None:
    """Add the command."""
    lines = examples(
        "hearth replay                                            # list all dead letters",
        "hearth replay --error unknown_alias --set alias=champion",
        "hearth replay --since 2026-11-21 --dry-run",
        "hearth replay --all",
        "hearth replay --labels",
    )
    app.command(cls=Command, rich_help_panel=PREDICTIONS, epilog=lines)(replay)


def replay(  # noqa: PLR0913, PLR0917 - a selection has many sides
    id_: Annotated[list[str] | None, typer.Option("--id", metavar="ID", help="Of a message or of its letter; may be repeated.")] = None,
    error: Annotated[
        list[str] | None, typer.Option(metavar="ERROR", help="A kind of error, such as unknown_alias; may be repeated.")
    ] = None,
    dataset: Annotated[list[str] | None, typer.Option(metavar="NAME", help="The data set of the message; may be repeated.")] = None,
    since: Annotated[datetime | None, values.moment("Messages that died at this moment or later.")] = None,
    until: Annotated[datetime | None, values.moment("Messages that died before this moment.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Put all of them back.")] = False,
    changes: Annotated[list[values.FieldChange] | None, values.field_change("Set alias or dataset; may be repeated.", "--set")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would be put back.")] = False,
    labels: Annotated[bool, typer.Option("--labels", help="Of the stream of labels, not of records.")] = False,
) -> None:
    """List dead letters, or put their messages back.

    Without a selection all letters are listed. A message that is put back keeps the id of the first one as its key, so predictions that its
    good records have already stay as they are.
    """
    enter(SERVE)
    from hearth.logs import configure_logging  # noqa: PLC0415 - a help page does not wait for the streaming package
    from hearth.settings import StreamSettings  # noqa: PLC0415
    from hearth.streaming.replay import Choice, Replay, chosen  # noqa: PLC0415

    configure_logging("replay")
    settings = StreamSettings()
    selection = Choice(frozenset(id_ or ()), frozenset(error or ()), frozenset(dataset or ()), since, until)
    name = settings.labels_stream_name if labels else settings.stream_name
    with Replay(settings.redis_url.get_secret_value(), name) as letters:
        if dry_run or not (all_ or selection != Choice()):
            _list(chosen(letters, selection))
        else:
            _put_back(letters, settings, name, selection, {change.name: change.value for change in changes or ()})


def _list(letters: Iterator["StoredLetter"]) -> None:
    from hearth.streaming.messages import ALIAS_FIELDS  # noqa: PLC0415
    from hearth.streaming.replay import field_text  # noqa: PLC0415

    counts: Counter[str] = Counter()
    for letter in letters:
        counts[letter.error] += 1
        reason = letter.reason if len(letter.reason) <= _LONGEST_REASON else letter.reason[: _LONGEST_REASON - 1] + "…"
        address = f"{field_text(letter, b'dataset') or '?'}@{field_text(letter, *ALIAS_FIELDS) or '?'}"
        typer.echo(f"{letter.time[:19]}  {letter.message_id:<20} {address:<24} {letter.error}: {reason}")
    each = ", ".join(f"{count} {error}" for error, count in counts.most_common())
    typer.echo(f"{counts.total()} dead letters{': ' if each else ''}{each}.")


def _put_back(letters: "Replay", settings: "StreamSettings", name: str, selection: "Choice", changes: Mapping[str, str]) -> None:
    """Put letters back in batches; wait while the stream is full, and end after the current batch on SIGTERM or SIGINT."""
    from hearth.audit import Action, Draft  # noqa: PLC0415
    from hearth.streaming.client import StreamWriter  # noqa: PLC0415
    from hearth.streaming.replay import chosen  # noqa: PLC0415
    from hearth.streaming.retrying import Retrier, Stopped, wait_while_full  # noqa: PLC0415

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    retrier = Retrier(stop)
    returned = trimmed = 0
    chosen_by = {part: sorted(map(str, value)) for part, value in vars(selection).items() if isinstance(value, frozenset) and value}
    draft = Draft(subject=name, detail={"selection": chosen_by, "changes": dict(changes)})
    with (
        audited(Action.DEAD_LETTERS_REPLAYED, draft),
        StreamWriter(settings.redis_url.get_secret_value(), name, settings.stream_keep_messages) as writer,
    ):
        selected = chosen(letters, selection)
        writer.length()  # raises if the server is away from the start; a server that goes away later is waited for
        with contextlib.suppress(Stopped):  # the counts below say how far it came
            while batch := list(islice(selected, _BATCH_LETTERS)):
                wait_while_full(writer.length, settings.stream_max_length, retrier)
                if retrier.stopping:
                    break
                readable = [letter for letter in batch if letter.fields]
                returned += len(letters.put_back(readable, changes))
                trimmed += len(batch) - len(readable)
                draft.detail["messages"] = returned
    typer.echo(f"{returned} messages are back on the stream.")
    if trimmed:
        typer.echo(f"{trimmed} are not: their messages had been trimmed from the stream before anybody read them.")
