"""Contracts and versions as answers show them."""

from typing import Literal

from hearth.contracts import CategoryColumn, Contract, IntegerColumn, NumberColumn
from hearth.contracts.aliases import aliases
from hearth.contracts.column_types import Column, DateColumn
from hearth.contracts.examples import example_record
from hearth.serving.alias_admin import VersionState
from hearth.serving.model_follower import AliasStatus, LoadedModel
from hearth.serving.recording.agreement import ChallengeReport
from hearth_api.schemas.models import (
    AliasInfo,
    ChallengeInfo,
    ColumnInfo,
    DatasetColumn,
    DatasetInfo,
    DatasetSummary,
    ModelInfo,
    VersionInfo,
)


def alias_info(status: AliasStatus, model: LoadedModel | None, challenge: ChallengeReport | None = None) -> AliasInfo:
    """Return how an alias is served, and of a challenger how it does."""
    return AliasInfo(
        alias=status.alias,
        version=model.version if model else None,
        registered=status.registered,
        family=model.family if model else None,
        run_id=model.run_id if model else None,
        metrics=dict(model.registered.metrics) if model else {},
        since=model.loaded_at.isoformat() if model else None,
        problem=status.problem,
        challenge=_challenge_info(challenge) if challenge else None,
    )


def _challenge_info(report: ChallengeReport) -> ChallengeInfo:
    return ChallengeInfo(
        champion_version=report.champion_version,
        challenger_version=report.challenger_version,
        compared=report.compared,
        agreement=report.agreement,
        champion_classes=dict(report.champion_classes),
        challenger_classes=dict(report.challenger_classes),
        skipped=dict(report.skipped),
    )


def version_info(state: VersionState) -> VersionInfo:
    """Return a version that may serve or not."""
    registered = state.registered
    return VersionInfo(
        version=registered.version,
        family=registered.family,
        aliases=list(state.aliases),
        metrics=dict(registered.metrics),
        gate=state.gate,
        created=registered.created,
        run_id=registered.run_id,
    )


def model_info(contract: Contract, model: LoadedModel, status: AliasStatus) -> ModelInfo:
    """Return all that is known of a version that is served."""
    registered = model.registered
    return ModelInfo(
        name=model.dataset,
        dataset=model.dataset,
        alias=model.alias,
        version=model.version,
        model_version=model.version,
        registered=status.registered,
        problem=status.problem,
        family=model.family,
        run_id=model.run_id,
        status=registered.status,
        source=registered.source,
        created=registered.created.isoformat(),
        since=model.loaded_at.isoformat(),
        parameters=dict(registered.params),
        metrics=dict(registered.metrics),
        metric=contract.metric,
        tags=dict(registered.tags),
        data_digest=registered.digest,
        libraries=registered.libraries,
        compiled=model.scorer.is_compiled,
        features=[_column_info(name, column) for name, column in contract.feature_columns.items()],
        classes=list(contract.target.classes),
        class_codes=list(contract.class_codes),
    )


def dataset_summary(contract: Contract, *, default: bool) -> DatasetSummary:
    """Return a data set in few words."""
    return DatasetSummary(
        name=contract.name, title=contract.title, description=contract.description, default=default, links=_links(contract)
    )


def dataset_info(contract: Contract, *, default: bool) -> DatasetInfo:
    """Return a contract."""
    return DatasetInfo(
        name=contract.name,
        title=contract.title,
        description=contract.description,
        default=default,
        target=contract.target.column,
        classes=list(contract.target.classes),
        class_codes=list(contract.class_codes),
        metric=contract.metric,
        families=list(contract.families),
        aliases=list(aliases(contract)),
        columns=[_dataset_column(name, column, contract) for name, column in contract.columns.items()],
        example=example_record(contract),
        links=_links(contract),
    )


def _dataset_column(name: str, column: Column, contract: Contract) -> DatasetColumn:
    role: Literal["feature", "target", "dropped"] = "dropped"
    if name == contract.target.column:
        role = "target"
    elif name in contract.feature_columns:
        role = "feature"
    return DatasetColumn(**_column_info(name, column).model_dump(), role=role)


def _column_info(name: str, column: Column) -> ColumnInfo:
    info = ColumnInfo(name=name, kind=column.kind, description=column.description, nullable=column.nullable, expected=column.expected)
    if isinstance(column, CategoryColumn):
        info.categories = list(column.categories)
        info.meanings = list(column.meanings or column.texts)
    elif isinstance(column, IntegerColumn):
        info.minimum, info.maximum, info.unit = int(column.minimum), int(column.maximum), column.unit
    elif isinstance(column, NumberColumn):
        info.minimum, info.maximum, info.unit = column.minimum, column.maximum, column.unit
    elif isinstance(column, DateColumn):
        info.minimum = column.minimum.isoformat() if column.minimum else None
        info.maximum = column.maximum.isoformat() if column.maximum else None
    return info


def _links(contract: Contract) -> dict[str, str]:
    paths = {"contract": f"/datasets/{contract.name}", "predict": f"/{contract.name}/predict"}
    return {**paths, "model_info": f"/{contract.name}/model-info"}
