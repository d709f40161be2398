"""The process: `python -m grpc_service.server`."""

import asyncio
import contextlib
import logging
import signal
import sys
import threading
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1.health import SERVICE_NAME as HEALTH
from grpc_health.v1.health import aio
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from grpc_reflection.v1alpha import reflection
from grpc_reflection.v1alpha.reflection_pb2_grpc import add_ServerReflectionServicer_to_server

from grpc_service.health import SERVICE, set_health, update_health
from grpc_service.inference import SERVICE as INFERENCE_SERVICE
from grpc_service.inference import InferenceServicer
from grpc_service.limits import OTHER_CALLS, LimitedServer, Places, most_calls, server_options
from grpc_service.metrics import Calls
from grpc_service.servicer import PredictionServicer
from grpc_service.tls import server_credentials
from grpc_service.traces import TracedServer
from grpc_service.v1.prediction_pb2_grpc import add_PredictionServicer_to_server
from grpc_service.v2.open_inference_pb2_grpc import add_GRPCInferenceServiceServicer_to_server
from hearth.audit import AuditTrail
from hearth.audit.reports import LabelReports
from hearth.audit.store import audit_store
from hearth.contracts import Contract, usable_contracts
from hearth.errors import HearthError, InvalidSettings
from hearth.logs import configure_logging
from hearth.predictions.label_store import LabelStore
from hearth.predictions.rollout_store import RolloutStore
from hearth.serving.access import Access
from hearth.serving.feedback import Feedback
from hearth.serving.gc_freeze import freeze_after_import, freeze_now
from hearth.serving.metrics import (
    new_registry,
    register_label_metrics,
    register_model_metrics,
    register_recorder_metrics,
    register_rollout_metrics,
    serve_metrics,
)
from hearth.serving.model_follower import ModelFollower
from hearth.serving.model_probe import ProbedRegistry
from hearth.serving.predictor import Predictor
from hearth.serving.recording.recorder import Recorder
from hearth.serving.rollouts.counter import RolloutCounter
from hearth.serving.rollouts.reporter import RolloutReporter
from hearth.serving.rollouts.router import Router
from hearth.serving.version_loads import default_first
from hearth.settings import GrpcSettings
from hearth.tracing.export import exported_spans

_LOGGER = logging.getLogger(__name__)
_FEEDBACK_THREADS = 2


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    configure_logging("grpc")
    try:
        with exported_spans("grpc"):
            asyncio.run(_serve(GrpcSettings()))
    except HearthError as error:
        _LOGGER.critical("%s", error)
        return 1
    return 0


@contextlib.asynccontextmanager
async def running_server(settings: GrpcSettings, contracts: Mapping[str, Contract], models: ModelFollower) -> AsyncIterator[int]:
    """Serve while the context is open, and yield the port.

    At its end new calls are refused, open ones may take `grpc_grace_seconds` to finish, and then pending predictions are stored.

    Raises:
        InvalidSettings: the port, or that of the metrics, is taken; or a key or a limit cannot be read.
    """
    counter, access = RolloutCounter.of(contracts), Access.from_settings(settings)
    reports = LabelReports()
    metrics = new_registry()
    url = settings.predictions_url.get_secret_value()
    register_model_metrics(metrics, models.status)
    register_rollout_metrics(metrics, models.splits, counter.by_version)
    with (
        serve_metrics(metrics, settings.grpc_host, settings.grpc_metrics_port),
        Recorder(settings, contracts, models) as recorder,
        LabelStore(url, max_connections=_FEEDBACK_THREADS) as labels,
        audit_store(url) as audit,
        AuditTrail(audit, counted=[access.refused_keys, reports]),
        ThreadPoolExecutor(_FEEDBACK_THREADS, thread_name_prefix="feedback") as feedback_threads,
        ThreadPoolExecutor(max_workers=1, thread_name_prefix="compute") as compute,
        RolloutStore(url, max_connections=1) as rollouts,
        RolloutReporter(rollouts, counter, models, contracts),
    ):
        register_recorder_metrics(metrics, recorder.counts)
        feedback = Feedback(labels, contracts, reports)
        register_label_metrics(metrics, feedback.counts)
        predictor = Predictor(models, recorder, compute, Router(models, counter))
        calls = Calls(metrics)
        server, port = _make_server(settings)
        idle, most = settings.grpc_stream_idle_seconds, settings.grpc_max_values
        names = "HEARTH_GRPC_MAX_CONCURRENT_CALLS", "HEARTH_GRPC_MAX_STREAMS"
        limited = LimitedServer(
            TracedServer(server), Places(settings.grpc_max_concurrent_calls, settings.grpc_max_streams, names), idle, most
        )
        add_PredictionServicer_to_server(
            PredictionServicer(settings, contracts, models, predictor, calls, access, feedback, feedback_threads), limited
        )
        add_GRPCInferenceServiceServicer_to_server(InferenceServicer(settings, contracts, models, predictor, calls, access), limited)
        health = aio.HealthServicer()
        # half of the places of health is not for streams, so that watchers do not shut out those who ask
        add_HealthServicer_to_server(health, LimitedServer(server, Places(OTHER_CALLS, OTHER_CALLS // 2), idle, most))  # type: ignore[arg-type]  # the part of a server that it uses
        services = SERVICE, INFERENCE_SERVICE, HEALTH, reflection.SERVICE_NAME
        add_ServerReflectionServicer_to_server(  # type: ignore[no-untyped-call]  # its package has types for one of its two forms
            reflection.aio.ReflectionServicer(services), LimitedServer(server, Places(OTHER_CALLS, OTHER_CALLS), idle, most)
        )
        known = await set_health(health, models, {})  # before anyone can ask
        watching = asyncio.create_task(update_health(health, models, known))
        await server.start()
        try:
            yield port
        finally:
            watching.cancel()
            await health.enter_graceful_shutdown()
            await server.stop(settings.grpc_grace_seconds)
            await access.close()


def follower_of(settings: GrpcSettings, contracts: Mapping[str, Contract]) -> ModelFollower:
    """Return what follows the models of the registry, those of the default data set first."""
    ordered = default_first(settings.api_default_dataset, contracts)
    return ModelFollower(ProbedRegistry.of(settings, contracts), ordered, settings.alias_poll_seconds)


async def _serve(settings: GrpcSettings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with freeze_after_import():
        contracts = {contract.name: contract for contract in usable_contracts(settings.data_dir)}
        models = follower_of(settings, contracts)
    async with running_server(settings, contracts, models) as port:
        _LOGGER.info("listening on %s:%d", settings.grpc_host, port)
        # It waits for the registry; meanwhile the process answers health checks and can be stopped
        threading.Thread(target=_start, args=[models], name="model-start", daemon=True).start()
        await stop.wait()
        _LOGGER.info("stopping: open calls have %g s to end", settings.grpc_grace_seconds)
    models.close()
    _LOGGER.info("stopped")


def _start(models: ModelFollower) -> None:
    models.start()
    if models.wait_until_polled():
        freeze_now()


def _make_server(settings: GrpcSettings) -> tuple[grpc.aio.Server, int]:
    credentials = server_credentials(settings)
    server = grpc.aio.server(
        options=server_options(settings),
        maximum_concurrent_rpcs=most_calls(settings),
    )
    try:
        address = f"{settings.grpc_host}:{settings.grpc_port}"
        port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    except RuntimeError as error:
        raise InvalidSettings(
            f"Nothing can listen on {settings.grpc_host}:{settings.grpc_port}; is another process there?"
            " Change HEARTH_GRPC_HOST or HEARTH_GRPC_PORT."
        ) from error
    return server, port


if __name__ == "__main__":
    sys.exit(main())
