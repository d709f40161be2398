"""What a running service holds, and how routes get at it. Opening it connects to no server."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Annotated, Protocol

from anyio import CapacityLimiter
from fastapi import Depends
from starlette.requests import HTTPConnection
from starlette.types import Scope

from hearth.alerts import Severity
from hearth.alerts.channels import channels_of
from hearth.alerts.housekeeping import AlertHousekeeping
from hearth.alerts.outbox import Outbox
from hearth.alerts.sender import AlertSender
from hearth.audit import AuditTrail
from hearth.audit.reports import LabelReports
from hearth.audit.store import audit_store
from hearth.contracts import Contract
from hearth.errors import UnknownDataset
from hearth.predictions import PredictionStore
from hearth.predictions.drift_store import DriftStore
from hearth.predictions.erasure_store import ErasureStore
from hearth.predictions.label_store import LabelStore
from hearth.predictions.quality_tests import QualityTests
from hearth.predictions.retrain_store import RetrainStore
from hearth.predictions.rollout_store import RolloutStore
from hearth.rollouts.moves import RolloutRegistry
from hearth.serving.access import Access, Keys
from hearth.serving.alias_admin import AliasAdmin, AliasRegistry
from hearth.serving.drift_follower import DriftFollower
from hearth.serving.explaining import Explainers
from hearth.serving.feedback import Feedback
from hearth.serving.model_cards import CardRegistry, ModelCards
from hearth.serving.model_follower import ModelFollower
from hearth.serving.predictor import Predictor
from hearth.serving.published_data import PublishedData
from hearth.serving.quality_follower import QualityFollower
from hearth.serving.recording.recorder import Recorder
from hearth.serving.rollouts.admin import RolloutAdmin
from hearth.serving.rollouts.alerting import RolloutAlerts
from hearth.serving.rollouts.controller import RolloutController
from hearth.serving.rollouts.counter import RolloutCounter
from hearth.serving.rollouts.estimates import Estimator
from hearth.serving.rollouts.quality_alarm import QualityAlarm
from hearth.serving.rollouts.reporter import RolloutReporter
from hearth.serving.rollouts.router import Router
from hearth.serving.version_loads import default_first
from hearth.settings import ApiSettings
from hearth.streaming.client import StreamWriter
from hearth.streaming.dead_letters import DeadLetters
from hearth.streaming.group import ConsumerGroup
from hearth.streaming.message_status import MessageStatuses
from hearth.streaming.pending import PendingMessages
from hearth_api.graphql_schema.thread import GraphqlThread
from hearth_api.live_predictions import LivePredictions
from hearth_api.readiness import Check, Dependencies, default_checks, server_addresses
from hearth_api.requests.uploads import FileSlots

_STREAM_THREADS, _STORE_THREADS, _REGISTRY_THREADS, _ADMIN_THREADS, _DATA_THREADS = 8, 4, 4, 2, 4
_STORE_CONNECT_SECONDS = 2  # a person waits for the answer, and SIGTERM waits for that
_STORE_REFUSE_SECONDS = 1.0


class ServiceRegistry(AliasRegistry, CardRegistry, RolloutRegistry, Protocol):
    """All of a registry that the service uses."""


@dataclass(frozen=True)
class ServiceState:
    """One for the whole process, made when the service starts and closed when it ends.

    Requests to each server have threads of their own: while one does not answer, neither predictions nor requests to the others wait.
    Administration has threads that no other request uses, so that anybody's slow requests do not delay a rollback.
    """

    settings: ApiSettings
    contracts: Mapping[str, Contract]
    models: ModelFollower
    recorder: Recorder
    predictor: Predictor
    explainers: Explainers
    files: FileSlots
    store: PredictionStore
    drift: DriftStore
    retrains: RetrainStore
    erasures: ErasureStore
    drift_follower: DriftFollower
    quality: QualityTests
    quality_follower: QualityFollower
    alerts: Outbox
    audit: AuditTrail
    alert_housekeeping: AlertHousekeeping
    alert_sender: AlertSender
    feedback: Feedback
    rollouts: RolloutStore
    rollout_controller: RolloutController
    live: LivePredictions
    stream: StreamWriter
    workers_stream: ConsumerGroup
    letters: DeadLetters
    messages: MessageStatuses
    alias_admin: AliasAdmin
    rollout_admin: RolloutAdmin
    cards: ModelCards
    published: PublishedData
    dependencies: Dependencies
    stream_threads: CapacityLimiter
    store_threads: CapacityLimiter
    registry_threads: CapacityLimiter
    admin_threads: CapacityLimiter
    data_threads: CapacityLimiter
    graphql: GraphqlThread

    def contract(self, dataset: str) -> Contract:
        """Return the contract of a data set.

        Raises:
            UnknownDataset: if there is none.
        """
        if dataset not in self.contracts:
            raise UnknownDataset(dataset, sorted(self.contracts))
        return self.contracts[dataset]


@contextmanager
def open_service(
    settings: ApiSettings,
    contracts: Mapping[str, Contract],
    registry: ServiceRegistry,
    access: Access,
    checks: Mapping[str, Check] | None,
) -> Iterator[ServiceState]:
    """Give the state of a service, and close it at the end; without `checks` it checks the servers that the settings name."""
    counter = RolloutCounter.of(contracts)
    redis_url, stream_name = settings.redis_url.get_secret_value(), settings.stream_name
    url, seconds = settings.predictions_url.get_secret_value(), settings.predictions_read_seconds
    with ExitStack() as stack:  # one statement of all would have more blocks than Python nests
        enter = stack.enter_context
        compute = enter(ThreadPoolExecutor(max_workers=1, thread_name_prefix="compute"))
        store = enter(
            PredictionStore(
                url,
                statement_seconds=seconds,
                connect_seconds=_STORE_CONNECT_SECONDS,
                refuse_seconds=_STORE_REFUSE_SECONDS,
            )
        )
        drift = enter(DriftStore(url, max_connections=2, statement_seconds=seconds))
        retrains = enter(RetrainStore(url, max_connections=1, statement_seconds=seconds))
        erasures = enter(ErasureStore(url, max_connections=1))
        drift_follower = enter(DriftFollower(drift))
        quality = enter(QualityTests(url, max_connections=2, statement_seconds=seconds))
        quality_follower = enter(QualityFollower(quality))
        alerts = enter(
            Outbox(
                url,
                statement_seconds=seconds,
                connect_seconds=_STORE_CONNECT_SECONDS,
                refuse_seconds=_STORE_REFUSE_SECONDS,
            )
        )
        keys = Keys.parse(settings.api_admin_key.get_secret_value(), settings.api_keys.get_secret_value())
        reports = LabelReports()
        audit = enter(AuditTrail(enter(audit_store(url, max_connections=2)), keys.described(), [access.refused_keys, reports]))
        outbox = enter(Outbox(url, max_connections=3, connect_seconds=_STORE_CONNECT_SECONDS))
        alert_housekeeping = enter(AlertHousekeeping(outbox))
        alert_sender = enter(AlertSender(outbox, channels_of(settings), lowest=Severity(settings.alert_severity), link=settings.alert_link))
        labels = enter(
            LabelStore(
                url,
                max_connections=2,
                statement_seconds=seconds,
                connect_seconds=_STORE_CONNECT_SECONDS,
            )
        )
        stream = enter(StreamWriter(redis_url, stream_name, settings.stream_keep_messages))
        models = enter(ModelFollower(registry, default_first(settings.api_default_dataset, contracts), settings.alias_poll_seconds))
        rollouts = enter(RolloutStore(url, max_connections=3, statement_seconds=seconds))
        enter(RolloutReporter(rollouts, counter, models, contracts))
        rollout_controller = enter(
            RolloutController(
                rollouts,
                registry,
                contracts,
                estimate=Estimator(drift, quality.has_fallen),
                alarm=QualityAlarm(quality, contracts),
                on_end=RolloutAlerts(outbox),
                trail=audit,
            )
        )
        recorder = enter(Recorder(settings, contracts, models))
        explainers = enter(Explainers(contracts, settings.data_dir, seconds=settings.explain_seconds))
        pending = enter(PendingMessages(redis_url, stream_name))
        letters = enter(DeadLetters(redis_url, stream_name))
        workers_stream = enter(ConsumerGroup(redis_url, stream_name, settings.stream_group, settings.stream_keep_messages))
        graphql = enter(GraphqlThread())
        alias_admin = AliasAdmin(registry, audit)
        checks = default_checks(settings, store, stream) if checks is None else checks
        yield ServiceState(
            settings=settings,
            contracts=contracts,
            models=models,
            recorder=recorder,
            predictor=Predictor(models, recorder, compute, Router(models, counter)),
            rollouts=rollouts,
            rollout_controller=rollout_controller,
            explainers=explainers,
            files=FileSlots(settings.api_max_files),
            store=store,
            drift=drift,
            retrains=retrains,
            erasures=erasures,
            drift_follower=drift_follower,
            quality=quality,
            quality_follower=quality_follower,
            alerts=alerts,
            audit=audit,
            alert_housekeeping=alert_housekeeping,
            alert_sender=alert_sender,
            feedback=Feedback(labels, contracts, reports),
            live=LivePredictions(store),
            stream=stream,
            workers_stream=workers_stream,
            letters=letters,
            messages=MessageStatuses(pending, letters, store),
            alias_admin=alias_admin,
            rollout_admin=RolloutAdmin(rollouts, registry, alias_admin, rollout_controller, audit),
            cards=ModelCards(registry),
            published=PublishedData(registry, contracts),
            dependencies=Dependencies(checks, server_addresses(settings, store, stream)),
            stream_threads=CapacityLimiter(_STREAM_THREADS),
            store_threads=CapacityLimiter(_STORE_THREADS),
            registry_threads=CapacityLimiter(_REGISTRY_THREADS),
            admin_threads=CapacityLimiter(_ADMIN_THREADS),
            data_threads=CapacityLimiter(_DATA_THREADS),
            graphql=graphql,
        )


def service_of(connection: HTTPConnection) -> ServiceState:
    """Return the state of the service that answers a request."""
    return state_of(connection.scope)


def state_of(scope: Scope) -> ServiceState:
    """Return the state of the service that an ASGI application is part of."""
    service = scope["app"].state.service
    assert isinstance(service, ServiceState)  # noqa: S101 - the lifespan puts it there
    return service


Service = Annotated[ServiceState, Depends(service_of)]
