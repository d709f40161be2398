"""The servers that other tests stand on."""

import re
import socket
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest

from deploy.embedded import health, temporary_servers
from deploy.embedded.launcher import GRPC_OFFSET
from deploy.embedded.temporary_servers import ROOT


def test_a_fresh_database_is_empty_and_not_the_one_of_another_test(fresh_database: str, postgres_url: str) -> None:
    assert urlsplit(fresh_database).port == urlsplit(postgres_url).port
    assert urlsplit(fresh_database).path != urlsplit(postgres_url).path
    assert health.postgres_accepts(urlsplit(postgres_url).port or 0)


def test_creating_a_database_twice_changes_nothing(postgres_url: str) -> None:
    assert temporary_servers.create_database(postgres_url, 'an "odd" name') == temporary_servers.create_database(
        postgres_url, 'an "odd" name'
    )


def test_a_wrong_password_is_refused(postgres_url: str) -> None:
    wrong = urlsplit(postgres_url)._replace(netloc=f"hearth:wrong@127.0.0.1:{urlsplit(postgres_url).port}").geturl()

    with pytest.raises(subprocess.CalledProcessError):
        temporary_servers.create_database(wrong, "never")


def test_the_object_store_has_its_buckets_and_asks_for_keys(object_store: temporary_servers.ObjectStore) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=object_store.endpoint_url,
        aws_access_key_id=object_store.access_key,
        aws_secret_access_key=object_store.secret_key,
        region_name=object_store.region,
    )

    names = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
    assert {"data", "processed", "mlflow"} <= names  # other tests make more
    assert not health.http_ok(f"{object_store.endpoint_url}/data")  # anonymous


def test_valkey_answers(valkey_url: str) -> None:
    assert health.valkey_answers(urlsplit(valkey_url).port or 0)


def test_the_mlflow_api_answers(mlflow_uri: str) -> None:
    assert health.http_ok(f"{mlflow_uri}/api/2.0/mlflow/registered-models/search?max_results=1")


def test_a_server_is_gone_when_its_block_ends() -> None:
    with temporary_servers.valkey() as url:
        port = urlsplit(url).port or 0

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))


def test_a_server_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temporary_servers, "free_port", lambda: 70_000)

    with pytest.raises(temporary_servers.ServerStartError, match="HEARTH_REDIS_PORT=70000 is not a port"), temporary_servers.valkey():
        pass


def test_without_the_environment_the_error_says_how_to_make_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(temporary_servers, "EMBEDDED_PYTHON", tmp_path / "python")

    with pytest.raises(temporary_servers.ServerStartError, match="make setup"), temporary_servers.valkey():
        pass


def test_free_ports_are_no_port_of_the_stack_and_none_that_an_outgoing_connection_may_take() -> None:
    defaults = {int(number) for number in re.findall(r"^HEARTH_\w*PORT=(\d+)$", (ROOT / ".env").read_text(encoding="utf-8"), re.MULTILINE)}

    found = temporary_servers.free_ports(200, with_grpc=True)

    assert len(defaults) > 10
    assert len(set(found)) == 200
    assert not defaults & set(found)
    assert max(found) + GRPC_OFFSET < 32_768


def test_free_ports_have_no_socket_of_a_killed_object_store(monkeypatch: pytest.MonkeyPatch) -> None:
    [left, other] = temporary_servers.free_ports(2, with_grpc=True)
    path = Path(f"/tmp/seaweedfs-s3-grpc-{left + GRPC_OFFSET}.sock")  # noqa: S108 - where SeaweedFS puts it
    monkeypatch.setattr(temporary_servers, "_RETURNED_PORTS", set())
    monkeypatch.setattr(temporary_servers, "_FREE_PORTS", [left, left, left, other])
    path.touch()
    try:
        assert temporary_servers.free_ports(1, with_grpc=True) == [other]
    finally:
        path.unlink()
