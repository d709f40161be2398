"""The alerts: each fires when what it is for is broken, is silent otherwise, and leads to a paragraph that says what to do."""

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.prometheus import promtool

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "deploy/monitoring/rules").glob("*.yml"))
RULES: list[dict[str, Any]] = [
    rule for path in FILES for group in yaml.safe_load(path.read_text("utf-8"))["groups"] for rule in group["rules"]
]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}


@dataclass(frozen=True)
class Case:
    """Series that make an alert fire after some minutes, and series that do not; values are in promtool's notation, a minute apart."""

    alert: str
    minutes: int
    labels: str  # of the alert
    firing: dict[str, str]
    silent: dict[str, str]


def counted(total: str, part: str, share: int) -> dict[str, str]:
    """Counters of which `part` grows by so many of a hundred a minute."""
    return {total: f"0+{100 - share}x30", part: f"0+{share}x30"}


_BUCKET = "hearth_http_request_seconds_bucket"
_DOOR = 'method="POST",route="/predict"'
_UP = {'up{job="rest"}': "1x30"}
CASES = [
    Case("ProcessAway", 2, 'job="grpc"', {'up{job="grpc"}': "0x9"}, {'up{job="grpc"}': "0 1x9"}),
    Case(
        "NoChampion",
        10,
        'dataset="heart"',
        {
            **_UP,
            'hearth_model_serving{dataset="heart",alias="champion"}': "1 1 1 stale",
            'hearth_model_serving{dataset="heart",alias="svm"}': "1x9",
        },
        {**_UP, 'hearth_model_serving{dataset="heart",alias="champion"}': "1x10"},
    ),
    Case(
        "AliasProblem",
        7,
        'dataset="heart", alias="svm"',
        {'hearth_model_alias_problem{dataset="heart",alias="svm"}': "1x9"},
        {'hearth_model_alias_problem{dataset="heart",alias="svm"}': "1 1 1 0x9"},  # a version that is being loaded
    ),
    Case(
        "RegistryAway",
        7,
        'job="rest"',
        {'hearth_model_follower_problem{job="rest"}': "1x9"},
        {'hearth_model_follower_problem{job="rest"}': "0x9"},
    ),
    Case(
        "ErrorRate",
        20,
        "",
        counted('hearth_http_requests_total{method="POST",status="200"}', 'hearth_http_requests_total{method="POST",status="503"}', 20),
        counted(
            'hearth_http_requests_total{method="POST",status="200"}', 'hearth_http_requests_total{method="POST",status="422"}', 20
        ),  # of the caller
    ),
    Case(
        "SlowAnswers",
        20,
        'route="/predict"',
        {
            f'{_BUCKET}{{{_DOOR},le="0.5"}}': "0+90x30",
            f'{_BUCKET}{{{_DOOR},le="2.5"}}': "0+100x30",
            f'{_BUCKET}{{{_DOOR},le="+Inf"}}': "0+100x30",
        },
        {
            f'{_BUCKET}{{{_DOOR},le="0.5"}}': "0+100x30",
            f'{_BUCKET}{{{_DOOR},le="2.5"}}': "0+100x30",
            f'{_BUCKET}{{{_DOOR},le="+Inf"}}': "0+100x30",
        },
    ),
    Case(
        "PredictionsStoreAway",
        4,
        'job="rest"',
        {'hearth_predictions_store_problem{job="rest"}': "1x9"},
        {'hearth_predictions_store_problem{job="rest"}': "0x9"},
    ),
    Case(
        "PredictionsNotStored",
        8,
        'job="rest", reason="queue_full"',
        {'hearth_predictions_not_stored_total{job="rest",reason="queue_full"}': "0+5x9"},
        {
            'hearth_predictions_not_stored_total{job="rest",reason="off"}': "0+5x9",
            'hearth_predictions_not_stored_total{job="rest",reason="queue_full"}': "7x9",
        },
    ),
    Case(
        "QualityFell",
        1,
        'dataset="heart"',
        {'hearth_quality_level{dataset="heart"}': "1x9"},
        {'hearth_quality_level{dataset="heart"}': "0 -1 0x9"},
    ),
    Case(
        "AlertsNotSent",
        9,
        'channel="mail"',
        {'hearth_alert_deliveries_total{channel="mail",outcome="given_up"}': "0 1x9"},
        {'hearth_alert_deliveries_total{channel="mail",outcome="failed"}': "0+1x9"},  # is tried again
    ),
    Case(
        "CanaryRolledBack",
        9,
        'dataset="heart", version="4"',
        {'hearth_rollout_ended_timestamp_seconds{dataset="heart",version="4",outcome="rolled_back"}': "60x9"},
        {'hearth_rollout_ended_timestamp_seconds{dataset="heart",version="4",outcome="finished"}': "60x9"},
    ),
    Case("DriftAct", 1, 'dataset="heart"', {'hearth_drift_level{dataset="heart"}': "3x9"}, {'hearth_drift_level{dataset="heart"}': "2x9"}),
    Case("StreamLagGrows", 25, "", {"hearth_stream_lag": "0+200x30"}, {"hearth_stream_lag": "9000-200x30"}),
    Case("OldestMessage", 12, "", {"hearth_stream_oldest_seconds": "0+60x30"}, {"hearth_stream_oldest_seconds": "60x30"}),
    Case(
        "DeadLetters",
        20,
        "",
        {"hearth_stream_messages_total": "0+100x30", "hearth_stream_dead_letters_total": "0+10x30"},
        {"hearth_stream_messages_total": "0+100x30", "hearth_stream_dead_letters_total": "0+1x30"},  # as many as the fake producer makes
    ),
    Case(
        "WorkerWaits",
        4,
        'server="predictions"',
        {'hearth_stream_waits{server="predictions"}': "1x9"},
        {'hearth_stream_waits{server="predictions"}': "0x9"},
    ),
    Case(
        "DagFailed",
        1,
        'dag="train_knn"',
        {'hearth_dag_last_run_failed{dag="train_knn"}': "1 stale"},
        {'hearth_dag_last_run_failed{dag="train_knn"}': "0x9"},
    ),
    Case(
        "DagLate",
        25,
        'dag="monitor"',
        {'hearth_dag_next_run_timestamp_seconds{dag="monitor"}': "60x30"},
        {'hearth_dag_next_run_timestamp_seconds{dag="monitor"}': "300+300x30"},
    ),
    Case(
        "BackupOld",
        35,
        "",
        {
            "hearth_backup_last_success_timestamp_seconds": "-91900x20 stale"
        },  # 26 h after it at 28 minutes; Airflow does not answer any more
        {"hearth_backup_last_success_timestamp_seconds": "-86400x40"},
    ),
    Case(
        "DagStuck",
        9,
        'dag="train_knn"',
        {'hearth_dag_running_seconds{dag="train_knn"}': "7000+60x9"},
        {'hearth_dag_running_seconds{dag="train_knn"}': "0+60x9"},
    ),
    Case("DagFileBroken", 4, "", {"hearth_dag_import_errors": "1x9"}, {"hearth_dag_import_errors": "0x9"}),
    Case(
        "AirflowComponentAway",
        4,
        'component="scheduler"',
        {'hearth_airflow_component_up{component="scheduler"}': "0x9"},
        {'hearth_airflow_component_up{component="scheduler"}': "1x9"},
    ),
    Case("ServerAway", 3, 'server="mlflow"', {'hearth_server_up{server="mlflow"}': "0x9"}, {'hearth_server_up{server="mlflow"}': "1x9"}),
    Case(
        "DiskFills",
        9,
        'place="state"',
        {'hearth_disk_free_bytes{place="state"}': "5x9", 'hearth_disk_size_bytes{place="state"}': "100x9"},
        {'hearth_disk_free_bytes{place="state"}': "20x9", 'hearth_disk_size_bytes{place="state"}': "100x9"},
    ),
    Case(
        "ConnectionsRunOut",
        9,
        "",
        {'hearth_postgres_connections{database="airflow"}': "90x9", "hearth_postgres_max_connections": "100x9"},
        {'hearth_postgres_connections{database="airflow"}': "20x9", "hearth_postgres_max_connections": "100x9"},
    ),
    Case("StreamServerCannotWrite", 1, "", {"hearth_valkey_write_problem": "1x9"}, {"hearth_valkey_write_problem": "0x9"}),
    Case(
        "CertificateExpires",
        1,
        'server="example.org:443"',
        {'hearth_certificate_expiry_timestamp_seconds{server="example.org:443"}': "86400x9"},
        {'hearth_certificate_expiry_timestamp_seconds{server="example.org:443"}': "2592000x9"},
    ),
]


def test_every_alert_has_a_case() -> None:
    assert [case.alert for case in CASES] == sorted(ALERTS, key=[case.alert for case in CASES].index)
    assert len(CASES) == len(ALERTS)


def test_every_alert_fires_when_it_should_and_is_silent_otherwise(tmp_path: Path) -> None:
    def labelled(case: Case) -> str:
        severity = ALERTS[case.alert]["labels"]["severity"]
        labels = [f'alertname="{case.alert}"', 'alertstate="firing"', f'severity="{severity}"', *filter(None, [case.labels])]
        return f"ALERTS{{{', '.join(labels)}}}"

    def tested(case: Case, series: dict[str, str], samples: list[dict[str, object]]) -> dict[str, object]:
        return {
            "name": case.alert,
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "promql_expr_test": [
                {"expr": f'ALERTS{{alertname="{case.alert}",alertstate="firing"}}', "eval_time": f"{case.minutes}m", "exp_samples": samples}
            ],
        }

    tests = [tested(case, case.firing, [{"labels": labelled(case), "value": 1}]) for case in CASES]
    tests += [tested(case, case.silent, []) for case in CASES]
    file = tmp_path / "rules.json"
    file.write_text(json.dumps({"rule_files": [str(path) for path in FILES], "evaluation_interval": "1m", "tests": tests}), "utf-8")

    ended = subprocess.run([promtool(), "test", "rules", file], capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_promtool_finds_no_mistake_in_the_rules() -> None:
    ended = subprocess.run([promtool(), "check", "rules", *FILES], capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_says_how_bad_it_is_and_leads_to_its_runbook(name: str) -> None:
    page, _, anchor = ALERTS[name]["annotations"]["runbook_url"].partition("#")
    headings = re.findall(r"^## (.+)$", (ROOT / page).read_text("utf-8"), re.MULTILINE)

    assert ALERTS[name]["labels"]["severity"] in {"warning", "critical"}
    assert ALERTS[name]["annotations"]["summary"]
    assert anchor == re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()
    assert anchor in [heading.lower().replace(" ", "-") for heading in headings]
