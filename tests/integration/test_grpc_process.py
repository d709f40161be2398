"""The gRPC service as a process, as the stack starts it."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from deploy.embedded.health import grpc_serves
from deploy.embedded.temporary_servers import free_ports
from grpc_service.health import SERVICE
from grpc_service.v1 import prediction_pb2 as pb
from grpc_service.v1.prediction_pb2_grpc import PredictionStub
from tests.grpc.service import health_stub
from tests.support.samples import ROOT
from tests.support.waiting import LIMIT_SECONDS, wait_until


@contextmanager
def process(port: int, registry: int, folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The server as the stack starts it, with a registry at a port where nobody listens; its log is `server.log`."""
    environment: Mapping[str, str] = {
        **os.environ,
        "HEARTH_GRPC_PORT": str(port),
        "HEARTH_MLFLOW_TRACKING_URI": f"http://127.0.0.1:{registry}",
        "HEARTH_DATA_DIR": str(ROOT / "data"),
        "HEARTH_GRPC_METRICS_PORT": "0",
        "HEARTH_RECORD_PREDICTIONS": "none",
    }
    with (folder / "server.log").open("wb") as log:
        command = [sys.executable, "-m", "grpc_service.server"]
        started = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            yield started
        finally:
            started.kill()
            started.wait(LIMIT_SECONDS)


def test_the_process_is_healthy_without_a_registry_says_why_it_cannot_predict_and_stops_at_sigterm(tmp_path: Path) -> None:
    port, registry = free_ports(2)
    with process(port, registry, tmp_path) as started:
        wait_until(lambda: grpc_serves(port) or started.poll() is not None)
        assert started.poll() is None, (tmp_path / "server.log").read_text()
        assert not grpc_serves(port, SERVICE)
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            assert health_stub(channel).Check(HealthCheckRequest(service=SERVICE)).status == HealthCheckResponse.NOT_SERVING
            with pytest.raises(grpc.RpcError) as caught:
                PredictionStub(channel).Predict(pb.PredictRequest(records=[pb.Record()]))
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE

        started.send_signal(signal.SIGTERM)

        assert started.wait(LIMIT_SECONDS) == 0
    log = (tmp_path / "server.log").read_text()
    assert f"listening on 127.0.0.1:{port}" in log
    assert log.rstrip().endswith("stopped")
    assert "Traceback" not in log


def test_a_taken_port_is_named_with_the_setting_to_change(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with process(port, 9, tmp_path) as started:
            assert started.wait(LIMIT_SECONDS) == 1

    log = (tmp_path / "server.log").read_text()
    assert f"Nothing can listen on 127.0.0.1:{port}; is another process there? Change HEARTH_GRPC_HOST or HEARTH_GRPC_PORT." in log
    assert "Traceback" not in log
