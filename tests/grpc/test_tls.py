"""TLS of the gRPC service, with a certificate authority made here and real clients."""

import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from deploy.health import grpc_serves
from grpc_service.encoding import record_message
from grpc_service.tls import channel_credentials, server_credentials
from grpc_service.v1 import prediction_pb2 as pb
from grpc_service.v1.prediction_pb2_grpc import PredictionStub
from hearth.errors import InvalidSettings
from tests.grpc.service import Shelf, fitted, serving, settings
from tests.support.authority import OPENSSL, Authority
from tests.support.samples import EMPLOYEES, ROOT, records, sample_rows
from tests.support.waiting import LIMIT_SECONDS, wait_until

pytestmark = pytest.mark.skipif(not OPENSSL, reason="openssl, which makes the certificates, is not installed")
REQUEST = pb.PredictRequest(records=[record_message(records(sample_rows(EMPLOYEES, 1, seed=5)[0])[0])])


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    (tmp_path / "tls").mkdir()
    return Authority(tmp_path / "tls")


def labels(address: str, ca: Path) -> list[str]:
    target, credentials = channel_credentials(address, ca)
    assert credentials is not None
    with grpc.secure_channel(target, credentials) as channel:
        return list(PredictionStub(channel).Predict(REQUEST, timeout=LIMIT_SECONDS).labels)


def test_a_client_that_trusts_the_authority_is_answered_and_one_without_tls_is_not(authority: Authority, tmp_path: Path) -> None:
    certificate, key = authority.sign("DNS:localhost")
    with serving(Shelf({"champion": "1"}, {"1": fitted()}), settings(grpc_tls_certificate=certificate, grpc_tls_key=key)) as service:
        port = service.address.rpartition(":")[2]
        assert labels(f"grpcs://localhost:{port}", authority.ca)
        with pytest.raises(grpc.RpcError) as plain:
            service.stub.Predict(REQUEST, timeout=LIMIT_SECONDS)
        assert plain.value.code() is grpc.StatusCode.UNAVAILABLE
        (tmp_path / "other").mkdir()
        with pytest.raises(grpc.RpcError) as foreign:
            labels(f"grpcs://localhost:{port}", Authority(tmp_path / "other").ca)
        assert foreign.value.code() is grpc.StatusCode.UNAVAILABLE
        command = ["-m", "grpc_service.client", "--address", f"grpcs://localhost:{port}", "--ca", str(authority.ca), "--records", "2"]
        ended = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert "2 of 2 records scored" in ended.stdout, ended.stderr


@pytest.mark.parametrize("names", ["DNS:grpc.example.org", "DNS:*.example.org", "IP:192.0.2.7"])
def test_the_check_of_the_stack_trusts_the_certificate_whatever_name_is_in_it(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, names: str
) -> None:
    certificate, key = authority.sign(names)
    with serving(Shelf({"champion": "1"}, {"1": fitted()}), settings(grpc_tls_certificate=certificate, grpc_tls_key=key)) as service:
        port = int(service.address.rpartition(":")[2])
        assert not grpc_serves(port)
        monkeypatch.setenv("HEARTH_GRPC_TLS_CERTIFICATE", str(certificate))
        assert grpc_serves(port)


def test_a_renewed_certificate_serves_without_a_restart(authority: Authority) -> None:
    certificate, key = authority.sign("DNS:before.example.org")
    with serving(Shelf({"champion": "1"}, {"1": fitted()}), settings(grpc_tls_certificate=certificate, grpc_tls_key=key)) as service:
        address = f"grpcs://localhost:{service.address.rpartition(':')[2]}"
        with pytest.raises(grpc.RpcError):
            labels(address, authority.ca)
        certificate.write_bytes(b"half of a file")
        with pytest.raises(grpc.RpcError):
            labels(address, authority.ca)
        authority.sign("DNS:localhost")

        def is_served() -> bool:
            try:
                return bool(labels(address, authority.ca))
            except grpc.RpcError:
                return False

        wait_until(is_served)


def test_wrong_settings_are_refused_by_name(authority: Authority, tmp_path: Path) -> None:
    certificate, key = authority.sign("DNS:localhost")
    with pytest.raises(InvalidSettings, match="Only one of HEARTH_GRPC_TLS_CERTIFICATE and HEARTH_GRPC_TLS_KEY is set"):
        server_credentials(settings(grpc_tls_certificate=certificate))
    with pytest.raises(InvalidSettings, match="no certificate and its key"):
        server_credentials(settings(grpc_tls_certificate=certificate, grpc_tls_key=authority.folder / "ca.key"))
    with pytest.raises(InvalidSettings, match="No such file"):
        server_credentials(settings(grpc_tls_certificate=certificate, grpc_tls_key=tmp_path / "none"))
    with pytest.raises(InvalidSettings, match="write grpcs://localhost:1"):
        channel_credentials("localhost:1", authority.ca)
    with pytest.raises(InvalidSettings, match="HEARTH_GRPC_CA"):
        channel_credentials("grpcs://localhost:1", tmp_path / "none")
    assert server_credentials(settings(grpc_tls_certificate="", grpc_tls_key="")) is None
    assert channel_credentials("localhost:1", Path()) == ("localhost:1", None)
    assert key.is_file()
