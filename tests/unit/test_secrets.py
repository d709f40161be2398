"""Laptop secrets are refused where they would do harm, and `make secrets` replaces them."""

import base64
import stat
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.compose import make_secrets
from deploy.compose.preflight import problems
from deploy.secrets_check import laptop_values, services_without_login, weak_values, weakness

ROOT = Path(__file__).parents[2]
LAPTOP = make_secrets.read_values(ROOT / ".env")
EXPECTED = {
    "HEARTH_AIRFLOW_API_SECRET",
    "HEARTH_AIRFLOW_FERNET_KEY",
    "HEARTH_AIRFLOW_JWT_SECRET",
    "HEARTH_AIRFLOW_PASSWORD",
    "HEARTH_API_ADMIN_KEY",
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
    problem, *_ = problems({**LAPTOP, "HEARTH_ENVIRONMENT": "production"}, {})

    assert all(name in problem for name in EXPECTED)
    assert "make secrets" in problem


def test_ports_that_others_can_reach_need_real_secrets_too() -> None:
    [problem] = problems({**LAPTOP, "HEARTH_BIND_ADDRESS": "0.0.0.0"}, {})  # noqa: S104 - what must be refused

    assert "HEARTH_BIND_ADDRESS=0.0.0.0" in problem
    assert "HEARTH_S3_SECRET_KEY" in problem


STRONG = {name: f"{name}-is-long-enough" for name in laptop_values(LAPTOP)} | {
    "HEARTH_REDIS_PASSWORD": "valkey-correct-horse",
    "HEARTH_MLFLOW_PASSWORD": "mlflow-correct-horse",
    "HEARTH_API_REQUIRE_KEY": "true",
}
PRODUCTION = {**LAPTOP, **STRONG, "HEARTH_ENVIRONMENT": "production", "HEARTH_ALLOW_WITHOUT_LOGIN": "page"}


def test_production_starts_with_strong_secrets_and_logins() -> None:
    assert list(problems(PRODUCTION, {})) == []


@pytest.mark.parametrize("name", sorted(STRONG.keys() - {"HEARTH_API_REQUIRE_KEY"}))
@pytest.mark.parametrize("weak", ["a", "airflow", "hunter2", "aaaaaaaaaaaaaaaaaaaaaaaa", "abcabcabcabcabcabcabcabc"])
def test_production_refuses_a_secret_that_can_be_guessed(name: str, weak: str) -> None:
    assert any(name in problem for problem in problems({**PRODUCTION, name: weak}, {}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HEARTH_API_KEYS", "page:predict+read:a-long-secret-of-the-page other:predict:short"),
        ("HEARTH_PREDICTIONS_URL", "postgresql://predictions:a@db.example.org/predictions"),
        ("HEARTH_COMPOSE_DATA_DB_URL", "mysql+pymysql://data:short@mysql:3306/data"),
        ("HEARTH_MODEL_SIGNING_KEY", "short"),
        ("HEARTH_PAGE_API_KEY", "short"),
    ],
)
def test_a_secret_inside_a_longer_value_is_judged_too(name: str, value: str) -> None:
    [problem] = problems({**PRODUCTION, name: value}, {})

    assert f"{name} (has less than 16 characters)" in problem
    assert "short" not in problem


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HEARTH_S3_ACCESS_KEY", "hearth"),
        ("HEARTH_S3_ADMIN_SECRET_KEY", ""),
        ("HEARTH_API_URL", "http://127.0.0.1:8800"),
        ("HEARTH_REDIS_URL", "redis://:@valkey:6379/0"),
        ("HEARTH_PREDICTIONS_URL", "postgresql://predictions:a%20long%20secret%20of%20mine@db/predictions"),
    ],
)
def test_what_is_no_secret_is_left_alone(name: str, value: str) -> None:
    assert weak_values({name: value}) == {}


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [
        ("valkey", "HEARTH_REDIS_PASSWORD", ""),
        ("mlflow", "HEARTH_MLFLOW_PASSWORD", ""),
        ("predictions", "HEARTH_API_REQUIRE_KEY", "false"),
        ("page", "HEARTH_ALLOW_WITHOUT_LOGIN", ""),
    ],
)
def test_production_refuses_what_has_no_login_unless_it_is_allowed_by_name(name: str, setting: str, value: str) -> None:
    open_ = {**PRODUCTION, setting: value}

    [problem] = problems(open_, {})

    assert f"{name} (" in problem
    assert "HEARTH_ALLOW_WITHOUT_LOGIN=" in problem
    assert list(problems({**open_, "HEARTH_ALLOW_WITHOUT_LOGIN": f"page, {name}"}, {})) == []


def test_an_allowance_for_a_service_that_there_is_not_is_refused() -> None:
    [problem] = problems({**PRODUCTION, "HEARTH_ALLOW_WITHOUT_LOGIN": "page mlfow"}, {})

    assert "names no service: mlfow" in problem


def test_on_a_laptop_nothing_needs_a_login() -> None:
    assert set(services_without_login(LAPTOP)) == {"valkey", "mlflow", "predictions", "page"}
    assert list(problems(LAPTOP, {})) == []


@given(st.text())
def test_any_secret_is_judged(secret: str) -> None:
    assert bool(weakness(secret)) == (len(secret) < 16 or len(set(secret.casefold())) < 8)


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
    settings = {**LAPTOP, **local, "HEARTH_ENVIRONMENT": "production", "COMPOSE_LOCAL_SETTINGS": ".env.local"}
    [problem] = problems({**settings, "HEARTH_ALLOW_WITHOUT_LOGIN": "page"}, {})
    assert "predictions (HEARTH_API_REQUIRE_KEY=true)" in problem
    assert not list(problems({**settings, "HEARTH_API_REQUIRE_KEY": "true", "HEARTH_ALLOW_WITHOUT_LOGIN": "page"}, {}))
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
