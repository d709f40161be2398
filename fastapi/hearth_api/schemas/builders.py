"""The models of responses, from contracts, versions, explanations and predictions. GraphQL derives its answers from them."""

from collections.abc import Mapping, Sequence
from typing import Literal

from hearth.contracts import CategoryColumn, Contract, IntegerColumn, NumberColumn
from hearth.contracts.aliases import CANARY, CHALLENGER, CHAMPION, aliases
from hearth.contracts.column_types import Column, DateColumn
from hearth.errors import ModelUnavailable
from hearth.fakes.typical import typical_record
from hearth.modelling.bounds import BoundResult
from hearth.predictions import Prediction, class_values
from hearth.registry import RegisteredVersion
from hearth.serving.alias_admin import VersionState
from hearth.serving.alias_view import AliasStatus
from hearth.serving.explaining import Explanation
from hearth.serving.loaded_model import LoadedModel
from hearth.serving.model_cards import card_path
from hearth.serving.recording.agreement import ChallengeReport
from hearth_api.schemas.explanations import ContributionAnswer, ExplainAnswer, ExplanationAnswer
from hearth_api.schemas.models import (
    AliasInfo,
    ApprovalInfo,
    BoundInfo,
    ChallengeInfo,
    ColumnInfo,
    DatasetColumn,
    DatasetInfo,
    DatasetSummary,
    DecisionInfo,
    ModelInfo,
    StandingInfo,
    VersionInfo,
)
from hearth_api.schemas.stream import StoredPrediction, StoredUnusual
from hearth_api.state import ServiceState


def alias_info(service: ServiceState, status: AliasStatus) -> AliasInfo:
    """Return how an alias is served; for the challenger with its agreement with the champion."""
    model, challenge = None, None
    try:
        model = service.models.get(status.dataset, status.alias)
    except ModelUnavailable:
        pass  # the answer says that no version serves, and `problem` why
    else:
        challenge = service.recorder.challenge_report(status.dataset) if status.alias == CHALLENGER else None
    return AliasInfo(
        alias=status.alias,
        version=model.version if model else None,
        registered=status.registered,
        family=model.family if model else None,
        run_id=model.run_id if model else None,
        metrics=dict(model.registered.metrics) if model else {},
        origin=model.registered.origin if model else None,
        why=_why(model.registered) if model else "",
        standing=_standing_info(model.registered) if model else None,
        decision=_decision_info(model.registered) if model else None,
        since=model.loaded_at.isoformat() if model else None,
        problem=status.problem,
        signed=model.registered.signed if model else None,
        challenge=_challenge_info(challenge) if challenge else None,
        share=_share(service, status) if model else None,
    )


def _share(service: ServiceState, status: AliasStatus) -> float | None:
    """Return what part of the champion's requests the version of an alias answers in this process."""
    if status.alias not in {CHAMPION, CANARY}:
        return None
    split = service.models.split(status.dataset)
    candidates = 0.0 if split is None or service.predictor.router.counter.is_stopped(split.rollout) else split.share
    return candidates if status.alias == CANARY else round(1 - candidates, 6)


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


def _why(registered: RegisteredVersion) -> str:
    return "; ".join(registered.decision.reasons) if registered.decision else ""


def _standing_info(registered: RegisteredVersion) -> StandingInfo | None:
    standing = registered.standing
    if standing is None:
        return None
    return StandingInfo(
        data_digest=standing.digest,
        data_origin=standing.origin,
        rows=standing.rows,
        metric=standing.metric,
        score=standing.score.figure if standing.score else None,
        low=standing.score.low if standing.score else None,
        high=standing.score.high if standing.score else None,
        log_loss=standing.log_loss.figure if standing.log_loss else None,
        calibration_error=standing.calibration_error.figure if standing.calibration_error else None,
        bounds=[_bound_info(result) for result in standing.bounds],
        problem=standing.problem,
    )


def _decision_info(registered: RegisteredVersion) -> DecisionInfo | None:
    decision = registered.decision
    if decision is None:
        return None
    comparison = decision.verdict.comparison if decision.verdict else None
    return DecisionInfo(
        passed=decision.passed,
        data_digest=decision.digest,
        rows=decision.rows,
        holder=decision.verdict.holder if decision.verdict and comparison else None,
        difference=comparison.metric.figure if comparison else None,
        low=comparison.metric.low if comparison else None,
        high=comparison.metric.high if comparison else None,
        log_loss_difference=comparison.log_loss.figure if comparison else None,
        bounds=[_bound_info(result) for result in decision.verdict.bounds] if decision.verdict else [],
        reasons=list(decision.reasons),
    )


def _approval_info(registered: RegisteredVersion) -> ApprovalInfo | None:
    approval = registered.approval
    if approval is None:
        return None
    return ApprovalInfo(state=approval.state, by=approval.by, at=approval.at, comment=approval.comment, task=approval.task)


def _bound_info(result: BoundResult) -> BoundInfo:
    interval = result.interval
    return BoundInfo(
        bound=result.bound,
        limit=result.limit,
        figure=interval.figure if interval else None,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        answer=result.answer,
        about=result.about,
    )


def version_info(state: VersionState) -> VersionInfo:
    """Return a version of the registry."""
    registered = state.registered
    return VersionInfo(
        version=registered.version,
        family=registered.family,
        aliases=list(state.aliases),
        metrics=dict(registered.metrics),
        gate=state.gate,
        why=_why(registered),
        origin=registered.origin,
        data_digest=registered.digest,
        standing=_standing_info(registered),
        decision=_decision_info(registered),
        approval=_approval_info(registered),
        created=registered.created,
        run_id=registered.run_id,
    )


def model_info(service: ServiceState, dataset: str | None, alias: str) -> ModelInfo:
    """Return the description of the version that an alias serves, of the default data set if none is named.

    Raises:
        UnknownDataset: if there is no such data set.
        UnknownAlias: if the data set cannot have the alias.
        ModelUnavailable: if nothing is loaded for the alias.
    """
    model = service.models.get(dataset or service.settings.api_default_dataset, alias)
    contract, registered = service.contracts[model.dataset], model.registered
    [status] = [status for status in service.models.status().aliases if (status.dataset, status.alias) == (model.dataset, alias)]
    return ModelInfo(
        name=model.dataset,
        dataset=model.dataset,
        alias=model.alias,
        version=model.version,
        model_version=model.version,
        registered=status.registered,
        problem=status.problem,
        signed=registered.signed,
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
        card=card_path(model.dataset, model.version),
        features=[_column_info(name, column) for name, column in contract.feature_columns.items()],
        classes=list(contract.target.classes),
        class_codes=list(contract.class_codes),
    )


def explain_answer(
    model: LoadedModel, contract: Contract, explanations: Sequence[Explanation], method: str, request_id: str
) -> ExplainAnswer:
    """Return the explanations of the records of one request."""
    return ExplainAnswer(
        explanations=[_explanation(explanation, contract) for explanation in explanations],
        method=method,
        dataset=model.dataset,
        alias=model.alias,
        model=model.dataset,
        family=model.family,
        version=model.version,
        n_samples=len({explanation.row for explanation in explanations}),
        request_id=request_id,
    )


def _explanation(explanation: Explanation, contract: Contract) -> ExplanationAnswer:
    return ExplanationAnswer(
        row=explanation.row,
        prediction=contract.class_codes[explanation.code],
        label=explanation.label,
        probability=explanation.probabilities[explanation.explained],
        probabilities=dict(explanation.probabilities),
        explained_class=explanation.explained,
        unit=explanation.unit,
        base_value=explanation.base_value,
        score=explanation.score,
        contributions=[
            ContributionAnswer(column=part.column, value=part.value, contribution=part.contribution) for part in explanation.contributions
        ],
        rest=explanation.rest,
    )


def stored_prediction(contracts: Mapping[str, Contract], prediction: Prediction) -> StoredPrediction:
    """Return a stored prediction. If its data set is gone, or has other classes now, positions replace names and codes."""
    value, names = class_values(prediction, contracts.get(prediction.dataset))
    return StoredPrediction(
        message_id=prediction.message_id,
        row=prediction.row,
        dataset=prediction.dataset,
        alias=prediction.alias,
        version=prediction.version,
        family=prediction.family,
        prediction=value,
        label=prediction.label,
        probabilities=dict(zip(names, prediction.probabilities, strict=True)),
        record=prediction.record,
        source=prediction.source,
        role=prediction.role,
        enqueued_at=prediction.enqueued_at,
        scored_at=prediction.scored_at,
        set=None if prediction.label_set is None else list(prediction.label_set),
        unusual=_stored_unusual(prediction),
        trace_id=prediction.trace_id,
    )


def _stored_unusual(prediction: Prediction) -> StoredUnusual | None:
    if prediction.unusual_score is None or prediction.is_unusual is None:
        return None
    return StoredUnusual(score=prediction.unusual_score, unusual=prediction.is_unusual)


def dataset_summary(contract: Contract, *, default: bool, root_path: str) -> DatasetSummary:
    """Return the entry of a data set in the list."""
    return DatasetSummary(
        name=contract.name, title=contract.title, description=contract.description, default=default, links=_links(contract, root_path)
    )


def dataset_info(contract: Contract, *, default: bool, root_path: str) -> DatasetInfo:
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
        example=typical_record(contract),
        links=_links(contract, root_path),
    )


def _dataset_column(name: str, column: Column, contract: Contract) -> DatasetColumn:
    role: Literal["feature", "target", "group", "dropped"] = "dropped"
    if name == contract.target.column:
        role = "target"
    elif name in contract.feature_columns:
        role = "feature"
    elif name in contract.group_columns:
        role = "group"
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


def _links(contract: Contract, root_path: str) -> dict[str, str]:
    paths = {
        "contract": f"/datasets/{contract.name}",
        "data": f"/datasets/{contract.name}/data",
        "predict": f"/{contract.name}/predict",
        "model_info": f"/{contract.name}/model-info",
    }
    return {name: root_path + path for name, path in paths.items()}
