"""Commands that talk to a REST service, on this machine or another: they need the package alone, and no checkout."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hearth.cli import values
from hearth.cli.application import MODELS, PREDICTIONS, Command, CommandError, DefaultGroup, examples
from hearth.cli.refit import refit
from hearth.cli.service import KEY, URL, open_client

if TYPE_CHECKING:
    from hearth.client.answers import Answer, ApprovalInfo, MovedAliases, StandingInfo, StoredPrediction, Unusual, UnusualColumn

Url = Annotated[str | None, typer.Option(envvar=URL, help="The REST service (default: that of the checkout's stack).", show_default=False)]
ApiKey = Annotated[
    str | None, typer.Option(envvar=KEY, help="The API key (default, for the checkout's stack: its admin key).", show_default=False)
]
Timeout = Annotated[float, values.duration("How long to wait for an answer.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Dataset = Annotated[str | None, typer.Option(metavar="NAME", help="The data set (default: that of the service).", show_default=False)]
NamedDataset = Annotated[str, typer.Argument(metavar="DATASET", help="The data set.")]
Model = Annotated[str, typer.Option(metavar="ALIAS", help="A family, champion, challenger or previous.")]


class Part(StrEnum):
    """What an answer can have beside."""

    SET = "set"
    UNUSUAL = "unusual"


Record = Annotated[
    str | None,
    typer.Argument(metavar="RECORD", help="A record or a list of records as JSON (default: standard input).", show_default=False),
]
RecordFile = Annotated[
    Path | None, typer.Option("--file", metavar="PATH", help="A file of records: JSON, or one JSON object a line.", show_default=False)
]
Includes = Annotated[
    list[Part] | None,
    typer.Option("--include", help="Show the set of classes, or how unusual a record is; may be given twice.", show_default=False),
]
_SECONDS = "60s"  # what explains compiles its code for the first request
_LARGEST_PAGE = 1000
_STANDING = ["present test set", "of data"]
_DIGITS = 8


class Source(StrEnum):
    """How records came to the services."""

    STREAM = "stream"
    REST = "rest"
    GRAPHQL = "graphql"
    GRPC = "grpc"
    FILE = "file"
    BATCH = "batch"


class CardFormat(StrEnum):
    """How a model card is written."""

    HTML = "html"
    MARKDOWN = "markdown"
    JSON = "json"


class Role(StrEnum):
    """Who predicted: the version that answered, or a challenger in shadow."""

    ANSWER = "answer"
    CHALLENGER = "challenger"


def register(app: typer.Typer) -> None:
    """Add the commands."""

    def add(command: Callable[..., None], subject: str, *lines: str) -> None:
        app.command(cls=Command, rich_help_panel=subject, epilog=examples(*lines))(command)

    record = """'{"age": 61, "sex": 0, "cp": 2, ...}'"""
    add(predict, PREDICTIONS, f"hearth predict --dataset heart {record}", "cat records.jsonl | hearth predict --model lightgbm --json")
    add(explain, PREDICTIONS, f"hearth explain --dataset heart --top 3 {record}", "hearth explain --file record.json --class High")
    stored = examples(
        "hearth predictions list --limit 5 --dataset heart",
        "hearth predictions --since 2026-11-21 --limit 100000 --json | jq .label",
        "hearth predictions 1795264225354-0",
        "hearth predictions forget --help",
    )
    group = typer.Typer(cls=DefaultGroup, help="List stored predictions, or show what became of a message.", rich_markup_mode=None)
    group.command("list", cls=Command, epilog=stored)(predictions)
    group.command(cls=Command, epilog=examples("hearth predictions forget 1795264225354-0 --row 3"))(forget)
    app.add_typer(group, name="predictions", rich_help_panel=PREDICTIONS)
    group = typer.Typer(cls=DefaultGroup, help="List the versions that aliases serve; fit one again.", rich_markup_mode=None)
    group.command("list", cls=Command, epilog=examples("hearth models list", "hearth models employees --versions"))(models)
    group.command(cls=Command, epilog=examples("hearth models refit employees 7", "hearth models refit heart champion"))(refit)
    app.add_typer(group, name="models", rich_help_panel=MODELS)
    add(card, MODELS, "hearth card employees", "hearth card employees 7 --format html --output card.html")
    add(promote, MODELS, "hearth promote employees 7", "hearth promote employees --from challenger", "hearth promote heart 7 --to svm")
    add(rollback, MODELS, "hearth rollback employees")
    add(agreement, MODELS, "hearth agreement employees")


def predict(  # noqa: PLR0913, PLR0917 - options
    record: Record = None,
    file: RecordFile = None,
    dataset: Dataset = None,
    model: Model = "champion",
    include: Includes = None,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    timeout: Timeout = _SECONDS,  # type: ignore[assignment]  # Typer parses it
) -> None:
    """Predict the class of records.

    A record is a JSON object with the raw values of its columns. For files of rows there is `hearth score`.
    """
    records = _records(record, file)
    with open_client(url, api_key, timeout) as client:
        answer = client.predict(records, dataset=dataset, model=model, include=[part.value for part in include or ()])
    if as_json:
        return print_json(answer)
    rows = [
        [row, label, f"{probabilities[label]:.4f}", answer.version]
        for row, (label, probabilities) in enumerate(zip(answer.labels, answer.probabilities, strict=True))
    ]
    header = ["row", "label", "probability", "version"]
    if answer.sets is not None:
        header.append("set")
        rows = [[*row, " | ".join(labels)] for row, labels in zip(rows, answer.sets, strict=True)]
    if answer.unusual_records is not None:
        header += ["unusual", "why"]
        rows = [
            [*row, f"{'yes' if item.unusual else 'no'} ({item.score:.4f})", _why_unusual(item)]
            for row, item in zip(rows, answer.unusual_records, strict=True)
        ]
    return print_table(header, rows)


def explain(  # noqa: PLR0913, PLR0917 - options
    record: Record = None,
    file: RecordFile = None,
    dataset: Dataset = None,
    model: Model = "champion",
    explained_class: Annotated[
        str | None,
        typer.Option("--class", metavar="CLASS", help="The class to explain, or all (default: the predicted one).", show_default=False),
    ] = None,
    top: Annotated[int | None, values.whole("Show only the largest contributions.", show_default=False)] = None,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    timeout: Timeout = _SECONDS,  # type: ignore[assignment]  # Typer parses it
) -> None:
    """Show what each column of a record adds to the score of a class."""
    records = _records(record, file)
    with open_client(url, api_key, timeout) as client:
        answer = client.explain(records, dataset=dataset, model=model, explained_class=explained_class, top=top)
    if as_json:
        return print_json(answer)
    rows: list[Sequence[object]] = []
    for part in answer.explanations:
        place = [part.row, part.explained_class]
        rows.append([*place, "(base value)", "", f"{part.base_value:+.4f}"])
        rows += [[*place, item.column, _cell(item.value), f"{item.contribution:+.4f}"] for item in part.contributions]
        if top is not None:
            rows.append([*place, "(other columns)", "", f"{part.rest:+.4f}"])
        rows.append([*place, f"(score, {part.unit})", "", f"{part.score:+.4f}"])
    return print_table(["row", "class", "column", "value", "contribution"], rows)


def predictions(  # noqa: PLR0913, PLR0917 - options
    message_id: Annotated[
        str | None, typer.Argument(metavar="ID", help="A message of the stream or a request: what became of it.", show_default=False)
    ] = None,
    limit: Annotated[int, values.whole("How many, the newest first.", "--limit", "-n")] = 20,
    dataset: Dataset = None,
    model: Annotated[str | None, typer.Option(metavar="ALIAS", help="Only those of this alias.", show_default=False)] = None,
    source: Annotated[Source | None, typer.Option(help="Only those that came this way.", show_default=False)] = None,
    role: Annotated[Role, typer.Option(help="What was answered, or what a challenger predicted in shadow.")] = Role.ANSWER,
    since: Annotated[datetime | None, values.moment("Only those scored at this moment or later.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
    url: Url = None,
    api_key: ApiKey = None,
    timeout: Timeout = _SECONDS,  # type: ignore[assignment]  # Typer parses it
) -> None:
    """List stored predictions, or show what became of a message."""
    with open_client(url, api_key, timeout) as client:
        if message_id is not None:
            outcome = client.prediction(message_id)
            if as_json:
                return print_json(outcome)
            typer.echo(f"{outcome.message_id}: {outcome.status}" + (f", {outcome.problem}" if outcome.problem else ""))
            if outcome.dead:
                typer.echo(f"{outcome.dead.error}: {outcome.dead.reason}")
            return _print_predictions(outcome.predictions)
        stored = client.predictions(
            page_size=min(limit, _LARGEST_PAGE),
            dataset=dataset,
            model=model,
            source=None if source is None else source.value,
            role=role.value,
            since=since,
        )
        chosen = islice(stored, limit)
        if as_json:
            for prediction in chosen:
                typer.echo(prediction.model_dump_json())
            return None
        return _print_predictions(list(chosen))


def forget(  # noqa: PLR0913, PLR0917 - options
    message_id: Annotated[str, typer.Argument(metavar="ID", help="A message of the stream or a request.")],
    row: Annotated[int | None, values.whole("Only this record of the message, counted from 0.", minimum=0, show_default=False)] = None,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    timeout: Timeout = _SECONDS,  # type: ignore[assignment]  # Typer parses it
) -> None:
    """Erase a stored record for good: its predictions and its labels.

    Its id and row are remembered, no value, so that it is never stored or trained on again. Needs a key with the scope admin.
    """
    with open_client(url, api_key, timeout) as client:
        erased = client.forget(message_id, row=row)
    if as_json:
        return print_json(erased)
    what = f"message {message_id}" if row is None else f"record {row} of message {message_id}"
    typer.echo(f"{what} of {erased.dataset}: {erased.predictions} predictions and {erased.labels} labels are erased.")
    for each in erased.trained_on:
        version = f"version {each.version}" if each.version else "no version"
        typer.echo(
            f"It is still in the data {each.digest or 'that were never whole'} of the retraining {each.id} ({each.state}, {version})."
        )
    return None


def models(  # noqa: PLR0913, PLR0917 - options
    dataset: Annotated[str | None, typer.Argument(metavar="DATASET", help="Only this data set.", show_default=False)] = None,
    versions: Annotated[bool, typer.Option("--versions", help="Every registered version of the data set, not only those served.")] = False,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    timeout: Timeout = _SECONDS,  # type: ignore[assignment]  # Typer parses it
) -> None:
    """List the versions that aliases serve, with their scores on the present test set."""
    if versions and dataset is None:
        raise typer.BadParameter("name the data set.", param_hint="--versions")
    with open_client(url, api_key, timeout) as client:
        if versions and dataset is not None:
            registered = client.versions(dataset)
            if as_json:
                return print_json(registered)
            rows = [
                [
                    info.version,
                    info.family,
                    ", ".join(info.aliases),
                    _gate(info.gate, info.approval),
                    *_standing(info.standing),
                    info.origin,
                    f"{info.created:%Y-%m-%d %H:%M}",
                    info.why,
                ]
                for info in registered.versions
            ]
            return print_table(["version", "family", "aliases", "gate", *_STANDING, "made from", "created", "why"], rows)
        answer = client.models()
    chosen = [part for part in answer.datasets if dataset in {None, part.dataset}]
    if not chosen:
        names = ", ".join(part.dataset for part in answer.datasets)
        raise CommandError(f"unknown_dataset: There is no data set {dataset!r}; there are: {names}.")
    if as_json:
        return print_json(answer.model_copy(update={"datasets": chosen}))
    served = [
        [
            part.dataset,
            info.alias,
            info.version or "-",
            info.family or "-",
            *_standing(info.standing),
            info.origin or "-",
            info.problem or info.why,
        ]
        for part in chosen
        for info in part.aliases
    ]
    return print_table(["data set", "alias", "version", "family", *_STANDING, "made from", "problem or reason"], served)


def card(  # noqa: PLR0913, PLR0917 - options
    dataset: NamedDataset,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="The number of the version, or an alias that it carries.")] = "champion",
    form: Annotated[CardFormat, typer.Option("--format", help="How it is written.")] = CardFormat.MARKDOWN,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file (default: standard output).", show_default=False)] = None,
    url: Url = None,
    api_key: ApiKey = None,
    timeout: Timeout = _SECONDS,  # type: ignore[assignment]  # Typer parses it
) -> None:
    """Show the model card of a version.

    It says what the version is for, what it was made from, how good it is, also for groups, and what the gate has decided.
    """
    with open_client(url, api_key, timeout) as client:
        text = client.card(dataset, version, format=form.value)
    if output is None:
        typer.echo(text.rstrip())
    else:
        output.write_text(text, "utf-8")


def promote(  # noqa: PLR0913, PLR0917 - options
    dataset: NamedDataset,
    version: Annotated[
        str | None, typer.Argument(metavar="VERSION", help="The number of the version; or give --from.", show_default=False)
    ] = None,
    from_alias: Annotated[
        str | None, typer.Option("--from", metavar="ALIAS", help="An alias that carries the version.", show_default=False)
    ] = None,
    to: Annotated[str, typer.Option(metavar="ALIAS", help="The alias that it gets.")] = "champion",
    over_gate: Annotated[bool, typer.Option("--over-gate", help="Also if the gate has not passed it; this is written down.")] = False,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    timeout: Timeout = _SECONDS,  # type: ignore[assignment]  # Typer parses it
) -> None:
    """Give an alias to a version.

    A champion that is replaced becomes previous. Needs a key with the scope admin.
    """
    if (version is None) == (from_alias is None):
        raise typer.BadParameter("give either VERSION or --from.")
    with open_client(url, api_key, timeout) as client:
        _print_move(client.promote(dataset, version=version, from_alias=from_alias, to=to, over_gate=over_gate), as_json=as_json)


def rollback(  # noqa: PLR0913, PLR0917 - options
    dataset: NamedDataset,
    over_gate: Annotated[
        bool, typer.Option("--over-gate", help="Also if the previous champion breaks a bound; this is written down.")
    ] = False,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    timeout: Timeout = _SECONDS,  # type: ignore[assignment]  # Typer parses it
) -> None:
    """Let champion and previous change places; a second rollback undoes the first.

    Needs a key with the scope admin.
    """
    with open_client(url, api_key, timeout) as client:
        _print_move(client.roll_back(dataset, over_gate=over_gate), as_json=as_json)


def agreement(
    dataset: NamedDataset,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    timeout: Timeout = _SECONDS,  # type: ignore[assignment]  # Typer parses it
) -> None:
    """Show how often the challenger agrees with the champion.

    What counts is what the process that answers has compared since it served the two versions.
    """
    with open_client(url, api_key, timeout) as client:
        report = client.challenge(dataset)
    if report is None:
        raise CommandError(f"{dataset}: nothing was compared yet. Give a version the alias challenger, and send the champion records.")
    if as_json:
        return print_json(report)
    share = "nothing compared" if report.agreement is None else f"agreement {report.agreement:.1%}"
    typer.echo(
        f"{dataset}: champion {report.champion_version}, challenger {report.challenger_version}, {report.compared:,} records, {share}"
    )
    classes = [[name, count, report.challenger_classes.get(name, 0)] for name, count in report.champion_classes.items()]
    print_table(["class", "champion", "challenger"], classes)
    for reason, count in report.skipped.items():
        typer.echo(f"{count:,} records were not compared: {reason}")
    return None


def _records(text: str | None, file: Path | None) -> list[Mapping[str, object]]:
    """Return the records of the argument, of a file or of standard input; wrong ones end the command with code 2."""
    if text is not None and file is not None:
        raise typer.BadParameter("give RECORD or --file, not both.")
    place = "RECORD" if text is not None else str(file or "standard input")
    if text is None:
        try:
            content = sys.stdin.buffer.read() if file is None else file.read_bytes()
            text = content.decode("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise typer.BadParameter(f"{place} cannot be read: {error}.") from error
    records = _parse(text, place)
    if isinstance(records, dict):
        records = records["data"] if records.keys() == {"data"} else [records]
    if not isinstance(records, list) or not records or not all(isinstance(record, dict) for record in records):
        raise typer.BadParameter(f'{place} must hold a record such as {{"age": 61}}, or a list of records.')
    return records


def _parse(text: str, place: str) -> object:
    from hearth.contracts.strict_json import InvalidJson, RepeatedKey, parse_json  # noqa: PLC0415 - a help page does not wait for pydantic

    try:
        return parse_json(text)
    except RepeatedKey as error:
        raise typer.BadParameter(f"{place} {error}.") from error
    except InvalidJson as error:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) > 1:
            try:
                return [parse_json(line) for line in lines]
            except RepeatedKey as repeated:
                raise typer.BadParameter(f"{place} {repeated}.") from repeated
            except InvalidJson:
                pass
        raise typer.BadParameter(f"{place} {error}.") from error


def print_json(answer: "Answer") -> None:
    """Print an answer as JSON."""
    typer.echo(answer.model_dump_json(indent=2))


def _why_unusual(item: "Unusual") -> str:
    """Return the values that the train set does not have, and the columns whose values are rare together."""
    return "; ".join([*map(_why_strange, item.columns), *(" with ".join(pair) for pair in item.combinations)])


def _why_strange(column: "UnusualColumn") -> str:
    if column.low is not None and column.high is not None:
        return f"{column.name} {_cell(column.value)} ({column.low:g} to {column.high:g})"
    return column.name if column.share is None else f"{column.name} {_cell(column.value)} ({column.share:.2%} of the train set)"


def _print_predictions(stored: Iterable["StoredPrediction"]) -> None:
    rows = [
        [
            f"{item.scored_at:%Y-%m-%d %H:%M:%S}",
            item.message_id,
            item.row,
            f"{item.dataset}@{item.alias}",
            item.version,
            item.source,
            item.label,
            f"{item.probabilities.get(item.label, 0):.4f}",
            "-" if item.set is None else " | ".join(item.set),
            "-" if item.unusual is None else "yes" if item.unusual.unusual else "no",
        ]
        for item in stored
    ]
    print_table(["scored at", "message", "row", "model", "version", "source", "label", "probability", "set", "unusual"], rows)


def _print_move(moved: "MovedAliases", *, as_json: bool) -> None:
    if as_json:
        return print_json(moved)
    what = f"{moved.dataset}@{moved.alias}: version {moved.version} ({moved.family}, gate: {moved.gate})"
    before = moved.before.get(moved.alias)
    how = "carried it before" if not moved.moved else f"before it version {before}" if before else "the alias is new"
    return typer.echo(f"{what}, {how}; served now: {moved.serving or 'no version'}")


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print columns that stand below each other, without lines, so that other programs can read them."""
    table = [list(header), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(line[at]) for line in table) for at in range(len(header))]
    for line in table:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _cell(value: object) -> str:
    return "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _gate(gate: str, approval: "ApprovalInfo | None") -> str:
    """Return the gate's result, with the answer of a person where one was asked."""
    return f"{gate} ({approval.state} by {approval.by})" if approval and approval.by else gate


def _standing(standing: "StandingInfo | None") -> list[str]:
    """Return the cells of `_STANDING`: the score with its interval, and the test set that it is of."""
    if standing is None:
        return ["-", "-"]
    where = f"{standing.data_digest[:_DIGITS]} ({standing.data_origin}), {standing.rows:,} rows"
    if standing.score is None or standing.low is None or standing.high is None:
        return [standing.problem, where]
    return [f"{standing.metric} {standing.score:.3f} ({standing.low:.3f} to {standing.high:.3f})", where]
