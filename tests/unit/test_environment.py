"""Which value a process of the stack gets when several places name one."""

import os
import subprocess
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.compose.make_secrets import read_values
from deploy.embedded.environment import _raw, interpolate, load_environment
from deploy.embedded.launcher import SettingError

ENV = """
HEARTH_DATA_DIR=data
HEARTH_PORT=15432
HEARTH_URL=postgresql://127.0.0.1:${HEARTH_PORT}/predictions
"""
ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the real .env, and with the settings above added to it."""
    (tmp_path / ".env").write_text((ROOT / ".env").read_text(encoding="utf-8") + ENV, encoding="utf-8")
    return tmp_path


def test_env_alone_gives_its_values(checkout: Path) -> None:
    assert load_environment(checkout, {})["HEARTH_URL"] == "postgresql://127.0.0.1:15432/predictions"


def test_a_shell_that_sources_env_and_the_programs_of_compose_read_the_same_values_from_it() -> None:
    script = "set -eua; . ./.env; exec env -0"
    sourced = subprocess.run(["/bin/sh", "-c", script], cwd=ROOT, env={"PATH": os.defpath}, capture_output=True, text=True, check=True)
    values = dict(line.split("=", 1) for line in sourced.stdout.split("\0") if line.startswith(("HEARTH_", "OBJECT_STORE=", "OTEL_")))

    interpolated = interpolate(_raw(ROOT / ".env"), {})
    assert sourced.stderr == ""
    assert values == interpolated
    assert values == interpolate(read_values(ROOT / ".env"), {})


def test_a_variable_from_outside_moves_the_urls_that_are_built_from_it(checkout: Path) -> None:
    environment = load_environment(checkout, {"HEARTH_PORT": "25432"})

    assert environment["HEARTH_PORT"] == "25432"
    assert environment["HEARTH_URL"] == "postgresql://127.0.0.1:25432/predictions"


def test_env_local_moves_the_urls_of_env_and_gives_way_to_the_outside(checkout: Path) -> None:
    (checkout / ".env.local").write_text("HEARTH_PORT=35432\n", encoding="utf-8")

    assert load_environment(checkout, {})["HEARTH_URL"] == "postgresql://127.0.0.1:35432/predictions"
    assert load_environment(checkout, {"HEARTH_PORT": "1"})["HEARTH_URL"] == "postgresql://127.0.0.1:1/predictions"


def test_a_url_from_outside_is_taken_as_it_is(checkout: Path) -> None:
    assert load_environment(checkout, {"HEARTH_URL": "postgresql://elsewhere/${HEARTH_PORT}"})["HEARTH_URL"].endswith("/${HEARTH_PORT}")


def test_a_shell_that_is_set_up_for_another_project_does_not_leak_in(checkout: Path) -> None:
    outside = {"AIRFLOW_HOME": "/other", "AWS_PROFILE": "other", "AWS_ACCESS_KEY_ID": "other", "PYTHONPATH": "/other", "HOME": "/home/me"}

    environment = load_environment(checkout, outside)

    assert environment["AIRFLOW_HOME"] == f"{checkout}/.hearth/airflow"
    assert environment["AWS_ACCESS_KEY_ID"] == environment["HEARTH_MLFLOW_S3_ACCESS_KEY"]
    assert "AWS_PROFILE" not in environment
    assert "PYTHONPATH" not in environment
    assert environment["HOME"] == "/home/me"


def test_paths_become_absolute_because_airflow_runs_tasks_elsewhere(checkout: Path) -> None:
    environment = load_environment(checkout, {"HEARTH_STATE_DIR": "state"})

    assert environment["HEARTH_DATA_DIR"] == str(checkout / "data")
    assert environment["HEARTH_STATE_DIR"] == str(checkout / "state")


def test_a_proxy_is_not_asked_for_this_machine(checkout: Path) -> None:
    environment = load_environment(checkout, {"http_proxy": "http://proxy:3128", "no_proxy": "example.org"})

    assert environment["no_proxy"] == "example.org,127.0.0.1,localhost"
    assert environment["NO_PROXY"] == "127.0.0.1,localhost"


def test_a_variable_that_nobody_sets_is_named(checkout: Path) -> None:
    (checkout / ".env.local").write_text("HEARTH_URL=http://${HEARTH_TYPO}/\n", encoding="utf-8")

    with pytest.raises(SettingError, match=r"HEARTH_URL uses \$\{HEARTH_TYPO\}, which is set neither"):
        load_environment(checkout, {})


def test_a_default_stands_in_for_a_variable_that_nobody_sets() -> None:
    assert interpolate({"A": "${B:-fallback}"}, {})["A"] == "fallback"


def test_variables_that_need_each_other_are_refused() -> None:
    with pytest.raises(SettingError, match="A needs B needs A"):
        interpolate({"A": "${B}", "B": "${A}"}, {})


@given(st.dictionaries(st.text("ABC", min_size=1), st.text().filter(lambda text: "${" not in text)), st.randoms())
def test_the_order_of_definitions_does_not_matter(values: dict[str, str], shuffle: Random) -> None:
    definitions = {**values, "LAST": "".join(f"${{{name}}}" for name in values)}
    shuffled = list(definitions.items())
    shuffle.shuffle(shuffled)

    assert interpolate(dict(shuffled), {})["LAST"] == "".join(values.values())


def test_the_stack_needs_nothing_from_the_shell_that_starts_it(checkout: Path) -> None:
    environment = load_environment(checkout, {"PATH": os.defpath})

    assert not [name for name, value in environment.items() if "${" in value]


@pytest.mark.parametrize(("form", "switch"), [("text", "False"), ("json", "True")])
def test_airflow_follows_the_form_of_logs(checkout: Path, form: str, switch: str) -> None:
    assert load_environment(checkout, {"HEARTH_LOG_FORMAT": form})["AIRFLOW__LOGGING__JSON_LOGS"] == switch


@pytest.mark.parametrize("form", ["JSON", "yaml", ""])
def test_an_unknown_form_of_logs_starts_nothing(checkout: Path, form: str) -> None:
    with pytest.raises(SettingError, match=r"HEARTH_LOG_FORMAT is .*: expected 'text' or 'json'"):
        load_environment(checkout, {"HEARTH_LOG_FORMAT": form})
