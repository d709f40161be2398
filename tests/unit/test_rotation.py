"""Which settings a rotation changes, and to what, without servers."""

import fnmatch
import stat
from configparser import RawConfigParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy import secrets_check
from deploy.compose.make_secrets import read_values, write_values
from deploy.embedded.launcher import SettingError
from deploy.embedded.rotated import include_pattern, sections
from deploy.embedded.services import SERVICES
from deploy.rotation import compose
from deploy.rotation.catalogue import HOLDERS, NEVER, SECRETS
from deploy.rotation.changes import CannotRotate, chosen, new_settings, restarted, retired_settings
from deploy.rotation.journal import Journal
from hearth.serving.access import Keys

ROOT = Path(__file__).parents[2]
ENV = read_values(ROOT / ".env")
OLD = "the-old-secret-of-the-key"
SETTINGS = {
    **ENV,
    "HEARTH_REDIS_PASSWORD": "old-redis",
    "HEARTH_API_ADMIN_KEY": "the-old-admin-key-of-all",
    "HEARTH_API_KEYS": f"reporting:predict+read:{OLD} other:predict:another-secret-of-some-length",
    "HEARTH_PAGE_API_KEY": OLD,
    "HEARTH_MODEL_SIGNING_KEY": "the-old-signing-key",
}


def fresh(name: str) -> str:
    return f"new-{name.lower()}-0123456789"


def test_every_secret_is_rotated_or_says_why_not() -> None:
    secret = {name for name in ENV if secrets_check._SECRET_NAME.fullmatch(name)} - {*secrets_check.FOREIGN_SECRETS, *HOLDERS}
    given_from_outside = {"HEARTH_ALERT_WEBHOOK_SIGNING_KEY", "HEARTH_BACKUP_STORE_SECRET_KEY", "HEARTH_S3_ADMIN_SECRET_KEY"}

    assert secret - given_from_outside == {entry.name for entry in SECRETS} | NEVER.keys()


def test_services_that_start_again_are_those_of_the_stack() -> None:
    named = {service for secret in SECRETS for service in secret.restarted} | {reader for readers in HOLDERS.values() for reader in readers}

    assert named <= {service.name for service in SERVICES}


def test_all_means_what_has_a_value_and_every_key_but_older_ones() -> None:
    settings = {**SETTINGS, "HEARTH_API_KEYS": f"a:predict:{OLD} a-old:predict:older-secret-of-this-key"}

    names = chosen(["all"], settings)

    assert "HEARTH_REDIS_PASSWORD" in names
    assert "HEARTH_MLFLOW_PASSWORD" not in names  # empty: no login
    assert [name for name in names if name.startswith("api:")] == ["api:a"]
    assert not NEVER.keys() & set(names)


@pytest.mark.parametrize(
    ("word", "problem"),
    [
        ("HEARTH_REDIS_PASWORD", "There is no secret 'HEARTH_REDIS_PASWORD'"),
        ("HEARTH_MLFLOW_PASSWORD", "is empty, so its login is off: `make secrets`"),
        ("HEARTH_BACKUP_KEY", "is not rotated: older backups are read by it"),
        ("api:nobody", "HEARTH_API_KEYS has no key 'nobody'; it has: reporting, other"),
    ],
)
def test_what_cannot_be_rotated_is_refused_with_the_reason(word: str, problem: str) -> None:
    with pytest.raises(CannotRotate, match=problem):
        chosen([word], SETTINGS)


def test_a_name_may_leave_out_the_prefix() -> None:
    assert chosen(["redis_password", "HEARTH_API_KEYS:other"], SETTINGS) == ["HEARTH_REDIS_PASSWORD", "api:other"]


def test_old_and_new_api_keys_both_hold_with_the_same_scopes_until_they_are_retired() -> None:
    names = ["HEARTH_API_ADMIN_KEY", "api:reporting"]
    changed = new_settings(names, SETTINGS, fresh)
    both = {**SETTINGS, **changed}

    keys = Keys.parse(both["HEARTH_API_ADMIN_KEY"], both["HEARTH_API_KEYS"])
    assert keys.find(OLD).scopes == keys.find(fresh("HEARTH_API_KEY")).scopes == {"predict", "read"}
    assert keys.find("the-old-admin-key-of-all").scopes == keys.find(fresh("HEARTH_API_ADMIN_KEY")).scopes
    assert both["HEARTH_PAGE_API_KEY"] == fresh("HEARTH_API_KEY")  # whoever holds the key gets the new one
    assert restarted(names, changed) == ["fastapi", "grpc", "streamlit"]

    later = {**both, **retired_settings(both)}
    remaining = Keys.parse(later["HEARTH_API_ADMIN_KEY"], later["HEARTH_API_KEYS"])
    assert remaining.find(fresh("HEARTH_API_KEY")).name == "reporting"
    assert OLD not in later["HEARTH_API_KEYS"]
    assert retired_settings(later) == {}


def test_whoever_holds_the_admin_key_gets_the_new_one() -> None:
    settings = {**SETTINGS, "HEARTH_PAGE_API_KEY": SETTINGS["HEARTH_API_ADMIN_KEY"], "HEARTH_PROMETHEUS_API_KEY": OLD}

    changed = new_settings(["HEARTH_API_ADMIN_KEY"], settings, fresh)

    assert changed["HEARTH_PAGE_API_KEY"] == changed["HEARTH_API_ADMIN_KEY"] == fresh("HEARTH_API_ADMIN_KEY")
    assert "HEARTH_PROMETHEUS_API_KEY" not in changed  # it holds another key
    assert restarted(["HEARTH_API_ADMIN_KEY"], changed) == ["fastapi", "grpc", "streamlit"]


def test_a_key_whose_older_value_holds_is_not_rotated_again() -> None:
    for name in ("HEARTH_API_ADMIN_KEY", "api:reporting"):
        once = {**SETTINGS, **new_settings([name], SETTINGS, fresh)}
        with pytest.raises(CannotRotate, match="`hearth secrets retire` first") as caught:
            new_settings([name], once, fresh)
        assert OLD not in str(caught.value)


def test_the_newest_signing_key_signs_and_older_ones_verify_until_they_are_retired() -> None:
    changed = new_settings(["HEARTH_MODEL_SIGNING_KEY"], SETTINGS, fresh)

    assert changed == {"HEARTH_MODEL_SIGNING_KEY": f"{fresh('HEARTH_MODEL_SIGNING_KEY')} the-old-signing-key"}
    assert retired_settings({**SETTINGS, **changed}) == {"HEARTH_MODEL_SIGNING_KEY": fresh("HEARTH_MODEL_SIGNING_KEY")}


def test_servers_start_first_and_valkey_last() -> None:
    names = chosen(["all"], {**SETTINGS, "HEARTH_MLFLOW_PASSWORD": "old-mlflow"})
    services = restarted(names, {})

    assert services[:2] == ["minio", "mlflow"]
    assert services[-1] == "valkey"
    assert len(services) == len(set(services))


@pytest.mark.parametrize("name", ["HEARTH_MLFLOW_S3_SECRET_KEY", "HEARTH_POSTGRES_MLFLOW_PASSWORD"])
def test_tasks_of_airflow_get_what_emptying_mlflows_trash_needs(name: str) -> None:
    translated = read_values(ROOT / "deploy/embedded/stack.env")
    users = " ".join([translated["AWS_SECRET_ACCESS_KEY"], ENV["HEARTH_MLFLOW_BACKEND_URI"]])

    assert f"${{{name}}}" in users  # `mlflow gc` reads both from the environment of the task
    assert "airflow-scheduler" in restarted([name], {})


def test_settings_are_replaced_in_one_step_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    path = tmp_path / ".env.local"
    path.write_text("# mine\nHEARTH_API_PORT=9800\nHEARTH_REDIS_PASSWORD=old\n")
    path.chmod(0o644)

    write_values(path, {"HEARTH_REDIS_PASSWORD": "new", "HEARTH_MODEL_SIGNING_KEY": "one two"})

    assert read_values(path) == {"HEARTH_API_PORT": "9800", "HEARTH_REDIS_PASSWORD": "new", "HEARTH_MODEL_SIGNING_KEY": "one two"}
    assert path.read_text().startswith("# mine\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == [".env.local"]


def test_a_journal_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(path, ["api:a"], {"HEARTH_API_KEYS": "x"}, {"HEARTH_API_KEYS": "y"})
    journal.write()
    assert Journal.read(path) == journal
    journal.restart(["fastapi", "grpc"])
    journal.finish("restart grpc")

    assert Journal.read(path) == journal
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    journal.remove()
    assert Journal.read(path) is None


def test_compose_gets_the_values_in_the_file_and_commands_without_them(tmp_path: Path) -> None:
    local, names = tmp_path / ".env.local", ["HEARTH_POSTGRES_PASSWORD", "HEARTH_API_ADMIN_KEY"]
    changed = new_settings(names, SETTINGS)
    journal = Journal(tmp_path / "journal", names, changed, {})
    journal.write()

    printed = "\n".join(compose.commands(journal, local))

    assert read_values(local).items() >= changed.items()
    assert not (tmp_path / "journal").exists()
    assert "ALTER ROLE" in printed
    assert "make compose-up" in printed
    assert "secrets retire --compose" in printed
    for value in (changed["HEARTH_POSTGRES_PASSWORD"], changed["HEARTH_API_ADMIN_KEY"], SETTINGS["HEARTH_API_ADMIN_KEY"], OLD):
        assert value not in printed


# What supervisord reads


def test_a_program_keeps_its_own_variables_beside_those_that_changed() -> None:
    parser = RawConfigParser()
    parser.read_string(sections(ROOT / "supervisord.conf", {"HEARTH_MODEL_SIGNING_KEY": "new", "HEARTH_A": "50%"}))

    assert parser.get("program:fastapi", "environment") == 'HEARTH_A="50%%",HEARTH_MODEL_SIGNING_KEY="new"'
    assert parser.get("program:mlflow", "environment").endswith(',HEARTH_MODEL_SIGNING_KEY=""')  # the later one wins
    programs = {section.removeprefix("program:") for section in parser.sections()}
    assert programs == {service.name for service in SERVICES}


@given(st.text(alphabet=st.sampled_from("ab [*?]\t"), min_size=1, max_size=12))
def test_the_pattern_of_a_file_matches_it_and_is_one_word(name: str) -> None:
    path = f"/x/{name}/rotated.conf"
    pattern = include_pattern(Path(path))

    assert len(pattern.split()) == 1
    assert fnmatch.fnmatchcase(path, pattern)


def test_a_value_that_supervisord_cannot_take_is_refused_without_showing_it() -> None:
    with pytest.raises(SettingError, match="HEARTH_A holds a quotation mark") as caught:
        sections(ROOT / "supervisord.conf", {"HEARTH_A": 'se"cret'})
    assert "se" + '"cret' not in str(caught.value)
