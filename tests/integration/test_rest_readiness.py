"""What REST says of the servers that it needs, when they answer."""

from deploy.embedded.temporary_servers import ObjectStore
from hearth_api.app import create_app
from tests.api.running import running, service_settings
from tests.support.models import FakeRegistry


def test_the_real_servers_answer(mlflow_uri: str, valkey_url: str, object_store: ObjectStore, fresh_database: str) -> None:
    options = service_settings(
        mlflow_tracking_uri=mlflow_uri,
        redis_url=valkey_url,
        s3_endpoint_url=object_store.endpoint_url,
        predictions_url=fresh_database,
    )
    with running(create_app(options, FakeRegistry(champion="1"))) as client:
        body = client.get("/ready").json()
        assert client.get("/health").status_code == 200

    assert {name for name, server in body["servers"].items() if server["ok"]} == {"mlflow", "s3", "redis"}, body["detail"]
    assert "run `python -m hearth store migrate`" in body["servers"]["postgresql"]["problem"]
