"""What the environment and .env give, and what is refused by the name of the variable."""

import os
from pathlib import Path

import pytest

from hearth import settings
from hearth.errors import InvalidSettings
from hearth.settings import (
    ApiSettings,
    BackupScheduleSettings,
    BackupSettings,
    BatchApiSettings,
    ExporterSettings,
    GrpcClientSettings,
    GrpcSettings,
    IngestSettings,
    LoadSettings,
    ModelSettings,
    PageSettings,
    PredictionsSettings,
    ProducerSettings,
    RawFileSettings,
    RegistrySettings,
    RestoreSettings,
    Settings,
    StorageSettings,
    WorkerSettings,
    get_settings,
)

ROOT = Path(__file__).parents[2]
ALL = (
    Settings,
    StorageSettings,
    RawFileSettings,
    RegistrySettings,
    ModelSettings,
    PredictionsSettings,
    WorkerSettings,
    ProducerSettings,
    ApiSettings,
    GrpcSettings,
    GrpcClientSettings,
    IngestSettings,
    LoadSettings,
    BatchApiSettings,
    ExporterSettings,
    PageSettings,
    BackupSettings,
    BackupScheduleSettings,
    RestoreSettings,
)
STORAGE = """
HEARTH_ENVIRONMENT=laptop
HEARTH_DATA_DIR=data
HEARTH_S3_ENDPOINT_URL=http://127.0.0.1:9000
HEARTH_S3_REGION=us-east-1
HEARTH_S3_ACCESS_KEY=key
HEARTH_S3_SECRET_KEY=changethis-s3
HEARTH_DATA_BUCKET=data
HEARTH_PROCESSED_BUCKET=processed
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder and no HEARTH_ variables."""
    for name in os.environ:
        if name.startswith("HEARTH_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("kind", ALL)
def test_the_committed_env_file_is_enough_for_every_process(kind: type[Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    if (ROOT / ".env.local").exists():
        pytest.skip("there is a .env.local here, which wins over .env")

    assert kind().environment == "laptop"


def test_addresses_in_the_committed_env_file_are_built_from_its_ports(folder: Path) -> None:
    lines = (ROOT / ".env").read_text("utf-8").replace("HEARTH_S3_PORT=9000", "HEARTH_S3_PORT=9555").replace("_PORT=15432", "_PORT=15999")
    (folder / ".env").write_text(lines, "utf-8")

    assert StorageSettings().s3_endpoint_url == "http://127.0.0.1:9555"
    assert PredictionsSettings().predictions_url.get_secret_value().endswith("@127.0.0.1:15999/predictions")


def test_env_local_wins_over_env_and_the_environment_wins_over_both(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".env").write_text(STORAGE, "utf-8")
    (folder / ".env.local").write_text("HEARTH_S3_REGION=here\nHEARTH_DATA_BUCKET=there\n", "utf-8")
    monkeypatch.setenv("HEARTH_DATA_BUCKET", "everywhere")

    found = StorageSettings()

    assert (found.s3_region, found.data_bucket, found.processed_bucket) == ("here", "everywhere", "processed")


def test_nothing_is_assumed_where_nothing_is_set() -> None:
    with pytest.raises(InvalidSettings) as caught:
        StorageSettings()

    for line in STORAGE.split():
        assert f"{line.split('=')[0]} (" in str(caught.value)
    assert "HEARTH_S3_ENDPOINT_URL (any S3 endpoint) is not set" in str(caught.value)


@pytest.mark.parametrize("name", [line.split("=")[0] for line in STORAGE.split()])
def test_each_missing_value_is_named_by_its_variable(folder: Path, name: str) -> None:
    (folder / ".env").write_text("\n".join(line for line in STORAGE.split() if not line.startswith(f"{name}=")), "utf-8")

    with pytest.raises(InvalidSettings, match=rf"^{name} \(.*\) is not set\. Set it in the environment, in \.env or in \.env\.local\.$"):
        StorageSettings()


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("HEARTH_ENVIRONMENT", "prod", "match pattern"),
        ("HEARTH_STREAM_BATCH_MESSAGES", "0", "greater than or equal to 1"),
        ("HEARTH_STREAM_BATCH_MESSAGES", "", "valid integer"),
        ("HEARTH_STREAM_BLOCK_MILLISECONDS", "60000", "less than or equal to 5000"),
        ("HEARTH_ALIAS_POLL_SECONDS", "often", "valid number"),
        ("HEARTH_ALIAS_POLL_SECONDS", "0", "greater than 0"),
    ],
)
def test_a_wrong_value_is_named_by_its_variable(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, reason: str) -> None:
    (folder / ".env").write_text((ROOT / ".env").read_text("utf-8"), "utf-8")
    monkeypatch.setenv(name, value)

    with pytest.raises(InvalidSettings, match=rf"^{name} \(.*\) is wrong: .*{reason}"):
        WorkerSettings()


def test_no_error_shows_a_value_as_it_may_be_a_secret() -> None:
    with pytest.raises(InvalidSettings) as caught:
        StorageSettings(s3_secret_key=["hunter2"], environment="hunter2")

    assert "HEARTH_S3_SECRET_KEY" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_secrets_are_not_shown_when_settings_are_printed(folder: Path) -> None:
    (folder / ".env").write_text(STORAGE, "utf-8")

    assert "changethis" not in repr(StorageSettings())


def test_production_refuses_every_laptop_secret_by_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".env").write_text((ROOT / ".env").read_text("utf-8"), "utf-8")
    monkeypatch.setenv("HEARTH_ENVIRONMENT", "production")

    with pytest.raises(InvalidSettings, match=r"laptop value \('changethis'\): HEARTH_S3_SECRET_KEY\."):
        StorageSettings()
    with pytest.raises(InvalidSettings, match=r"laptop value \('changethis'\): HEARTH_MODEL_SIGNING_KEY, HEARTH_PREDICTIONS_URL\."):
        WorkerSettings()
    with pytest.raises(InvalidSettings, match=r"HEARTH_S3_ACCESS_KEY, HEARTH_S3_SECRET_KEY\."):
        StorageSettings(s3_access_key="changethis-too")


def test_production_requires_signatures_and_with_them_a_key(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".env").write_text((ROOT / ".env").read_text("utf-8"), "utf-8")
    assert not ModelSettings().requires_signatures
    assert ModelSettings(model_signatures="require").requires_signatures
    with pytest.raises(InvalidSettings, match="HEARTH_MODEL_SIGNING_KEY is empty, but versions must be signed"):
        ModelSettings(model_signatures="require", model_signing_key="")
    monkeypatch.setenv("HEARTH_ENVIRONMENT", "production")
    assert ModelSettings(model_signing_key="a key that is long enough").requires_signatures
    with pytest.raises(InvalidSettings, match="HEARTH_MODEL_SIGNING_KEY is empty"):
        ModelSettings(model_signing_key=" ")


def test_production_starts_with_secrets_of_its_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".env").write_text(STORAGE, "utf-8")
    monkeypatch.setenv("HEARTH_ENVIRONMENT", "production")
    monkeypatch.setenv("HEARTH_S3_SECRET_KEY", "correct horse")

    assert StorageSettings().s3_secret_key.get_secret_value() == "correct horse"


def test_a_process_is_not_refused_for_secrets_that_it_does_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".env").write_text((ROOT / ".env").read_text("utf-8"), "utf-8")
    monkeypatch.setenv("HEARTH_ENVIRONMENT", "production")

    assert RegistrySettings().environment == "production"


def test_settings_are_read_on_first_use_and_then_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".env").write_text(STORAGE, "utf-8")
    get_settings.cache_clear()
    try:
        first = settings.get_settings()
        monkeypatch.setenv("HEARTH_DATA_DIR", "elsewhere")
        assert settings.get_settings() is first
    finally:
        get_settings.cache_clear()
