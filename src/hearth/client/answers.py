"""What the service answers, as values that do not change. Fields have the names of the REST API; `docs/rest.md` and `/docs` say more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class Answer(BaseModel):
    """A part of an answer; fields that this version of the client does not know are left out."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)  # built when it is first read: the import stays fast


class ServiceInfo(Answer):
    """Who answers."""

    name: str
    version: str
    datasets: Sequence[str]
    default_dataset: str
    links: Mapping[str, str]


class Health(Answer):
    """The process lives."""

    status: str


class ServerState(Answer):
    """The state of a server that the service needs."""

    ok: bool
    problem: str
    milliseconds: float
    address: str


class AliasState(Answer):
    """The state of an alias that the registry names, or that is needed."""

    dataset: str
    alias: str
    ok: bool
    version: str | None
    registered: str | None
    problem: str


class Readiness(Answer):
    """Whether the service can do all that it is there for; `detail` says what is missing."""

    status: str
    detail: str = ""
    servers: Mapping[str, ServerState]
    following: bool
    last_look: str | None
    aliases: Sequence[AliasState]

    @property
    def is_ready(self) -> bool:
        return self.status == "ready"


class DatasetSummary(Answer):
    """A data set in a list."""

    name: str
    title: str
    description: str
    default: bool
    links: Mapping[str, str]


class DatasetList(Answer):
    """Every data set."""

    datasets: Sequence[DatasetSummary]


class ColumnInfo(Answer):
    """A column: `expected` says in words what a value must be."""

    name: str
    kind: str
    description: str
    nullable: bool
    expected: str
    unit: str | None
    minimum: int | float | str | None
    maximum: int | float | str | None
    categories: Sequence[str | int] | None
    meanings: Sequence[str] | None


class DatasetColumn(ColumnInfo):
    """A column of the raw file; `role` is feature, target, group or dropped."""

    role: str


class DatasetInfo(Answer):
    """The contract of a data set."""

    name: str
    title: str
    description: str
    default: bool
    target: str
    classes: Sequence[str]
    class_codes: Sequence[str | int]
    metric: str
    families: Sequence[str]
    aliases: Sequence[str]
    columns: Sequence[DatasetColumn]
    example: Mapping[str, object]
    links: Mapping[str, str]


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


class UnusualColumn(Answer):
    """A value outside the range of the train set, `low` to `high`, or a category with this `share` of it; of a personal column the name."""

    name: str
    value: float | str | None
    low: float | None
    high: float | None
    share: float | None


class Unusual(Answer):
    """How unlike the train set of the version a record is: `score` is the share of the train set that is less unusual."""

    score: float
    unusual: bool
    columns: Sequence[UnusualColumn]
    combinations: Sequence[Sequence[str]]


class DriftBin(Answer):
    """One bin of a column: the shares of the values of the reference and of the window in it."""

    name: str
    reference: float
    now: float


class DriftColumn(Answer):
    """A feature, or what the version answered, against its reference; means are None for categories."""

    name: str
    role: str
    level: str
    p_value: float
    psi: float
    detail: str
    missing_reference: float
    missing_now: float
    mean_reference: float | None
    mean_now: float | None
    bins: Sequence[DriftBin]


class EstimatedMetric(Answer):
    """The metric, estimated without labels, with its interval of 95 %; `measured` is that of the test set, with labels."""

    metric: str
    value: float
    low: float
    high: float
    reference: float | None
    measured: float | None


class ClassifierUse(Answer):
    """A column that the classifier used, with its share of the gain."""

    name: str
    share: float


class SecondOpinion(Answer):
    """How well a classifier tells the records from the train set: 0.5 is a guess."""

    auc: float
    low: float
    high: float
    columns: Sequence[ClassifierUse]


class Drift(Answer):
    """A check for drift: its level is not_enough, ok, warn, drift or act."""

    dataset: str
    level: str
    found: str
    since: datetime | None
    summary: str
    version: str
    checked_at: datetime
    records: int
    refused: int
    refused_share: float
    minimum: int
    tests: int
    first: datetime | None
    last: datetime | None
    cursor: str | None
    columns: Sequence[DriftColumn]
    quality: EstimatedMetric | None
    second_opinion: SecondOpinion | None


class PastColumn(Answer):
    """A column at an earlier check."""

    name: str
    role: str
    level: str
    psi: float
    p_value: float


class PastDrift(Answer):
    """An earlier check, without distributions."""

    checked_at: datetime
    version: str
    level: str
    records: int
    estimate: float | None
    auc: float | None
    columns: Sequence[PastColumn]


class DriftHistory(Answer):
    """Checks for drift, the oldest first."""

    dataset: str
    checks: Sequence[PastDrift]


class Interval(Answer):
    """A figure with its interval of 95 %."""

    figure: float
    low: float
    high: float


class Measured(Answer):
    """What labelled answers show: figures are None below 30 of them. `confusion` has true classes down, predicted ones across."""

    rows: int
    metric: Interval | None
    accuracy: Interval | None
    calibration_error: Interval | None
    confusion: Sequence[Sequence[int]]


class Coverage(Answer):
    """How many answers have a label, of those that are old enough."""

    predictions: int
    labelled: int
    share: float | None


class QualityPart(Answer):
    """A day, an alias, or a group of a sensitive column, which `column` names."""

    name: str
    column: str
    measured: Measured
    coverage: Coverage | None


class Evidence(Answer):
    """The test whether quality has fallen: an alarm from `threshold` on. `reference`, `bound` and `mean` are losses, from 0 to 1."""

    value: float
    threshold: float
    highest: float
    reference: float
    bound: float
    mean: float
    labels: int
    started_at: datetime
    alarmed_at: datetime | None


class VersionQuality(Answer):
    """What labels show of one version; `subject` is champion, challenger, canary or other."""

    version: str
    subject: str
    measured: Measured
    coverage: Coverage | None
    evidence: Evidence | None
    days: Sequence[QualityPart]
    aliases: Sequence[QualityPart]
    groups: Sequence[QualityPart]


class PairedQuality(Answer):
    """Challenger minus champion, on labelled records that both have scored."""

    champion: str
    challenger: str
    rows: int
    metric: Interval
    log_loss: Interval
    changed: Interval


class Quality(Answer):
    """What labels show of what is served: its level is not_enough, ok or fallen. Of the versions the champion comes first."""

    dataset: str
    level: str
    summary: str
    version: str
    checked_at: datetime
    metric: str
    days: int
    minimum: int
    labels: int
    delay_seconds: float | None
    classes: Sequence[str]
    versions: Sequence[VersionQuality]
    paired: PairedQuality | None


class PastQuality(Answer):
    """An earlier check of quality: the champion's metric with its interval, and its evidence."""

    checked_at: datetime
    version: str
    level: str
    labels: int
    figure: float | None
    low: float | None
    high: float | None
    evidence: float | None
    threshold: float | None


class QualityHistory(Answer):
    """Checks of quality, the oldest first."""

    dataset: str
    checks: Sequence[PastQuality]


class MetricDifference(Answer):
    """The metric of a version minus that of the champion on the same rows, with its interval."""

    rows: int
    value: float
    low: float
    high: float


class Retrain(Answer):
    """A decision about training again: its state is waiting, labels_needed, paused, running, deployed, refused or failed."""

    id: str
    trigger: str
    state: str
    decided_at: datetime
    ended_at: datetime | None
    why: str
    times: int
    last_at: datetime | None
    records: int | None
    digest: str | None
    version: str | None
    family: str | None
    champion: str | None
    recent: MetricDifference | None
    old: MetricDifference | None
    trace_id: str | None = None


class NextRetrain(Answer):
    """What would be decided now, if nobody asks by hand."""

    state: str
    trigger: str
    why: str
    until: datetime | None
    labels: int
    new_labels: int
    needed: int


class RetrainList(Answer):
    """Decisions about training again, the newest first."""

    dataset: str
    next: NextRetrain
    retrains: Sequence[Retrain]


class TrainedOn(Answer):
    """A retraining whose data hold an erased record."""

    id: str
    state: str
    digest: str | None
    version: str | None


class Erasure(Answer):
    """What was erased of a record; `row` is None if it was a whole message."""

    message_id: str
    row: int | None
    dataset: str
    predictions: int
    labels: int
    trained_on: Sequence[TrainedOn]


class AlertInfo(Answer):
    """An alert: its severity is info, warning or critical, its state open, acknowledged or resolved. Its texts may come from outside."""

    id: int
    kind: str
    dataset: str | None
    severity: str
    state: str
    summary: str
    detail: Mapping[str, object]
    times: int
    opened_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    resolved_at: datetime | None
    resolved_by: str | None
    resolution: str | None


class AlertList(Answer):
    """Alerts, open ones first, and how many of all data sets are open and acknowledged."""

    alerts: Sequence[AlertInfo]
    open: int
    acknowledged: int


class AlertEventInfo(Answer):
    """Something that happened to an alert."""

    event: str
    at: datetime
    severity: str
    by: str
    text: str


class AlertDelivery(Answer):
    """An event on its way to people."""

    event: str
    channel: str
    attempts: int
    sent_at: datetime | None
    next_at: datetime | None
    gave_up_at: datetime | None
    error: str | None


class AuditEntry(Answer):
    """Something that was done (`done`), not allowed (`refused`) or went wrong (`failed`). Its texts may come from outside."""

    id: int
    at: datetime
    action: str
    result: str
    actor_kind: str
    actor: str
    door: str
    address: str
    dataset: str | None
    alias: str | None
    version: str | None
    subject: str | None
    detail: Mapping[str, object]
    trace_id: str | None
    request_id: str | None


class AuditPage(Answer):
    """A page of the audit trail, the newest first; `cursor` is None on the last one."""

    entries: Sequence[AuditEntry]
    cursor: str | None
    next: str | None


class AlertHistory(Answer):
    """An alert with what happened to it, and whether that was sent."""

    alert: AlertInfo
    events: Sequence[AlertEventInfo]
    deliveries: Sequence[AlertDelivery]


class RolloutCounts(Answer):
    """What a version did while a rollout ran; `p99_milliseconds` is of the time to score."""

    answers: int
    errors: int
    p99_milliseconds: float | None


class RolloutEvent(Answer):
    """Something that happened to a rollout."""

    at: datetime
    event: str
    share: float
    reason: str


class Rollout(Answer):
    """A version that was or is tried on a share of the champion's requests."""

    id: str
    dataset: str
    version: str
    champion: str
    family: str
    state: str
    share: float
    steps: Sequence[float]
    started_by: str
    started_at: datetime
    changed_at: datetime
    ended_at: datetime | None
    reason: str
    waits_for: str
    candidate_counts: RolloutCounts
    champion_counts: RolloutCounts
    events: Sequence[RolloutEvent]


class Rollouts(Answer):
    """The rollouts of a data set; of those that have ended the latest first."""

    dataset: str
    running: Rollout | None
    ended: Sequence[Rollout]


class Predictions(Answer):
    """Predictions in the order of the records; `prediction`, `label` and `probability` are None unless there is one record.

    `canary` is True where a candidate answered in the champion's place. `sets` and `unusual_records`, and for one record `set` and
    `unusual`, are there if the call has asked to include them.
    """

    predictions: Sequence[int | str]
    labels: Sequence[str]
    probabilities: Sequence[Mapping[str, float]]
    prediction: int | str | None
    label: str | None
    probability: float | None
    dataset: str
    alias: str
    model: str
    version: str
    model_version: str
    family: str
    n_samples: int
    request_id: str
    canary: bool | None = None
    sets: Sequence[Sequence[str]] | None = None
    set: Sequence[str] | None = None
    unusual_records: Sequence[Unusual] | None = None
    unusual: Unusual | None = None


class Contribution(Answer):
    """What one column adds to the score of the explained class."""

    column: str
    value: float | int | str | None
    contribution: float


class Explanation(Answer):
    """Why one record has its score: `base_value`, all `contributions` and `rest` add up to `score`, in `unit`."""

    row: int
    prediction: int | str
    label: str
    probability: float
    probabilities: Mapping[str, float]
    explained_class: str
    unit: str
    base_value: float
    score: float
    contributions: Sequence[Contribution]
    rest: float


class Explanations(Answer):
    """Explanations in the order of the records."""

    explanations: Sequence[Explanation]
    method: str
    dataset: str
    alias: str
    model: str
    family: str
    version: str
    n_samples: int
    request_id: str


class QueuedRecords(Answer):
    """Records that wait to be scored: record i is row i % records_per_message of message i // records_per_message."""

    dataset: str
    alias: str
    message_ids: Sequence[str]
    records_per_message: int
    n_records: int


class StoredUnusual(Answer):
    """How unlike the train set of the version a stored record is."""

    score: float
    unusual: bool


class StoredPrediction(Answer):
    """What one version predicted for one record; `set` and `unusual` are None where the version does not know them."""

    message_id: str
    row: int
    dataset: str
    alias: str
    version: str
    family: str
    prediction: int | str
    label: str
    probabilities: Mapping[str, float]
    record: Mapping[str, object]
    source: str
    role: str
    enqueued_at: datetime | None
    scored_at: datetime
    set: Sequence[str] | None = None
    unusual: StoredUnusual | None = None
    trace_id: str | None = None


class PredictionPage(Answer):
    """Stored predictions, newest first; `cursor` leads to the next page."""

    predictions: Sequence[StoredPrediction]
    cursor: str | None
    next: str | None


class DeadRecords(Answer):
    """Why a message, or some of its records, can never be scored."""

    error: str
    reason: str
    time: str
    trace_id: str | None = None


class DeadLetterInfo(DeadRecords):
    """A message that can never be scored, all or part of it; `dataset` is the one that it names."""

    message_id: str
    dataset: str = ""


class MessageOutcome(Answer):
    """What became of a message; `status` is queued, being_scored, scored, dead or partly_dead."""

    message_id: str
    status: str
    predictions: Sequence[StoredPrediction]
    dead: DeadRecords | None
    problem: str


class StreamInfo(Answer):
    """The state of the stream for the group of the workers."""

    stream: str
    group: str
    length: int
    bound: int
    lag: int | None
    pending: int
    oldest_seconds: float
    newest_seconds: float | None
    dead_letters: int
    latest_dead_letters: Sequence[DeadLetterInfo]


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


class ErrorEntry(Answer):
    """One thing that is wrong with one record."""

    row: int
    column: str
    value: object
    expected: str


class ErrorBody(Answer):
    """Every answer that is not a success."""

    error: str
    detail: str
    errors: Sequence[ErrorEntry]
    more_errors: int = Field(0, description="problems beyond those listed")


@dataclass(frozen=True)
class ScoredFile:
    """A file that was scored: where it is, its rows, and how many of them break the contract and have no prediction.

    `understood` says how the service read the file: packing, encoding, delimiter, marks of numbers, what was left out.
    """

    path: Path
    rows: int
    rows_refused: int
    alias: str
    version: str
    understood: str = ""


class DataColumn(Answer):
    """What the train rows have in a feature: statistics of a number, or the share of each category."""

    name: str
    count: int
    missing_share: float
    mean: float | None = None
    std: float | None = None
    minimum: float | None = None
    median: float | None = None
    maximum: float | None = None
    shares: Mapping[str, float] | None = None


class DataInfo(Answer):
    """The data that were published last; `moved` is the share of the rows that would have to change to be as `compared_with`."""

    dataset: str
    digest: str
    origin: str
    published: datetime
    source: str
    run_id: str
    rows_in: int
    rejected: int
    reasons: Mapping[str, int]
    kept: int
    dropped: Mapping[str, int]
    duplicate_share: float
    train_rows: int
    test_rows: int
    classes: Mapping[str, float]
    compared_with: str
    moved: Mapping[str, float]
    warnings: Sequence[str]
    understood: Sequence[str]
    typical: Mapping[str, object]
    columns: Sequence[DataColumn]


class SampleRecords(Answer):
    """Records to try; `source` says what they are drawn from."""

    dataset: str
    source: str
    records: Sequence[Mapping[str, object]]


class Receipt(Answer):
    """What became of one report.

    `outcome` is joined, waiting, same, changed, older or refused; `before` is the different label that counted when it came. A refused
    report has an `error`, a stable word, and a `detail`.
    """

    id: str
    row: int
    outcome: str
    dataset: str | None
    before: str | None
    error: str | None
    detail: str | None
    trace_id: str | None = None


class FeedbackAnswer(Answer):
    """What became of reports, in their order."""

    outcomes: Mapping[str, int]
    refused: int
    receipts: Sequence[Receipt]
