"""Rules with shorter times, for trying alerts out: the same rules otherwise."""

import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from deploy.monitoring.fast_rules import LEAST_RANGE_SECONDS, RULES, seconds_of, shortened, write
from tests.support.prometheus import promtool

FILES = sorted(RULES.glob("*.yml"))


def rules_of(content: dict[str, object]) -> list[dict[str, str]]:
    return [rule for group in content["groups"] for rule in group["rules"]]  # type: ignore[attr-defined]  # YAML


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_factor_of_one_changes_nothing(path: Path) -> None:
    content = yaml.safe_load(path.read_text("utf-8"))

    assert shortened(content, 1) == content


@given(st.floats(1, 10_000))
def test_whatever_the_factor_every_alert_stays_with_its_labels_and_its_runbook(factor: float) -> None:
    for path in FILES:
        content = yaml.safe_load(path.read_text("utf-8"))
        for before, after in zip(rules_of(content), rules_of(shortened(content, factor)), strict=True):
            assert {**after, "expr": "", "for": ""} == {**before, "expr": "", "for": before.get("for", "")} | {"for": ""}
            assert seconds_of(after.get("for", "1s")) <= seconds_of(before.get("for", "1s"))
            assert seconds_of(after.get("for", "1s")) >= 1


def test_what_is_waited_for_and_looked_back_over_is_shorter_and_what_is_compared_is_not() -> None:
    rules = {
        "groups": [
            {
                "name": "one",
                "rules": [
                    {"alert": "Late", "expr": 'time() - hearth_dag_next_run_timestamp_seconds{dag="x"} > 900', "for": "5m"},
                    {"alert": "Slow", "expr": "hearth:predict_seconds:p99_5m > 0.5 and rate(x_total[10m]) > 1000", "for": "10m"},
                    {"alert": "Ends", "expr": "hearth_certificate_expiry_timestamp_seconds - time() < 14 * 86400"},
                ],
            }
        ]
    }

    late, slow, ends = rules_of(shortened(rules, 60))

    assert late == {"alert": "Late", "expr": 'time() - hearth_dag_next_run_timestamp_seconds{dag="x"} > 15', "for": "5s"}
    assert slow == {
        "alert": "Slow",
        "expr": f"hearth:predict_seconds:p99_5m > 0.5 and rate(x_total[{LEAST_RANGE_SECONDS}s]) > 1000",
        "for": "10s",
    }
    assert ends == rules["groups"][0]["rules"][2]


def test_prometheus_takes_what_is_written(tmp_path: Path) -> None:
    written = write(tmp_path, 60)

    checked = subprocess.run([promtool(), "check", "rules", *written], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert len(written) == len(FILES)


def test_another_form_of_a_duration_is_refused() -> None:
    with pytest.raises(ValueError, match="'5 minutes' is no duration of a rule"):
        seconds_of("5 minutes")
