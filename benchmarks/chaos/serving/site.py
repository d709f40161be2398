"""What is attacked: REST and gRPC with their servers, each server behind a proxy that can make it slow."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from dotenv import dotenv_values
from redis import Redis

from benchmarks.chaos.serving.clock import Clock
from benchmarks.harness.model import DATA, fitted, register, rows, signing_registry
from benchmarks.harness.requests import Records, fake_requests
from benchmarks.harness.services import Services, running_services
from benchmarks.harness.slow_proxy import SlowProxy
from benchmarks.harness.small_disks import NoDiskError, small_disk
from deploy.embedded.temporary_servers import (
    ROOT,
    Server,
    create_database,
    mlflow_server,
    object_store_server,
    postgres_server,
    valkey_server,
)
from hearth.contracts import load_contract
from hearth.contracts.aliases import CHAMPION
from hearth.predictions.migration import migrate
from hearth.registry import Registry

POSTGRES, VALKEY, MLFLOW, S3 = "postgres", "valkey", "mlflow", "s3"
STREAM = "mlops_stream"
_TRAINING_ROWS = 2_000
_POSTGRES_MEGABYTES, _S3_MEGABYTES = 400, 200  # of the small disks


@dataclass
class Site:
    """The parts. `disks` are the small disks of servers that have one, and `why_not` says why another has none."""

    servers: dict[str, Server]
    proxies: dict[str, SlowProxy]
    services: Services
    registry: Registry
    versions: Sequence[str]
    requests: Sequence[Records]
    database: str
    redis_url: str
    disks: dict[str, Path]
    why_not: dict[str, str]
    clock: Clock
    champion: int = 0

    def move_champion(self) -> str:
        """Let the alias name the other version, and return it. Raises RegistryError if MLflow does not do it."""
        self.champion = (self.champion + 1) % len(self.versions)
        version = self.versions[self.champion]
        self.registry.set_alias("employees", CHAMPION, version)
        return version

    def stored_rows(self, ids: Sequence[str]) -> dict[str, int]:
        """Return how many rows each of these ids has in the store."""
        with psycopg.connect(self.database) as connection:
            query = "SELECT message_id, count(*) FROM predictions WHERE message_id = ANY(%s) GROUP BY message_id"
            return dict(connection.execute(query, [list(ids)]).fetchall())

    def all_rows(self) -> int:
        """Return how many rows the store has."""
        with psycopg.connect(self.database) as connection:
            (count,) = connection.execute("SELECT count(*) FROM predictions").fetchone() or (0,)
            return int(count)

    def stream_ids(self) -> set[str]:
        """Return the ids of all messages of the stream."""
        with Redis.from_url(self.redis_url) as redis:
            return {id_.decode() for id_, _ in redis.xrange(STREAM)}


@contextlib.contextmanager
def open_site(logs: Path, *, small_disks: bool, with_clock: bool) -> Iterator[Site]:
    """Start everything, with two versions of which the last is champion.

    Raises:
        ServerStartError, LoadError: something does not come up.
    """
    with contextlib.ExitStack() as stack:
        disks, why_not = _disks(stack) if small_disks else ({}, dict.fromkeys((POSTGRES, S3), "small disks were not asked for"))
        postgres = stack.enter_context(postgres_server(disks.get(POSTGRES)))
        valkey = stack.enter_context(valkey_server())
        s3, store = stack.enter_context(object_store_server(place=disks.get(S3)))
        proxies = {name: stack.enter_context(SlowProxy(_port(url))) for name, url in _urls(postgres, valkey, s3)}
        through_proxy = replace(store, endpoint_url=f"http://127.0.0.1:{proxies[S3].port}")
        mlflow = stack.enter_context(mlflow_server(store=through_proxy))
        proxies[MLFLOW] = stack.enter_context(SlowProxy(_port(mlflow.url)))
        database = create_database(postgres.url, "predictions")
        migrate(database)
        registry = signing_registry(mlflow.url)
        versions = _register(registry)
        clock = Clock.make(logs) if with_clock else Clock.none("the clock was not asked for")
        settings = {
            **{name: value for name, value in dotenv_values(ROOT / ".env").items() if value is not None and name.startswith("HEARTH_")},
            "HEARTH_DATA_DIR": str(DATA),
            "HEARTH_MLFLOW_TRACKING_URI": _by_proxy(mlflow.url, proxies[MLFLOW]),
            "HEARTH_PREDICTIONS_URL": _by_proxy(database, proxies[POSTGRES]),
            "HEARTH_REDIS_URL": _by_proxy(valkey.url, proxies[VALKEY]),
            "HEARTH_S3_ENDPOINT_URL": through_proxy.endpoint_url,
            "HEARTH_ALIAS_POLL_SECONDS": "1",
            # Requests are counted in Valkey, so that it stands in the way of each
            "HEARTH_API_RATE_LIMIT": "10000000/minute",
            "HEARTH_API_RATE_LIMIT_SHARED": "true",
            "HEARTH_STREAM_NAME": STREAM,
            **clock.environment,
        }
        requests = [*fake_requests(1)[:40], *([request[:3] for request in fake_requests(100)[:10]])]
        services = stack.enter_context(running_services(settings, logs, requests))
        servers = {POSTGRES: postgres, VALKEY: valkey, S3: s3, MLFLOW: mlflow}
        yield Site(
            servers,
            proxies,
            services,
            registry,
            versions,
            requests,
            database,
            valkey.url,
            disks,
            why_not,
            clock,
            champion=len(versions) - 1,
        )


def _urls(postgres: Server, valkey: Server, s3: Server) -> list[tuple[str, str]]:
    return [(POSTGRES, postgres.url), (VALKEY, valkey.url), (S3, s3.url)]


def _register(registry: Registry) -> list[str]:
    contract = load_contract("employees", DATA)
    X, y = rows(contract, 2 * _TRAINING_ROWS)
    halves = slice(_TRAINING_ROWS), slice(_TRAINING_ROWS, None)
    return [register(registry, contract, "lightgbm", fitted(contract, "lightgbm", X[half], y[half]), X) for half in halves]


def _port(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None  # noqa: S101 - all servers have one
    return port


def _by_proxy(url: str, proxy: SlowProxy) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{proxy.port}")).geturl()


def _disks(stack: contextlib.ExitStack) -> tuple[dict[str, Path], dict[str, str]]:
    """Mount a small disk for PostgreSQL and for the object store, which only root may do."""
    disks: dict[str, Path] = {}
    why_not: dict[str, str] = {}
    for name, megabytes in ((POSTGRES, _POSTGRES_MEGABYTES), (S3, _S3_MEGABYTES)):
        try:
            disks[name] = stack.enter_context(small_disk(name, megabytes))
        except NoDiskError as error:
            why_not[name] = str(error)
    return disks, why_not
