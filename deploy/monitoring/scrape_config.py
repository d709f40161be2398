"""Prometheus' configuration: whom it scrapes, its rules, where its alerts go. One for both stacks; standard library only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SCRAPE_SECONDS = 15

Json = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """A kind of process that has metrics; the label `job` of its series."""

    name: str
    service: str  # in both stacks
    compose_port: int
    setting: str  # of its port in the embedded stack


JOBS = (
    Job("rest", "fastapi", 8800, "HEARTH_API_PORT"),
    Job("grpc", "grpc", 50052, "HEARTH_GRPC_METRICS_PORT"),
    Job("worker", "stream_worker", 50053, "HEARTH_WORKER_METRICS_PORT"),
    Job("exporter", "exporter", 50054, "HEARTH_EXPORTER_PORT"),
)
_COMPOSE_SERVERS = {"prometheus": 9090, "alertmanager": 9093, "grafana": 3000}
_REST_PORT = 8800


def embedded_config(environment: Mapping[str, str], rules: str, seconds: int = SCRAPE_SECONDS) -> Json:
    """Return the configuration of the embedded stack, where each process has a port of 127.0.0.1; port 0 has no metrics.

    `rules` are the files of rules, and `seconds` the time between two scrapes; a drill has shorter ones.
    """
    ports = {job.name: environment[job.setting] for job in JOBS}
    scrapes = [
        {"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{port}"], "labels": {"stack": "embedded"}}]}
        for name, port in ports.items()
        if port != "0"
    ]
    own = {"job_name": "prometheus", "static_configs": [{"targets": [f"127.0.0.1:{environment['HEARTH_PROMETHEUS_PORT']}"]}]}
    # The service has the form of Alertmanager's API, and stores what it is sent
    receiver = _receiver(f"127.0.0.1:{ports['rest']}", environment.get("HEARTH_PROMETHEUS_API_KEY", ""))
    return _config([*scrapes, own], rules, [receiver], seconds)


def compose_config(api_key: str) -> Json:
    """Return the configuration of the Compose stack, where a service may have several containers."""
    scrapes = [
        {
            "job_name": job.name,
            "dns_sd_configs": [{"names": [job.service], "type": "A", "port": job.compose_port, "refresh_interval": f"{SCRAPE_SECONDS}s"}],
        }
        for job in JOBS
    ]
    servers = [{"job_name": name, "static_configs": [{"targets": [f"{name}:{port}"]}]} for name, port in _COMPOSE_SERVERS.items()]
    return _config(
        [*scrapes, *servers], "/etc/prometheus/rules/*.yml", [_receiver("alertmanager:9093"), _receiver(f"fastapi:{_REST_PORT}", api_key)]
    )


def _receiver(address: str, key: str = "") -> Json:
    authorization = {"authorization": {"type": "Bearer", "credentials": key}} if key else {}
    return {"api_version": "v2", "timeout": "5s", **authorization, "static_configs": [{"targets": [address]}]}


def _config(scrapes: Sequence[Json], rules: str, receivers: Sequence[Json], seconds: int = SCRAPE_SECONDS) -> Json:
    return {
        "global": {"scrape_interval": f"{seconds}s", "evaluation_interval": f"{seconds}s"},
        "rule_files": [rules],
        "alerting": {"alertmanagers": list(receivers)},
        "scrape_configs": list(scrapes),
    }
