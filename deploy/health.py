"""Health of servers over HTTP and gRPC: one for the embedded stack, the containers and the tests, so it imports only what a check needs."""

import base64
import http.client
import json
import os
import socket
import ssl
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import grpc

_TIMEOUT_SECONDS = 5.0


def http_get(url: str, login: tuple[str, str] | None = None) -> bytes:
    """Return the body of a GET, which goes to the server itself even where a proxy is set for everything.

    `login` is a user and a password.

    Raises:
        ConnectionError: there is no answer, or one without success.
    """
    request = urllib.request.Request(url)  # noqa: S310 - an address of the settings
    if login:
        request.add_header("Authorization", "Basic " + base64.b64encode(":".join(login).encode()).decode())
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=_TIMEOUT_SECONDS) as response:
            body: bytes = response.read()
            return body
    except (OSError, http.client.HTTPException) as error:  # URLError and HTTPError are OSErrors
        raise ConnectionError(f"{url}: {error}") from error


def mlflow_get(url: str, environment: Mapping[str, str]) -> bytes:
    """Return the answer of MLflow's registry about its models, with the login that the settings have.

    `/health` says nothing: it is answered even where every call is refused.

    Raises:
        ConnectionError: there is no answer, or one without success.
    """
    password = environment.get("HEARTH_MLFLOW_PASSWORD")
    login = (environment["HEARTH_MLFLOW_USER"], password) if password else None
    return http_get(f"{url}/api/2.0/mlflow/registered-models/search?max_results=1000", login)


def mlflow_ok(url: str, environment: Mapping[str, str]) -> bool:
    """Tell whether MLflow answers calls."""
    try:
        mlflow_get(url, environment)
    except ConnectionError:
        return False
    return True


def http_ok(url: str) -> bool:
    """Tell whether a GET succeeds."""
    try:
        http_get(url)
    except ConnectionError:
        return False
    return True


def airflow_status(url: str, component: str) -> str | None:
    """Return the status of a component of Airflow, such as 'healthy'; None if Airflow does not know the component.

    Airflow answers 200 even when its scheduler is dead: only the JSON of its health page tells.

    Raises:
        ConnectionError: Airflow does not answer.
    """
    statuses = json.loads(http_get(f"{url}/api/v2/monitor/health"))
    status: str | None = (statuses.get(component) or {}).get("status")
    return status


def airflow_unhealthy(url: str, components: Sequence[str]) -> list[str]:
    """Return the components of Airflow that are not healthy; all of them when it does not answer."""
    try:
        return [component for component in components if airflow_status(url, component) != "healthy"]
    except ConnectionError:
        return list(components)


def grpc_serves(port: int, service: str = "", host: str = "127.0.0.1") -> bool:
    """Tell whether the standard health service of a gRPC server says SERVING; the empty name is the process itself."""
    import grpc  # noqa: PLC0415 - containers without gRPC use this module too
    from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse  # noqa: PLC0415

    with _grpc_channel(host, port) as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check", HealthCheckRequest.SerializeToString, HealthCheckResponse.FromString)
        try:
            response = check(HealthCheckRequest(service=service), timeout=_TIMEOUT_SECONDS)
        except grpc.RpcError:
            return False
    return bool(response.status == HealthCheckResponse.SERVING)


def _grpc_channel(host: str, port: int) -> "grpc.Channel":
    """Open a channel to the service of this machine; with TLS it trusts the certificate that the service has, whatever name is in it."""
    import grpc  # noqa: PLC0415 - as above

    options: list[tuple[str, int | str]] = [("grpc.enable_http_proxy", 0)]
    certificate = os.environ.get("HEARTH_GRPC_TLS_CERTIFICATE")
    if not certificate:
        return grpc.insecure_channel(f"{host}:{port}", options=options)
    context = ssl.create_default_context(cafile=certificate)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the certificate itself is trusted, who signed it is not known here
    try:
        with socket.create_connection((host, port), _TIMEOUT_SECONDS) as plain, context.wrap_socket(plain) as tls:
            names = [str(entry[1]) for entry in (tls.getpeercert() or {}).get("subjectAltName", ())]
    except OSError:
        names = []
    credentials = grpc.ssl_channel_credentials(Path(certificate).read_bytes())
    if names:
        options.append(("grpc.ssl_target_name_override", names[0].replace("*", "any")))
    return grpc.secure_channel(f"{host}:{port}", credentials, options=options)
