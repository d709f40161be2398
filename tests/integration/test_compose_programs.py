"""The programs that containers run before and beside the services, against real servers."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from uuid import uuid4

import psycopg
import pytest
from redis import Redis

from deploy.compose import databases, healthcheck
from deploy.embedded import temporary_servers
from tests.support.models import carry


@pytest.fixture
def prepared(postgres_url: str) -> Iterator[str]:
    """The name of a user and a database that were prepared with the password `first`."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        databases.prepare(connection, name, "first")
    yield name
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}"')
        connection.execute(f'DROP ROLE "{name}"')


def login(postgres_url: str, user: str, password: str, database: str) -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(postgres_url, user=user, password=password, dbname=database)


def test_a_service_owns_its_database(postgres_url: str, prepared: str) -> None:
    with login(postgres_url, prepared, "first", prepared) as connection:
        connection.execute("CREATE TABLE proof (number int)")


def test_preparing_again_keeps_the_data_and_takes_the_new_password(postgres_url: str, prepared: str) -> None:
    with login(postgres_url, prepared, "first", prepared) as connection:
        connection.execute("CREATE TABLE proof AS SELECT 7 AS number")

    with psycopg.connect(postgres_url, autocommit=True) as connection:
        databases.prepare(connection, prepared, "it's second")

    with login(postgres_url, prepared, "it's second", prepared) as connection:
        assert connection.execute("SELECT number FROM proof").fetchall() == [(7,)]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        login(postgres_url, prepared, "first", prepared)


def test_a_service_cannot_enter_the_database_of_another(postgres_url: str, prepared: str) -> None:
    other = f"test_{uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        databases.prepare(connection, other, "other")
        try:
            with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
                login(postgres_url, prepared, "first", other)
        finally:
            connection.execute(f'DROP DATABASE "{other}"')
            connection.execute(f'DROP ROLE "{other}"')


def test_who_makes_backups_reads_every_database_and_writes_none(postgres_url: str, prepared: str) -> None:
    reader = f"test_{uuid4().hex}"
    with login(postgres_url, prepared, "first", prepared) as connection:
        connection.execute("CREATE TABLE proof AS SELECT 7 AS number")
    with psycopg.connect(postgres_url, autocommit=True) as superuser:
        databases.prepare_user(superuser, reader, "reading")
        databases.let_read_everything(superuser, reader, [prepared])
        try:
            with login(postgres_url, reader, "reading", prepared) as connection:
                assert connection.execute("SELECT number FROM proof").fetchall() == [(7,)]
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute("DELETE FROM proof")
        finally:
            superuser.execute(f'REVOKE CONNECT ON DATABASE "{prepared}" FROM "{reader}"')
            superuser.execute(f'DROP ROLE "{reader}"')


@pytest.fixture
def stream(valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    name = f"stream-{uuid4().hex}"
    monkeypatch.setenv("HEARTH_REDIS_URL", valkey_url)
    monkeypatch.setenv("HEARTH_STREAM_NAME", name)
    monkeypatch.setenv("HEARTH_STREAM_GROUP", "workers")
    monkeypatch.setenv("HEARTH_STREAM_MAX_LENGTH", "2")
    monkeypatch.setattr("socket.gethostname", lambda: "this-host")
    yield name
    with Redis.from_url(valkey_url) as redis:
        redis.delete(name)


class TestStreamWorker:
    def test_a_consumer_that_asks_for_messages_is_healthy(self, valkey_url: str, stream: str) -> None:
        with Redis.from_url(valkey_url) as redis:
            redis.xgroup_create(stream, "workers", id="0", mkstream=True)
            redis.xreadgroup("workers", "this-host", {stream: ">"})

        healthcheck.stream_worker()

    def test_the_consumer_of_another_container_does_not_count(self, valkey_url: str, stream: str) -> None:
        with Redis.from_url(valkey_url) as redis:
            redis.xgroup_create(stream, "workers", id="0", mkstream=True)
            redis.xreadgroup("workers", "another-host", {stream: ">"})

        with pytest.raises(healthcheck.Unhealthy, match="this-host"):
            healthcheck.stream_worker()

    def test_one_that_has_stopped_asking_is_ill(self, valkey_url: str, stream: str, monkeypatch: pytest.MonkeyPatch) -> None:
        with Redis.from_url(valkey_url) as redis:
            redis.xgroup_create(stream, "workers", id="0", mkstream=True)
            redis.xreadgroup("workers", "this-host", {stream: ">"})
        monkeypatch.setattr(healthcheck, "_IDLE_MILLISECONDS", 20)
        time.sleep(0.1)

        with pytest.raises(healthcheck.Unhealthy, match="asked for messages"):
            healthcheck.stream_worker()

    @pytest.mark.usefixtures("stream")
    def test_a_server_without_the_stream_is_no_health(self) -> None:
        with pytest.raises(healthcheck.Unhealthy, match="the stream does not answer"):
            healthcheck.stream_worker()

    @pytest.mark.usefixtures("stream")
    def test_a_server_that_is_away_is_no_health(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HEARTH_REDIS_URL", f"redis://127.0.0.1:{temporary_servers.free_port()}/0")

        with pytest.raises(healthcheck.Unhealthy, match="the stream does not answer"):
            healthcheck.stream_worker()


@pytest.fixture
def dataset(mlflow_uri: str, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"dataset_{uuid4().hex}"
    monkeypatch.setenv("HEARTH_MLFLOW_TRACKING_URI", mlflow_uri)
    monkeypatch.setenv("HEARTH_PRODUCER_DATASET", f"another, {name}")
    return name


class TestStreamProducer:
    def test_fresh_messages_are_health(self, valkey_url: str, stream: str) -> None:
        with Redis.from_url(valkey_url) as redis:
            redis.xadd(stream, {"a": "b"})

        healthcheck.stream_producer()

    def test_old_messages_are_not_where_there_is_a_model_to_be_asked(
        self, valkey_url: str, stream: str, dataset: str, mlflow_uri: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with Redis.from_url(valkey_url) as redis:
            redis.xadd(stream, {"a": "b"}, id="1-0")
        healthcheck.stream_producer()

        carry(mlflow_uri, dataset, "champion")

        with pytest.raises(healthcheck.Unhealthy, match="seconds old"):
            healthcheck.stream_producer()
        monkeypatch.setenv("HEARTH_PRODUCER_DATASET", "all")
        with pytest.raises(healthcheck.Unhealthy, match="seconds old"):
            healthcheck.stream_producer()
        monkeypatch.setenv("HEARTH_PRODUCER_DATASET", "another")
        healthcheck.stream_producer()

    def test_a_full_stream_makes_it_wait_and_is_no_illness(self, valkey_url: str, stream: str) -> None:
        with Redis.from_url(valkey_url) as redis:
            redis.xadd(stream, {"a": "b"}, id="1-0")
            redis.xadd(stream, {"a": "b"}, id="2-0")

        healthcheck.stream_producer()


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"metadatabase": {"status": "healthy"}, "scheduler": {"status": "unhealthy"}, "triggerer": null}'
        self.send_response(403 if self.path.startswith("/refused") and "monitor" not in self.path else 200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Answers) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def test_an_answer_is_health_and_a_refusal_is_not(server: str) -> None:
    healthcheck.http(server)

    with pytest.raises(ConnectionError, match="403"):
        healthcheck.http(f"{server}/refused")


def test_airflow_is_judged_by_what_it_says_of_the_component(server: str) -> None:
    healthcheck.airflow(server, "metadatabase")

    with pytest.raises(ConnectionError, match="refused/execution/health"):
        healthcheck.airflow(f"{server}/refused", "metadatabase")
    for component in ("scheduler", "triggerer", "dag_processor"):
        with pytest.raises(healthcheck.Unhealthy, match=component):
            healthcheck.airflow(server, component)


def test_a_check_that_does_not_exist_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["healthcheck", "nonsense"])

    assert healthcheck.main() == 2
    assert "'nonsense' is not a check" in capsys.readouterr().err
