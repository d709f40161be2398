"""Answers about data, from the report of the ETL and from statistics."""

from secrets import randbelow

from hearth.contracts import Contract
from hearth.contracts.examples import random_records
from hearth.data.data_report import sample, typical_record
from hearth.data.profile import Profile
from hearth.fakes.typical import fake_records
from hearth.serving.published_data import PublishedReport
from hearth_api.schemas.data import DataColumn, DataInfo, SampleRecords
from hearth_api.state import ServiceState


def data_info(contract: Contract, latest: PublishedReport) -> DataInfo:
    """Return what was published last."""
    report, publication = latest.report, latest.publication
    return DataInfo(
        dataset=report.dataset,
        digest=report.digest,
        origin=publication.origin,
        published=publication.published,
        source=report.source,
        run_id=publication.run_id,
        rows_in=report.rows_in,
        rejected=report.rejected,
        reasons=dict(report.reasons),
        kept=report.train_rows + report.test_rows,
        dropped=dict(report.dropped),
        duplicate_share=report.duplicate_share,
        train_rows=report.train_rows,
        test_rows=report.test_rows,
        classes=dict(report.profile.classes),
        compared_with=report.compared_with,
        moved=dict(report.moved),
        warnings=list(report.warnings),
        understood=list(report.understood),
        typical=typical_record(contract, report.profile),
        columns=[_column(name, report.profile) for name in contract.feature_names if name in _described(report.profile)],
    )


def sample_records(contract: Contract, service: ServiceState, count: int, seed: int | None) -> SampleRecords:
    """Draw records from the best that this process knows of the data; no server is asked."""
    seed = randbelow(2**32) if seed is None else seed
    if (fakes := fake_records(contract, service.settings.data_dir)) is not None:
        return SampleRecords(dataset=contract.name, source="statistics", records=fakes.records(count, seed))
    if (latest := service.published.known(contract.name)) is not None:
        return SampleRecords(dataset=contract.name, source="published", records=sample(contract, latest.report.profile, count, seed))
    return SampleRecords(dataset=contract.name, source="contract", records=random_records(contract, count, seed=seed))


def _described(profile: Profile) -> set[str]:
    return {*profile.numbers, *profile.categories}


def _column(name: str, profile: Profile) -> DataColumn:
    if (number := profile.numbers.get(name)) is not None:
        return DataColumn(
            name=name,
            count=number.count,
            missing_share=number.missing_share,
            mean=number.mean,
            std=number.std,
            minimum=number.minimum,
            median=number.median,
            maximum=number.maximum,
        )
    category = profile.categories[name]
    return DataColumn(name=name, count=category.count, missing_share=category.missing_share, shares=dict(category.shares))
