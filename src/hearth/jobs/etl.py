"""The ETL, one function a DAG task: find the raw file, validate, process, log, publish.

Only keys and digests go from one to the next, and each may run again with the same result. Without a `store` or a `registry` the functions
connect to those of the environment.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

from pydantic import TypeAdapter

from hearth.contracts import Contract, load_contract
from hearth.contracts.airflow_names import LOAD, dag_id
from hearth.contracts.experiment_names import etl_experiment
from hearth.contracts.loading import contract_path
from hearth.contracts.model import BatchSource
from hearth.contracts.names import metric_name
from hearth.contracts.origins import UNKNOWN, Origin
from hearth.data import processed
from hearth.data.all_rows import AllRows
from hearth.data.checks import CheckReport
from hearth.data.checks.report import LEVELS
from hearth.data.chunked_cleaning import PreparedSplit, clean_and_split
from hearth.data.cleaning import DUPLICATE, Cleaned, Split, digest
from hearth.data.processed import Manifest, Published
from hearth.data.profile import Profile, description_table, profile
from hearth.data.validated_spool import ValidatedSpool
from hearth.errors import InvalidRawData
from hearth.executors import find_executor
from hearth.jobs.shift_check import Comparison, compare
from hearth.jobs.validate_raw import check_raw, raw_objects
from hearth.jobs.work_folder import work_folder
from hearth.logs import about
from hearth.registry import InputData, Registry
from hearth.settings import RawFileSettings
from hearth.storage import ObjectStore
from hearth.training.folds import FOLDS, require_different_groups

if TYPE_CHECKING:
    import hashlib

    import pandas as pd

logger = logging.getLogger(__name__)

_CHECK_FILES = (processed.CHECK, processed.CHECK_PAGE)
_KEY_DIGITS = 16
_LONGEST_PARAMETER = 1_000  # characters; MLflow takes 6,000


@dataclass(frozen=True)
class Validation:
    """The result of the validation; lies beside the validated rows as `<key>.json`.

    `understood` says how the file was read, `warnings` what a person should look at, `reasons` how many rows were rejected for what.
    """

    source: str
    rows_in: int
    columns_in: int
    rejected: int
    origin: Origin = UNKNOWN
    understood: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    reasons: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class EtlReport:
    """How a processed data set was made; `report.json`. Means and standard deviations are of the train set's numbers.

    `moved` is the share of the rows of each column that would have to change to be as the data in `compared_with`.
    """

    dataset: str
    digest: str
    validation: Validation
    dropped: Mapping[str, int]
    missing_before: Mapping[str, int]
    missing_after: Mapping[str, int]
    train_rows: int
    test_rows: int
    means: Mapping[str, float | None]
    stds: Mapping[str, float | None]
    parameters: Mapping[str, str | float | int]
    compared_with: str = ""
    moved: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def duplicate_share(self) -> float:
        """The share of the valid rows that were left out as copies of others."""
        return self.dropped[DUPLICATE] / max(self.validation.rows_in - self.validation.rejected, 1)

    def metrics(self) -> dict[str, float]:
        """Return all counts and measures, under names that MLflow accepts."""
        metrics: dict[str, float] = {
            "rows_in": self.validation.rows_in,
            "columns_in": self.validation.columns_in,
            "rows_rejected": self.validation.rejected,
            "train_rows": self.train_rows,
            "test_rows": self.test_rows,
            "missing_before": sum(self.missing_before.values()),
            "missing_after": sum(self.missing_after.values()),
        }
        metrics |= {f"dropped/{reason}": count for reason, count in self.dropped.items()}
        metrics["duplicate_share"] = self.duplicate_share
        metrics |= {metric_name("moved", name): share for name, share in self.moved.items()}
        metrics |= {metric_name("missing_before", name): count for name, count in self.missing_before.items()}
        metrics |= {metric_name("missing_after", name): count for name, count in self.missing_after.items()}
        metrics |= {metric_name("mean", name): value for name, value in self.means.items() if value is not None}
        metrics |= {metric_name("std", name): value for name, value in self.stds.items() if value is not None}
        return metrics


_VALIDATION = TypeAdapter(Validation)
_REPORT = TypeAdapter(EtlReport)


def report_json(report: EtlReport) -> bytes:
    """Write a report as it lies in the bucket."""
    return _REPORT.dump_json(report, indent=2)


def find_raw(dataset: str, file: str | None = None, *, store: ObjectStore | None = None) -> str:
    """Return the key of the raw file in the bucket `data`: the contract's `source.file`, or another one beside it. Reads nothing of it.

    Where there is no such file but a folder with this name, its key ends with `/`, and all files below it are read, but those whose
    names, or whose folders' names, begin with `.` or `_`: marks of other programs.

    Raises:
        InvalidRawData: there is none.
    """
    contract, store = load_contract(dataset), store or ObjectStore.from_settings()
    key = f"{dataset}/raw/{file or contract.source.file}"
    if not store.exists(store.data_bucket, key):
        if raw_objects(store, f"{key}/"):
            return f"{key}/"
        loads = isinstance(contract.source, BatchSource)
        folder = f"{dataset}/raw/"
        files = ", ".join(sorted(other.removeprefix(folder) for other in store.keys(store.data_bucket, folder))) or "nothing"
        raise InvalidRawData(
            f"s3://{store.data_bucket}/{key} does not exist, as a file or as a folder of raw files. In {folder} there is: {files}. "
            + (f"The DAG {dag_id(contract, LOAD)} gathers the rows and puts them there; " if loads else "")
            + f"`hearth data upload --dataset {dataset}` puts the raw file there: yours, or demo data."
        )
    return key


def validate(dataset: str, raw_key: str, *, store: ObjectStore | None = None) -> str:
    """Check the raw file against the contract and write the valid rows; others go to `<dataset>/rejected/` with line and reason.

    Returns:
        The key of the valid rows, named after the raw bytes and the contract.

    Raises:
        InvalidRawData: the file is empty, binary or no table of the contract's columns, or more of its rows break the contract than the
            contract tolerates.
    """
    contract, store = load_contract(dataset), store or ObjectStore.from_settings()
    source = f"s3://{store.data_bucket}/{raw_key}"
    with work_folder() as folder:
        raw, spool = check_raw(contract, store, raw_key, folder, RawFileSettings().raw_max_bytes)
        name, totals = _validation_name(contract, raw.hash), spool.totals
        for sentence in raw.understood:
            logger.info("%s: %s", source, sentence, extra=about(dataset))
        for sentence in raw.warnings:
            logger.warning("%s: %s", source, sentence, extra=about(dataset))

        rejected_key = f"{dataset}/rejected/{name}.csv"
        where = f"s3://{store.data_bucket}/{rejected_key}"
        if totals.rejected:
            store.put_file(store.data_bucket, rejected_key, spool.rejected)
            text = "%s: %d of %d rows rejected, see %s"
            logger.warning(text, source, totals.rejected, totals.rows, where, extra=about(dataset))
        if totals.rejected > contract.cleaning.max_rejected_share * totals.rows:
            raise InvalidRawData(_too_many_rejected(contract, source, spool, where))

        key = f"{dataset}/validated/{name}.parquet"
        summary = Validation(source, totals.rows, raw.columns, totals.rejected, raw.origin, raw.understood, raw.warnings, totals.reasons)
        store.put(store.data_bucket, f"{key}.json", _VALIDATION.dump_json(summary))
        store.put_file(store.data_bucket, f"{key}{processed.LINES}", spool.lines)
        store.put_file(store.data_bucket, key, spool.rows)
    return key


def process(dataset: str, validated_key: str, *, store: ObjectStore | None = None) -> str:
    """Clean, split and write the data set under the digest of its contents; of one that exists, only what tells of the raw file.

    Returns:
        The digest.

    Raises:
        UntrainableData: a class has too few train rows.
        ShiftedData: a column differs too much from the data that were published last. After either nothing is written, so those stay.
    """
    contract, store = load_contract(dataset), store or ObjectStore.from_settings()
    validation = _VALIDATION.validate_json(store.get(store.data_bucket, f"{validated_key}.json"))
    with work_folder() as folder:
        validated = folder / "validated.parquet"
        store.copy_to(store.data_bucket, validated_key, validated)
        with find_executor(validated.stat().st_size) as executor:
            prepared = clean_and_split(contract, validated, folder, executor)
        return _publishable(contract, store, validated_key, validation, prepared)


def _publishable(contract: Contract, store: ObjectStore, validated_key: str, validation: Validation, prepared: PreparedSplit) -> str:
    """Write a split under the digest of its contents unless it is there; returns the digest."""
    dataset, cleaned, parts = contract.name, prepared.cleaned, prepared.split
    require_different_groups(contract, parts.y_train, prepared.train_classes, at_least=FOLDS)
    name = digest(parts)
    checked = [file for file in _CHECK_FILES if store.exists(store.data_bucket, f"{validated_key}.{file}")]
    for file in checked:  # also beside data that are there already: the last raw file that gave them
        store.put(
            store.processed_bucket, processed.processed_key(dataset, name, file), store.get(store.data_bucket, f"{validated_key}.{file}")
        )
    if processed.is_whole(store, dataset, name):
        logger.info("s3://%s/%s/%s is there already", store.processed_bucket, dataset, name, extra=about(dataset))
        processed.note_origin(store, dataset, name, validation.origin)
        key = processed.processed_key(dataset, name, processed.REPORT)
        earlier = store.get(store.processed_bucket, key)
        again = _REPORT.dump_json(_report_again(contract, validation, cleaned, _REPORT.validate_json(earlier)), indent=2)
        if again != earlier:
            store.put(store.processed_bucket, key, again)
        return name

    comparison = compare(contract, store, parts)
    reference = profile(contract, parts.X_train, parts.y_train, name)
    report = _report(contract, validation, cleaned, parts, reference, comparison)
    if report.dropped[DUPLICATE]:
        logger.info(
            "%s: %d rows (%.1f%%) are copies of others and were left out",
            dataset,
            report.dropped[DUPLICATE],
            100 * report.duplicate_share,
            extra=about(dataset),
        )
    processed.write_prepared(store, dataset, name, prepared)
    texts = {
        processed.PROFILE: reference.to_json(),
        processed.REPORT: report_json(report),
        processed.CONTRACT: contract_path(dataset).read_bytes(),
    }
    for file, content in texts.items():
        store.put(store.processed_bucket, processed.processed_key(dataset, name, file), content)
    processed.write_manifest(store, Manifest(dataset, name, report.train_rows, report.test_rows, validation.origin))
    return name


def log(dataset: str, digest_: str, *, store: ObjectStore | None = None, registry: Registry | None = None) -> str:
    """Log a processed data set to the MLflow experiment `<dataset>_etl`, in one run for each digest, which tells of the last raw file.

    Returns:
        The id of the run.
    """
    store, registry = store or ObjectStore.from_settings(), registry or Registry.from_settings()
    files = {
        name: store.get(store.processed_bucket, processed.processed_key(dataset, digest_, name))
        for name in (processed.PROFILE, processed.REPORT, processed.CONTRACT, *_CHECK_FILES)
        if name not in _CHECK_FILES or store.exists(store.processed_bucket, processed.processed_key(dataset, digest_, name))
    }
    report = _REPORT.validate_json(files[processed.REPORT])
    with work_folder() as folder:
        both = AllRows(processed.copy_processed(store, dataset, digest_, folder))
        description = description_table(cast("pd.DataFrame", both))
        data = InputData(dataset, digest_, both.sketch(), processed.split_source(store, dataset, digest_), "etl", len(both))
    return registry.log_etl(
        etl_experiment(load_contract(dataset)),
        params={**report.parameters, "origin": processed.read_manifest(store, dataset, digest_).origin},
        metrics={**report.metrics(), **_check_metrics(files)},
        artifacts={**files, "description.csv": description.to_csv(index=False).encode()},
        data=data,
    )


def _check_metrics(files: Mapping[str, bytes]) -> dict[str, float]:
    """Return how many findings of each level there are."""
    if processed.CHECK not in files:
        return {}
    report = CheckReport.from_json(files[processed.CHECK])
    return {f"findings/{level}": len(report.at(level)) for level in LEVELS}


def publish(dataset: str, digest_: str, *, store: ObjectStore | None = None) -> Published:
    """Make a processed data set the one that training takes; raises ObjectNotFound if it is not whole."""
    store = store or ObjectStore.from_settings()
    return processed.write_latest(store, processed.read_manifest(store, dataset, digest_))


def _validation_name(contract: Contract, sha: "hashlib._Hash") -> str:
    """Name validated rows after the bytes of the raw files, whose hash is given, and the contract."""
    sha.update(contract.model_dump_json().encode())
    return sha.hexdigest()[:_KEY_DIGITS]


def _too_many_rejected(contract: Contract, source: str, spool: ValidatedSpool, where: str) -> str:
    rejected, rows = spool.totals.rejected, spool.totals.rows
    return (
        f"{source}: {rejected} of {rows} rows ({rejected / rows:.1%}) break the contract; "
        f"the limit is {contract.cleaning.max_rejected_share:.1%} (cleaning.max_rejected_share). All are in {where}. The first:\n"
        + "\n".join(f"line {line}: {reason}" for line, reason in spool.first)
    )


def _report(  # noqa: PLR0913, PLR0917 - the parts of the report
    contract: Contract, validation: Validation, cleaned: Cleaned, parts: Split, reference: Profile, comparison: Comparison
) -> EtlReport:
    return EtlReport(
        dataset=contract.name,
        digest=reference.digest,
        validation=validation,
        dropped=cleaned.dropped,
        missing_before=cleaned.missing_before,
        missing_after=cleaned.missing_after,
        train_rows=len(parts.X_train),
        test_rows=len(parts.X_test),
        means={name: number.mean for name, number in reference.numbers.items()},
        stds={name: number.std for name, number in reference.numbers.items()},
        compared_with=comparison.reference,
        moved={shift.name: shift.moved for shift in comparison.shifts},
        warnings=(*validation.warnings, *map(str, comparison.noteworthy)),
        parameters=etl_parameters(contract, validation, comparison.reference),
    )


def _report_again(contract: Contract, validation: Validation, cleaned: Cleaned, earlier: EtlReport) -> EtlReport:
    """Return the report of data that are there already, as another raw file gave them; what they were compared with stays."""
    return replace(
        earlier,
        validation=validation,
        dropped=cleaned.dropped,
        missing_before=cleaned.missing_before,
        missing_after=cleaned.missing_after,
        warnings=(*validation.warnings, *earlier.warnings[len(earlier.validation.warnings) :]),
        parameters=etl_parameters(contract, validation, earlier.compared_with),
    )


def etl_parameters(contract: Contract, validation: Validation, compared_with: str) -> dict[str, str | float | int]:
    """Return what of a contract decides about processed data, as the report and MLflow have it."""
    return {
        "test_share": contract.split.test_share,
        "seed": contract.split.seed,
        "dropped_columns": ", ".join(contract.drop),
        "categorical_columns": ", ".join(contract.categorical_features),
        "target": contract.target.column,
        "cuts": ", ".join(f"{cut:g}" for cut in contract.target.cuts),
        "classes": ", ".join(contract.target.classes),
        "max_nulls": contract.cleaning.max_nulls,
        "drop_duplicates": str(contract.cleaning.drop_duplicates),
        "compare_identifiers": str(contract.cleaning.compare_identifiers),
        "max_shift": contract.cleaning.max_shift,
        "read_as": "; ".join(validation.understood)[:_LONGEST_PARAMETER],
        "compared_with": compared_with or "nothing",
        "max_rejected_share": contract.cleaning.max_rejected_share,
    }
