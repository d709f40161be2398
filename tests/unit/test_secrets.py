"""Laptop secrets are refused where they would do harm, and `make secrets` replaces them."""

import base64
import stat
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.compose import make_secrets
from deploy.compose.preflight import laptop_values, problems

ROOT = Path(__file__).parents[2]
LAPTOP = make_secrets.read_values(ROOT / ".env")
EXPECTED = {
    "HEARTH_AIRFLOW_API_SECRET",
    "HEARTH_AIRFLOW_FERNET_KEY",
    "HEARTH_AIRFLOW_JWT_SECRET",
    "HEARTH_AIRFLOW_PASSWORD",
    "HEARTH_API_ADMIN_KEY",
    "HEARTH_MODEL_SIGNING_KEY",
    "HEARTH_POSTGRES_AIRFLOW_PASSWORD",
    "HEARTH_POSTGRES_MLFLOW_PASSWORD",
    "HEARTH_POSTGRES_PASSWORD",
    "HEARTH_POSTGRES_PREDICTIONS_PASSWORD",
    "HEARTH_S3_SECRET_KEY",
}


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".env").write_text((ROOT / ".env").read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_laptop_values_of_env_are_known() -> None:
    assert set(laptop_values(LAPTOP)) >= EXPECTED


def test_a_laptop_on_its_own_address_is_left_alone() -> None:
    assert list(problems(LAPTOP, {})) == []


def test_production_names_every_laptop_value() -> None:
    [problem] = problems({**LAPTOP, "HEARTH_ENVIRONMENT": "production"}, {})

    assert all(name in problem for name in EXPECTED)
    assert "make secrets" in problem


def test_ports_that_others_can_reach_need_real_secrets_too() -> None:
    [problem] = problems({**LAPTOP, "HEARTH_BIND_ADDRESS": "0.0.0.0"}, {})  # noqa: S104 - what must be refused

    assert "HEARTH_BIND_ADDRESS=0.0.0.0" in problem
    assert "HEARTH_S3_SECRET_KEY" in problem


def test_a_file_of_secrets_that_compose_did_not_read_is_told() -> None:
    [problem] = problems({**LAPTOP, "HEARTH_LOCAL_SETTINGS": ".env.local", "COMPOSE_LOCAL_SETTINGS": ""}, {})

    assert "COMPOSE_ENV_FILES" in problem
    assert not list(problems({**LAPTOP, "HEARTH_LOCAL_SETTINGS": ".env.local", "COMPOSE_LOCAL_SETTINGS": ".env.local"}, {}))


def test_a_file_that_containers_cannot_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "employees").mkdir()
    hidden = tmp_path / "employees/contract.yaml"
    hidden.touch()
    monkeypatch.setattr("os.access", lambda path, _: Path(path) != hidden)  # root may read everything

    [problem] = problems(LAPTOP, {"data": tmp_path})

    assert "data/employees/contract.yaml" in problem
    assert "chmod -R a+rX data" in problem


@given(st.text())
def test_any_text_is_judged(value: str) -> None:
    assert laptop_values({"HEARTH_X": value}) == (["HEARTH_X"] if "changethis" in value else [])


def test_new_secrets_satisfy_production(checkout: Path) -> None:
    assert make_secrets.main() == 0

    local = make_secrets.read_values(checkout / ".env.local")
    assert local.keys() >= EXPECTED
    assert not list(problems({**LAPTOP, **local, "HEARTH_ENVIRONMENT": "production", "COMPOSE_LOCAL_SETTINGS": ".env.local"}, {}))
    assert len(local["HEARTH_AIRFLOW_JWT_SECRET"]) >= 64
    assert len(base64.urlsafe_b64decode(local["HEARTH_AIRFLOW_FERNET_KEY"])) == 32
    assert len(set(local.values())) == len(local)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_nobody_else_may_read_them(checkout: Path) -> None:
    make_secrets.main()

    assert stat.S_IMODE((checkout / ".env.local").stat().st_mode) == 0o600


def test_what_is_there_is_kept_and_what_is_missing_is_added(checkout: Path) -> None:
    (checkout / ".env.local").write_text("# mine\nHEARTH_S3_PORT=19000\nHEARTH_S3_SECRET_KEY=my-own-secret\n", encoding="utf-8")

    make_secrets.main()

    lines = (checkout / ".env.local").read_text(encoding="utf-8").splitlines()
    assert lines[:3] == ["# mine", "HEARTH_S3_PORT=19000", "HEARTH_S3_SECRET_KEY=my-own-secret"]
    assert any(line.startswith("HEARTH_POSTGRES_PASSWORD=") for line in lines)


def test_a_second_run_changes_nothing(checkout: Path) -> None:
    make_secrets.main()
    before = (checkout / ".env.local").read_bytes()

    assert make_secrets.main() == 0
    assert (checkout / ".env.local").read_bytes() == before
