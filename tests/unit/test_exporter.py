"""What the exporter says of DAGs and servers: nothing counts twice, and a server that is away costs nobody else a figure."""

import json
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from deploy.monitoring.airflow_runs import RunHistory
from deploy.monitoring.exporter import Watch, WatchCollector
from deploy.monitoring.gauges import Reading, families
from deploy.monitoring.mlflow_trials import TrialHistory
from deploy.monitoring.probes import AirflowProbe, probes_of
from deploy.monitoring.scrape_config import JOBS, embedded_config
from hearth.settings import ExporterSettings

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
DAG = {"dag_id": "train_knn", "is_paused": False, "next_dagrun_run_after": "2026-11-29T12:05:00Z"}
ROOT = Path(__file__).parents[2]


def run(number: int, state: str, *, minutes: float = 0, dag: str = "train_knn") -> dict[str, Any]:
    start = NOON + timedelta(minutes=minutes)
    ended = {"end_date": (start + timedelta(seconds=30)).isoformat()} if state in {"success", "failed"} else {"end_date": None}
    return {"dag_id": dag, "dag_run_id": f"run {number}", "state": state, "start_date": start.isoformat(), **ended}


def attempt(number: int, state: str, *, minutes: float = 0) -> dict[str, Any]:
    end = NOON + timedelta(minutes=minutes)
    return {
        "dag_id": "train_knn",
        "task_id": "train",
        "dag_run_id": "run 1",
        "try_number": number,
        "state": state,
        "duration": 12.5,
        "end_date": end.isoformat(),
    }


def figures(history: RunHistory, *runs: dict[str, Any], tries: Sequence[dict[str, Any]] = ()) -> dict[tuple[str, ...], float]:
    found = history.readings([DAG], runs, tries, NOON + timedelta(minutes=10))
    return {(reading.name, *reading.labels): reading.value for reading in found}


def test_runs_that_ended_before_the_first_look_are_shown_and_not_counted() -> None:
    found = figures(RunHistory(), run(1, "failed"))

    assert found["hearth_dag_last_run_failed", "train_knn"] == 1
    assert found["hearth_dag_last_run_seconds", "train_knn"] == 30
    assert found["hearth_dag_runs", "train_knn", "failed"] == 0


def test_a_run_counts_once_however_often_it_is_listed() -> None:
    history = RunHistory()
    figures(history)
    for _ in range(3):
        found = figures(history, run(1, "failed"), run(2, "success", minutes=1))

    assert found["hearth_dag_runs", "train_knn", "failed"] == found["hearth_dag_runs", "train_knn", "success"] == 1
    assert found["hearth_dag_last_run_failed", "train_knn"] == 0
    assert found["hearth_dag_last_success_timestamp_seconds", "train_knn"] == (NOON + timedelta(seconds=90)).timestamp()


def test_a_failed_run_that_a_person_clears_counts_again_when_it_has_ended_again() -> None:
    history = RunHistory()
    figures(history)
    figures(history, run(1, "failed"))
    figures(history, run(1, "running"))

    found = figures(history, run(1, "success", minutes=3))

    assert (found["hearth_dag_runs", "train_knn", "failed"], found["hearth_dag_runs", "train_knn", "success"]) == (1, 1)


def test_a_run_that_falls_out_of_the_list_is_remembered_as_the_last_one() -> None:
    history = RunHistory()
    figures(history, run(1, "failed"))

    assert figures(history)["hearth_dag_last_run_failed", "train_knn"] == 1


def test_what_runs_has_the_age_of_its_oldest_run_and_a_paused_dag_is_not_due() -> None:
    history = RunHistory()
    found = figures(history, run(1, "running"), run(2, "queued", minutes=4))
    paused = history.readings([{**DAG, "is_paused": True}], [], [], NOON)

    assert found["hearth_dag_running_seconds", "train_knn"] == 600
    assert found["hearth_dag_next_run_timestamp_seconds", "train_knn"] == (NOON + timedelta(minutes=5)).timestamp()
    assert "hearth_dag_next_run_timestamp_seconds" not in {reading.name for reading in paused}


def test_each_failed_try_counts_once_and_the_last_try_has_the_duration() -> None:
    history = RunHistory()
    figures(history)
    tries = [attempt(1, "up_for_retry"), attempt(2, "failed", minutes=1)]
    figures(history, tries=tries)

    found = figures(history, tries=tries)

    assert found["hearth_task_failures", "train_knn", "train"] == 2
    assert found["hearth_task_last_seconds", "train_knn", "train"] == 12.5


@given(st.lists(st.tuples(st.integers(1, 6), st.sampled_from(["success", "failed", "running", "queued"])), max_size=30))
def test_counters_never_fall_and_never_exceed_the_runs_that_ended(looks: list[tuple[int, str]]) -> None:
    history, before, ended = RunHistory(), 0.0, set()
    figures(history)
    for number, state in looks:
        one = run(number, state)
        if state in {"success", "failed"}:
            ended.add((number, one["end_date"]))
        found = figures(history, one)
        total = sum(value for key, value in found.items() if key[0] == "hearth_dag_runs")
        assert before <= total <= len(ended)
        before = total


def test_a_server_that_is_away_leaves_only_the_word_that_it_is_away() -> None:
    answers: Iterator[list[Reading] | Exception] = iter(
        [[Reading("hearth_valkey_clients", 3)], ConnectionError("refused"), [Reading("hearth_valkey_clients", 4)]]
    )

    def probe() -> Sequence[Reading]:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    watch, other = Watch("valkey", probe), Watch("mlflow", lambda: ())
    registry = CollectorRegistry()
    registry.register(WatchCollector([watch, other]))
    texts = []
    for _ in range(3):
        watch.look()
        other.look()
        texts.append(generate_latest(registry).decode())

    assert "hearth_valkey_clients 3.0" in texts[0]
    assert "hearth_valkey_clients" not in texts[1]
    assert 'hearth_server_up{server="valkey"} 0.0' in texts[1]
    assert 'hearth_server_up{server="mlflow"} 1.0' in texts[1]
    assert "hearth_valkey_clients 4.0" in texts[2]


def test_an_error_that_nobody_expected_is_an_outage_too_and_not_the_figures_of_before() -> None:
    answers: Iterator[list[Reading] | Exception] = iter([[Reading("hearth_valkey_clients", 3)], AttributeError("no such field")])

    def probe() -> Sequence[Reading]:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    watch = Watch("valkey", probe)
    watch.look()
    with pytest.raises(AttributeError):
        watch.look()

    found = {reading.name: reading.value for reading in watch.readings()}
    assert found.keys() == {"hearth_server_up", "hearth_server_check_seconds"}
    assert found["hearth_server_up"] == 0


def test_a_name_that_is_in_no_table_is_an_error() -> None:
    with pytest.raises(KeyError):
        list(families([Reading("hearth_invented", 1)]))


class _Airflow(BaseHTTPRequestHandler):
    """Airflow's answers, with a token that expires after every list."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.endswith("/monitor/health"):
            self._answer({"scheduler": {"status": "unhealthy"}, "triggerer": {"status": None}})
        elif self.headers.get("Authorization") != f"Bearer token {self.server.logins}":  # type: ignore[attr-defined]
            self._answer({"detail": "expired"}, 401)
        else:
            runs = self.server.runs if "hearth_backup" in path else [run(1, "success")]  # type: ignore[attr-defined]
            dags = self.server.dags  # type: ignore[attr-defined]
            lists = {"dags": dags, "dag_runs": runs, "task_instances": [], "total_entries": 2}
            self._answer(lists)

    def do_POST(self) -> None:
        self.server.logins += 1  # type: ignore[attr-defined]
        self._answer({"access_token": f"token {self.server.logins}"})  # type: ignore[attr-defined]

    def _answer(self, body: object, status: int = 200) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def airflow() -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), _Airflow) as server:
        server.logins, server.dags, server.runs = 0, [DAG], []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def exporter_settings(**values: Any) -> ExporterSettings:
    return ExporterSettings(_env_file=ROOT / ".env", **values)


def test_airflow_is_logged_into_again_when_its_token_has_expired(airflow: HTTPServer) -> None:
    probe = AirflowProbe(exporter_settings(airflow_url=f"http://127.0.0.1:{airflow.server_port}"))
    for _ in range(2):
        found = {(reading.name, *reading.labels): reading.value for reading in probe()}
        airflow.logins += 1  # type: ignore[attr-defined]  # the token that the probe holds is none any more

    assert found["hearth_airflow_component_up", "scheduler"] == 0
    assert ("hearth_airflow_component_up", "triggerer") not in found
    assert found["hearth_dag_import_errors",] == 2
    assert found["hearth_dag_last_run_failed", "train_knn"] == 0


@pytest.mark.parametrize(("paused", "runs", "expected"), [(False, 1, NOON + timedelta(seconds=30)), (False, 0, None), (True, 1, "none")])
def test_the_last_backup_is_asked_for_by_itself_while_it_has_a_schedule(
    airflow: HTTPServer, paused: bool, runs: int, expected: datetime | str | None
) -> None:
    before = datetime.now(UTC)
    airflow.dags = [{**DAG, "dag_id": "hearth_backup", "is_paused": paused}]  # type: ignore[attr-defined]
    airflow.runs = [run(1, "success")] * runs  # type: ignore[attr-defined]
    probe = AirflowProbe(exporter_settings(airflow_url=f"http://127.0.0.1:{airflow.server_port}"))

    found = {reading.name: reading.value for reading in probe()}

    value = found.get("hearth_backup_last_success_timestamp_seconds")
    if isinstance(expected, datetime):
        assert value == expected.timestamp()
    elif expected is None:  # no backup yet: its age counts from the first look
        assert value is not None
        assert before.timestamp() <= value <= datetime.now(UTC).timestamp()
    else:
        assert value is None


def trial(number: int, status: str, end: int, score: float | None = None) -> dict[str, Any]:
    tags = [{"key": "hearth.dataset", "value": "heart"}, {"key": "hearth.family", "value": "svm"}, {"key": "hearth.trial", "value": "1"}]
    metrics = [] if score is None else [{"key": "fold_f1", "value": 0.1}, {"key": "cv_f1", "value": score}]
    return {"info": {"run_id": f"r{number}", "status": status, "end_time": end}, "data": {"tags": tags, "metrics": metrics}}


def test_trials_that_ended_before_the_first_look_are_shown_and_not_counted_and_later_ones_count_once() -> None:
    history = TrialHistory()
    first = {(each.name, *each.labels): each.value for each in history.readings([trial(1, "FINISHED", 1_000, 0.5)])}
    later = [trial(1, "FINISHED", 1_000, 0.5), trial(2, "KILLED", 2_000, 0.9), trial(3, "FINISHED", 3_000, 0.7), trial(4, "RUNNING", 0)]
    for _ in range(2):
        found = {(each.name, *each.labels): each.value for each in history.readings(later)}

    assert first == {("hearth_trials", "heart", "svm", "finished"): 0, ("hearth_trial_last_score", "heart", "svm", "f1"): 0.5}
    assert found == {
        ("hearth_trials", "heart", "svm", "finished"): 1,
        ("hearth_trials", "heart", "svm", "pruned"): 1,
        ("hearth_trial_last_score", "heart", "svm", "f1"): 0.7,
    }
    assert history.newest == 3_000


def test_the_end_of_a_certificate_is_read_from_its_file(tmp_path: Path) -> None:
    pem = tmp_path / "server.pem"
    pem.write_bytes(authority_certificate())
    probes = probes_of(exporter_settings(exporter_certificates=str(pem), api_url="", airflow_url=""), tmp_path)
    [reading] = probes[f"certificate of {pem}"]()

    assert reading.labels == (str(pem),)
    assert reading.value > NOON.timestamp()
    assert "airflow" not in probes


def authority_certificate() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hearth.test")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    built = builder.not_valid_before(NOON).not_valid_after(NOON + timedelta(days=90)).sign(key, hashes.SHA256())
    return built.public_bytes(serialization.Encoding.PEM)


def test_prometheus_scrapes_the_ports_of_the_settings_and_not_those_that_are_off() -> None:
    environment = {job.setting: str(port) for port, job in enumerate(JOBS, 9_000)} | {"HEARTH_PROMETHEUS_PORT": "9999"}
    config = embedded_config({**environment, "HEARTH_GRPC_METRICS_PORT": "0", "HEARTH_PROMETHEUS_API_KEY": "a-key"}, "rules/*.yml")
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in config["scrape_configs"]}
    [receiver] = config["alerting"]["alertmanagers"]

    assert targets == {
        "rest": ["127.0.0.1:9000"],
        "worker": ["127.0.0.1:9002"],
        "exporter": ["127.0.0.1:9003"],
        "prometheus": ["127.0.0.1:9999"],
    }
    assert receiver["static_configs"][0]["targets"] == ["127.0.0.1:9000"]
    assert receiver["authorization"]["credentials"] == "a-key"
