"""`hearth score`: one file by the REST service, or a batch of files and objects in this process."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hearth.cli import values
from hearth.cli.application import PREDICTIONS, Command, CommandError, examples
from hearth.cli.checkout import SERVE, enter
from hearth.cli.remote import ApiKey, Dataset, Includes, Part, Url
from hearth.cli.service import open_client

if TYPE_CHECKING:
    import numpy as np

    from hearth.batch.model import BatchModel, Explain
    from hearth.batch.runner import Batch, OnStep, Step
    from hearth.contracts import Contract
    from hearth.contracts.record_parser import Columns
    from hearth.registry import Registry
    from hearth.storage import ObjectStore

_SECONDS = 600.0
_STORE = "s3://"

ModelOrVersion = Annotated[str, typer.Option(metavar="ALIAS", help="A family, champion, challenger or previous; of a batch a version too.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    lines = examples(
        "hearth score staff.csv                                                  # by the service, beside the file",
        "hearth score staff.parquet --output scored.parquet --url https://hearth.example.org",
        "hearth score s3://data/staff/2026 --output s3://data/staff-scored --keep 'Employee ID'",
        "hearth score january.csv.gz february.csv.gz --output scored/ --model 7 --include set",
    )
    app.command(cls=Command, rich_help_panel=PREDICTIONS, epilog=lines)(score)


def score(  # noqa: PLR0913, PLR0917 - options
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE", help="A file, a folder or s3://bucket/prefix, of CSV or Parquet.")],
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help="The scored file (default: beside the file), or the place of a batch.", show_default=False),
    ] = None,
    dataset: Dataset = None,
    model: ModelOrVersion = "champion",
    include: Includes = None,
    strict: Annotated[bool, typer.Option("--strict", help="End with code 1 if a row breaks the contract.")] = False,
    prefix: Annotated[
        str | None, typer.Option(help="Of one file: what the names of the added columns begin with.", show_default=False)
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="Of a batch: a column that goes along; may be repeated.", show_default=False)
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Of a batch: what each column adds to the predicted class; slow.")] = False,
    chunk_rows: Annotated[
        int | None, values.whole("Of a batch: rows that are scored together, and in one part.", maximum=1_000_000, show_default=False)
    ] = None,
    sample: Annotated[
        bool, typer.Option("--sample/--no-sample", help="Of a batch: whether a sample of its records is stored, and counts for drift.")
    ] = True,
    url: Url = None,
    api_key: ApiKey = None,
    timeout: Annotated[float | None, values.duration("Of one file: how long to wait for an answer.", show_default=False)] = None,
) -> None:
    """Score a file by the service, or a batch of files or objects in this process.

    One file with an output that is a file, or none, goes to the service: every row stays, and one that breaks the contract has no
    prediction; its column `error` says why. Folders, prefixes, several files, and an output that is a folder (it exists, or ends with /) or
    s3://bucket/prefix make a batch: Parquet parts, rejected rows apart, and a summary; a batch that was stopped goes on where it was.
    """
    if not _is_batch(sources, output):
        _refuse({"--keep": keep, "--explain": explain, "--chunk-rows": chunk_rows, "--no-sample": not sample}, "a batch")
        _score_file(sources[0], output, dataset, model, include or (), prefix or "", url, api_key, timeout or _SECONDS, strict=strict)
        return
    _refuse({"--prefix": prefix, "--timeout": timeout}, "one file")
    if output is None:
        raise typer.BadParameter("a batch needs a folder, with / at its end, or s3://bucket/prefix.", param_hint="--output")
    enter(SERVE)
    with _batch(sources, output, dataset, model, include or (), keep or (), chunk_rows, explain=explain, sample=sample) as batch:
        _run(*batch, strict=strict)


def _is_batch(sources: Sequence[str], output: str | None) -> bool:
    several = len(sources) > 1 or any(source.startswith(_STORE) or Path(source).is_dir() for source in sources)
    return several or (output is not None and (output.startswith(_STORE) or output.endswith("/") or Path(output).is_dir()))


def _refuse(options: dict[str, object], which: str) -> None:
    for name, value in options.items():
        if value:
            raise typer.BadParameter(f"only for {which}.", param_hint=name)


def _score_file(  # noqa: PLR0913, PLR0917 - the options
    source: str,
    output: str | None,
    dataset: str | None,
    model: str,
    include: Sequence[Part],
    prefix: str,
    url: str | None,
    api_key: str | None,
    timeout: float,
    *,
    strict: bool,
) -> None:
    file = Path(source)
    if not file.is_file():
        raise typer.BadParameter(f"File {source!r} does not exist.", param_hint="SOURCE")
    target = Path(output) if output else file.with_stem(f"{file.stem}_scored")
    if target.exists() and target.samefile(file):
        raise typer.BadParameter("the scored file would replace the file itself.", param_hint="--output")
    with open_client(url, api_key, timeout) as client:
        scored = client.predict_file(file, target, dataset=dataset, model=model, include=[part.value for part in include], prefix=prefix)
    typer.echo(
        f"{scored.path}: {scored.rows - scored.rows_refused:,} of {scored.rows:,} rows scored by {scored.alias}, version {scored.version}."
    )
    if scored.understood:
        typer.echo(f"Read as: {scored.understood}.")
    if scored.rows_refused and strict:
        raise CommandError(f"{scored.rows_refused:,} rows break the contract; the column {prefix}error says why.")


@contextmanager
def _batch(  # noqa: PLR0913, PLR0917 - the options
    sources: Sequence[str],
    output: str,
    dataset: str | None,
    name: str,
    include: Sequence[Part],
    keep: Sequence[str],
    chunk_rows: int | None,
    *,
    explain: bool,
    sample: bool,
) -> Iterator[tuple["Batch", "Registry"]]:
    from hearth.batch.chunk import Parts  # noqa: PLC0415 - a help page waits for none of it
    from hearth.batch.objects import find_objects  # noqa: PLC0415
    from hearth.batch.output import find_output  # noqa: PLC0415
    from hearth.batch.runner import CHUNK_ROWS, Batch  # noqa: PLC0415
    from hearth.batch.sample import Sampler  # noqa: PLC0415
    from hearth.contracts import load_contract  # noqa: PLC0415
    from hearth.contracts.texts import normalized  # noqa: PLC0415
    from hearth.logs import configure_logging  # noqa: PLC0415
    from hearth.predictions.personal_hash import PersonalHash  # noqa: PLC0415
    from hearth.registry import Registry  # noqa: PLC0415
    from hearth.settings import BatchSettings  # noqa: PLC0415
    from hearth.storage import ObjectStore  # noqa: PLC0415

    configure_logging("score", "CRITICAL")  # what it would log is printed
    settings = BatchSettings()
    dataset = dataset or settings.api_default_dataset
    if not dataset:
        raise typer.BadParameter("which data set?", param_hint="--dataset")
    contract, registry = load_contract(dataset), Registry.from_settings()
    stores: list[ObjectStore] = []

    def store() -> "ObjectStore":
        if not stores:
            stores.append(ObjectStore.from_settings())
        return stores[0]

    objects, place = find_objects(sources, store), find_output(output, sources, store)
    model, explainer = _load(registry, contract, name, explain=explain)
    hashes = PersonalHash.of(contract, settings.predictions_hash_key.get_secret_value() if sample else "0" * 16)
    yield (
        Batch(
            contract=contract,
            model=model,
            objects=objects,
            output=place,
            sampler=Sampler(contract, hashes, settings.batch_sample_records if sample else 0),
            parts=Parts(Part.SET in include, Part.UNUSUAL in include, explainer),
            keep=[normalized(name.strip()) for name in keep],
            chunk_rows=chunk_rows or CHUNK_ROWS,
        ),
        registry,
    )


def _load(registry: "Registry", contract: "Contract", name: str, *, explain: bool) -> tuple["BatchModel", "Explain | None"]:
    """Load a version in its compiled form, and what explains it."""
    from hearth.batch.model import BatchModel  # noqa: PLC0415
    from hearth.serving.explaining.tree_shap import TreeContributions  # noqa: PLC0415
    from hearth.serving.loaded_model import load_version  # noqa: PLC0415

    loaded = load_version(registry, contract, name, registry.version(contract.name, name).version)
    model = BatchModel(
        loaded.dataset,
        name,
        loaded.version,
        loaded.family,
        loaded.run_id,
        loaded.scorer,
        loaded.trust.sets if loaded.trust else None,
        loaded.unusual.scores if loaded.unusual else None,
    )
    trees = TreeContributions.of(loaded.scorer.pipeline, contract) if explain else None
    if not explain:
        return model, None
    if trees is None:
        raise CommandError(
            f"Version {loaded.version} ({loaded.family}) cannot be explained in bulk, only LightGBM without calibration. "
            "`hearth explain` explains single records of any version."
        )

    def explained(columns: "Columns", codes: "np.ndarray") -> "np.ndarray":
        contributions = trees.attribute(loaded.scorer, columns).contributions
        chosen: np.ndarray = contributions[range(len(codes)), :, codes]
        return chosen

    return model, explained


def _run(batch: "Batch", registry: "Registry", *, strict: bool) -> None:
    from hearth.batch.reporting import describe, log_summary, store_sample  # noqa: PLC0415
    from hearth.batch.runner import finish, require_complete, score_objects  # noqa: PLC0415
    from hearth.settings import PredictionsSettings  # noqa: PLC0415

    with _progress(batch) as show:
        score_objects(batch, on_step=show)

    def record(sample: Sequence[object]) -> None:
        store_sample(PredictionsSettings().predictions_url.get_secret_value(), sample)  # type: ignore[arg-type]  # as the runner gives them

    summary = finish(batch, record, partial(log_summary, registry, batch.contract))
    typer.echo(f"{describe(summary)}.")
    typer.echo(", ".join(f"{label}: {count:,}" for label, count in summary.labels.items()))
    require_complete(summary)
    if summary.rejected and strict:
        raise CommandError(f"{summary.rejected:,} rows break the contract: {summary.output}/rejected says why.")


@contextmanager
def _progress(batch: "Batch") -> Iterator["OnStep"]:
    """Yield a function that shows each step: a bar on a terminal, else a line for each object."""
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn  # noqa: PLC0415

    console = Console(stderr=True)
    text, rows = TextColumn("{task.description}"), TextColumn("{task.fields[rows]:,} rows, {task.fields[rejected]:,} rejected")
    columns = (text, BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TimeRemainingColumn(), rows)
    counts: dict[str, Any] = {"rows": 0, "rejected": 0}
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(batch.contract.name, total=sum(each.size for each in batch.objects), **counts)

        def show(step: "Step") -> None:
            counts["rows"] += step.rows
            counts["rejected"] += step.rejected
            progress.update(task, advance=step.source.size if step.is_end else 0, description=step.source.name, **counts)
            if step.is_end and not console.is_terminal:
                console.print(f"{step.source.address}: {counts['rows']:,} rows so far, {counts['rejected']:,} rejected", highlight=False)

        yield show
