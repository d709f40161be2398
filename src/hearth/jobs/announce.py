"""Let the services know which data were published last, and how they were made: they read MLflow, not the object store."""

import logging

from pydantic import TypeAdapter

from hearth.contracts import Contract, load_contract
from hearth.contracts.experiment_names import etl_experiment
from hearth.contracts.origins import Origin
from hearth.data import processed
from hearth.data.data_report import DataReport, largest, shortened, without_personal
from hearth.data.profile import Profile
from hearth.jobs.etl import EtlReport
from hearth.logs import about
from hearth.registry import Registry
from hearth.storage import ObjectStore

_LOGGER = logging.getLogger(__name__)
_REPORT = TypeAdapter(EtlReport)


def announce(dataset: str, digest: str, *, store: ObjectStore | None = None, registry: Registry | None = None) -> DataReport:
    """Write the report of published data into the run that logged them, and mark that run as the latest. May run again.

    Raises:
        ObjectNotFound: the data are not whole.
        RegistryError: they were not logged.
    """
    store, registry, contract = store or ObjectStore.from_settings(), registry or Registry.from_settings(), load_contract(dataset)
    origin = processed.read_manifest(store, dataset, digest).origin
    report = _REPORT.validate_json(store.get(store.processed_bucket, processed.processed_key(dataset, digest, processed.REPORT)))
    public = public_report(contract, report, origin, processed.load_profile(store, dataset, digest))
    registry.record_publication(etl_experiment(contract), public)
    _LOGGER.info("%s: services show the report of data %s", dataset, digest, extra=about(dataset))
    return public


def public_report(contract: Contract, report: EtlReport, origin: Origin, reference: Profile) -> DataReport:
    """Return what people may read of a report: bounded, and without values of personal columns."""
    validation, personal = report.validation, tuple(f"{name}:" for name in contract.personal_columns)
    return DataReport(
        dataset=report.dataset,
        digest=report.digest,
        origin=origin,
        source=validation.source,
        rows_in=validation.rows_in,
        rejected=validation.rejected,
        reasons=largest(validation.reasons),
        dropped=report.dropped,
        duplicate_share=report.duplicate_share,
        train_rows=report.train_rows,
        test_rows=report.test_rows,
        compared_with=report.compared_with,
        moved=largest(report.moved),
        warnings=shortened(tuple(warning for warning in report.warnings if not warning.startswith(personal))),
        understood=shortened(validation.understood),
        profile=without_personal(contract, reference),
    )
