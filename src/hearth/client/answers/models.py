"""Models: aliases, versions, and what the gate and people said of them."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from hearth.client.answers.base import Answer
from hearth.client.answers.datasets import ColumnInfo


class ChallengeInfo(Answer):
    """What the challenger would have answered instead of the champion, since this process served the two."""

    champion_version: str
    challenger_version: str
    compared: int
    agreement: float | None
    champion_classes: Mapping[str, int]
    challenger_classes: Mapping[str, int]
    skipped: Mapping[str, int]


class BoundInfo(Answer):
    """A bound of the gate with what was measured; `answer` is met, broken or cannot tell."""

    bound: str
    limit: float
    figure: float | None
    low: float | None
    high: float | None
    answer: str
    about: str


class StandingInfo(Answer):
    """A version on the present test set, on which all versions are compared; `problem` says why it has no score or no claim to an alias."""

    data_digest: str
    data_origin: str
    rows: int
    metric: str
    score: float | None
    low: float | None
    high: float | None
    log_loss: float | None
    calibration_error: float | None
    bounds: Sequence[BoundInfo]
    problem: str


class DecisionInfo(Answer):
    """What the gate decided about a version last: the difference to the version `holder` that had the alias, and each bound."""

    passed: bool
    data_digest: str
    rows: int
    holder: str | None
    difference: float | None
    low: float | None
    high: float | None
    log_loss_difference: float | None
    bounds: Sequence[BoundInfo]
    reasons: Sequence[str]


class ApprovalInfo(Answer):
    """The answer of a person before an alias moves; `state` is waiting, approved or refused, `task` the task of Airflow that waits."""

    state: str
    by: str
    at: str
    comment: str
    task: str


class AliasInfo(Answer):
    """An alias: the version that is served, the one that the registry names, and the `problem` that keeps them apart."""

    alias: str
    version: str | None
    registered: str | None
    family: str | None
    run_id: str | None
    metrics: Mapping[str, float]
    origin: str | None = None
    why: str = ""
    standing: StandingInfo | None = None
    decision: DecisionInfo | None = None
    since: str | None
    problem: str
    signed: bool | None
    challenge: ChallengeInfo | None
    share: float | None = None


class DatasetModels(Answer):
    """A data set and its aliases."""

    dataset: str
    title: str
    registered_model: str
    metric: str
    aliases: Sequence[AliasInfo]


class ModelList(Answer):
    """Every data set with its aliases."""

    datasets: Sequence[DatasetModels]


class VersionInfo(Answer):
    """A version as the registry has it; `gate` is passed, refused, waiting, not judged or not signed."""

    version: str
    family: str
    aliases: Sequence[str]
    metrics: Mapping[str, float]
    gate: str
    why: str = ""
    origin: str = "unknown"
    data_digest: str = ""
    standing: StandingInfo | None = None
    decision: DecisionInfo | None = None
    approval: ApprovalInfo | None = None
    created: datetime
    run_id: str


class VersionList(Answer):
    """Every version of a data set, the latest first."""

    dataset: str
    versions: Sequence[VersionInfo]


class ModelInfo(Answer):
    """A version as it is served under an alias."""

    name: str
    dataset: str
    alias: str
    version: str
    model_version: str
    registered: str | None
    problem: str
    signed: bool | None
    family: str
    run_id: str
    status: str
    source: str
    created: str
    since: str
    parameters: Mapping[str, str]
    metrics: Mapping[str, float]
    metric: str
    tags: Mapping[str, str]
    data_digest: str
    libraries: Mapping[str, str]
    compiled: bool
    card: str = ""
    features: Sequence[ColumnInfo]
    classes: Sequence[str]
    class_codes: Sequence[str | int]


class MovedAliases(Answer):
    """An alias after a promotion or a rollback; `moved` is false if it carried the version before."""

    dataset: str
    alias: str
    version: str
    family: str
    gate: str
    moved: bool
    before: Mapping[str, str]
    after: Mapping[str, str]
    serving: str | None
    by: str


class ReloadedAlias(Answer):
    """An alias after the registry was read."""

    dataset: str
    alias: str
    version: str | None
    registered: str | None
    problem: str


class Reloaded(Answer):
    """What the process serves after it has read the registry."""

    problem: str
    aliases: Sequence[ReloadedAlias]
