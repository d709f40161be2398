"""docker-compose.yaml and the Dockerfiles, without Docker: what would only be noticed at a user's, or not at all."""

import json
import re
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import secrets_check
from deploy.compose.make_secrets import read_values
from deploy.embedded import objectstore
from deploy.monitoring.scrape_config import compose_config
from hearth.settings import (
    ApiSettings,
    BackupScheduleSettings,
    BackupSettings,
    BatchApiSettings,
    ExporterSettings,
    GrpcSettings,
    IngestSettings,
    LoadSettings,
    PageSettings,
    ProducerSettings,
    RestoreSettings,
    Settings,
    StorageSettings,
    WorkerSettings,
)

ROOT = Path(__file__).parents[2]
ENV = read_values(ROOT / ".env")
STORES = {path.stem: path for path in (ROOT / "dockerfiles/object-store").glob("*.yaml")}
DOCKERFILES = sorted((ROOT / "dockerfiles").glob("*/Dockerfile"))
THIRD_PARTY = ("postgres", "mysql", "valkey", "minio", "proxy", "prometheus", "alertmanager", "grafana")
VARIABLE = re.compile(r"\$\{(\w+)(:\?|:-[^${}]*)?\}")  # the inner one, where one is the default of another


def interpolated(value: Any, name: str = "") -> Any:  # what YAML holds
    """Fill in variables as Compose does; a variable of the environment without a value has the one of `.env`."""
    match value:
        case dict():
            return {key: interpolated(entry, str(key)) for key, entry in value.items()}
        case list():
            return [interpolated(entry) for entry in value]
        case str():
            while value != (value := VARIABLE.sub(_value, value)):
                pass
            return value
        case None if name.startswith("HEARTH_"):
            return ENV[name]
    return value


def _value(found: re.Match[str]) -> str:
    default = (found[2] or "").removeprefix(":-")
    return ENV.get(found[1], default) or default


def load(store: str = "seaweedfs") -> dict[str, Any]:
    """The services, with the object store's own file merged in."""
    services: dict[str, Any] = interpolated(yaml.safe_load((ROOT / "docker-compose.yaml").read_text(encoding="utf-8")))["services"]
    theirs = interpolated(yaml.safe_load(STORES[store].read_text(encoding="utf-8")))["services"]
    for name, service in theirs.items():
        services[name] = extended(service, services[name])
    return services


def extended(base: dict[str, Any], service: dict[str, Any]) -> dict[str, Any]:
    """Merge a service into the one that it extends, as Compose does: mappings by key, ports one after the other."""
    merged = {**base, **service}
    if "environment" in base and "environment" in service:
        merged["environment"] = {**base["environment"], **service["environment"]}
    if "ports" in base and "ports" in service:
        merged["ports"] = [*base["ports"], *service["ports"]]
    return merged


SERVICES = load()
ONE_SHOTS = {name for name, service in SERVICES.items() if service.get("restart") == "no"}
DEBUG = {name for name, service in SERVICES.items() if service["profiles"] == ["debug"]}


NEEDS = [(name, needed, how["condition"]) for name, service in SERVICES.items() for needed, how in service.get("depends_on", {}).items()]


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_confined(name: str) -> None:
    service = SERVICES[name]

    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert set(service.get("cap_add", [])) <= {"minio": {"DAC_OVERRIDE"}, "proxy": {"NET_BIND_SERVICE"}}.get(name, set())
    assert not service.get("privileged")
    assert service["logging"]["options"]["max-size"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_says_whether_it_can_serve(name: str) -> None:
    if name in ONE_SHOTS:
        assert SERVICES[name]["healthcheck"] == {"disable": True}, "the check of the image is that of another program"
    else:
        assert SERVICES[name]["healthcheck"]["test"]
        assert SERVICES[name]["healthcheck"]["start_period"]


@pytest.mark.parametrize(("name", "needed", "condition"), NEEDS)
def test_every_need_waits_for_what_it_needs(name: str, needed: str, condition: str) -> None:
    assert condition == ("service_completed_successfully" if needed in ONE_SHOTS else "service_healthy"), name


def test_every_one_shot_is_waited_for_because_up_wait_takes_its_end_for_a_failure_otherwise() -> None:
    awaited = {needed for _, needed, _ in NEEDS}

    assert awaited >= ONE_SHOTS - DEBUG


def test_a_profile_brings_everything_that_its_services_need() -> None:
    for name, needed, _ in NEEDS:
        if not SERVICES[name]["depends_on"][needed].get("required", True):
            continue
        assert set(SERVICES[name]["profiles"]) <= set(SERVICES[needed]["profiles"]), f"{name} needs {needed}"


def test_nothing_starts_before_the_settings_are_checked() -> None:
    starting = {name for name in SERVICES if name not in DEBUG and not SERVICES[name].get("depends_on")}

    assert starting == {"preflight"}


def test_only_a_store_whose_console_asks_for_a_key_publishes_one() -> None:
    published = {store: [port.rpartition(":")[2] for port in load(store)["minio"]["ports"]] for store in STORES}

    assert published == {"minio": ["9001", "9000"], "seaweedfs": ["9000"], "external": ["9000"]}


def test_seaweedfs_has_the_keys_and_rights_of_the_embedded_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)

    assert json.loads(SERVICES["minio"]["environment"]["IDENTITIES"]) == {"identities": objectstore.identities()}


def test_mlflow_has_a_key_of_its_own_where_the_store_has_several() -> None:
    ids = {store: load(store)["mlflow"]["environment"]["AWS_ACCESS_KEY_ID"] for store in STORES}

    assert ids == {"minio": "hearth", "seaweedfs": "mlflow", "external": "hearth"}


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_opened_on_this_machine_only(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert port.startswith("127.0.0.1:"), "the laptop value of HEARTH_BIND_ADDRESS"


def test_each_image_is_built_by_one_service_that_the_others_wait_for() -> None:
    builders: dict[str, list[str]] = {}
    for name, service in SERVICES.items():
        if "build" in service:
            builders.setdefault(service["image"], []).append(name)

    assert all(len(names) == 1 for names in builders.values()), builders
    for name, service in SERVICES.items():
        assert service["image"] in builders or name in THIRD_PARTY


@pytest.mark.parametrize("store", STORES)
def test_foreign_images_have_a_fixed_version_and_can_be_replaced(store: str) -> None:
    for name in THIRD_PARTY:
        tag = load(store)[name]["image"].partition(":")[2]
        assert tag
        assert tag != "latest"
    text = (ROOT / "docker-compose.yaml").read_text(encoding="utf-8") + STORES[store].read_text(encoding="utf-8")
    assert all("${" in image for image in re.findall(r"^\s+image: (.*)$", text, re.MULTILINE))


@pytest.mark.parametrize("path", [ROOT / "docker-compose.yaml", *STORES.values()], ids=lambda path: path.name)
def test_every_variable_has_a_laptop_value(path: Path) -> None:
    for name, default in VARIABLE.findall(path.read_text(encoding="utf-8")):
        assert name in ENV or default.startswith(":-"), name


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("fastapi", ApiSettings),
        ("grpc", GrpcSettings),
        ("stream_worker", WorkerSettings),
        ("fake_data_producer", ProducerSettings),
        ("upload_data", StorageSettings),
        ("buckets", StorageSettings),
        ("airflow-worker", StorageSettings),
        ("airflow-worker", IngestSettings),
        ("airflow-dag-processor", LoadSettings),
        ("batch-api", BatchApiSettings),
        ("streamlit", PageSettings),
        ("backup", BackupSettings),
        ("restore", RestoreSettings),
        ("airflow-dag-processor", BackupScheduleSettings),
        ("exporter", ExporterSettings),
    ],
)
def test_a_process_finds_all_of_its_settings(name: str, settings: type[Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in list(ENV):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in SERVICES[name]["environment"].items():
        monkeypatch.setenv(variable, str(value))

    settings(_env_file=None)


def test_no_container_is_told_an_address_of_the_embedded_stack() -> None:
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if variable != "AIRFLOW__API__BASE_URL" and variable not in {"MLFLOW_SERVER_ALLOWED_HOSTS", "HEARTH_BIND_ADDRESS"}:
                assert "127.0.0.1" not in str(value), f"{name}: {variable}"


@pytest.mark.parametrize("name", ["fastapi", "grpc", "streamlit", "stream_worker", "fake_data_producer"])
def test_a_service_that_predicts_holds_no_key_of_the_object_store(name: str) -> None:
    assert ENV["HEARTH_S3_SECRET_KEY"] not in str(SERVICES[name]["environment"])
    assert ENV["HEARTH_POSTGRES_PASSWORD"] not in map(str, SERVICES[name]["environment"].values())


WRITERS = ("fastapi", "backup", "restore", "airflow-worker", "airflow-cli")
"""Services that keep more in temporary files than memory may hold."""


@pytest.mark.parametrize("name", WRITERS)
def test_large_temporary_files_lie_on_a_volume_and_not_in_memory_as_tmp_does(name: str) -> None:
    service, volumes = SERVICES[name], yaml.safe_load((ROOT / "docker-compose.yaml").read_text("utf-8"))["volumes"]
    folder = service["environment"]["TMPDIR"]
    [volume] = [volume.partition(":")[0] for volume in service["volumes"] if volume.endswith(f":{folder}")]

    assert folder not in service["tmpfs"]
    assert volume in volumes
    # Debian has it and lets everybody write there, and a new volume takes the rights of the folder that it is mounted on
    assert folder == "/var/tmp"  # noqa: S108


def test_every_program_of_ours_is_told_the_form_of_its_logs() -> None:
    ours = {name for name, service in SERVICES.items() if service["image"].startswith(ENV["HEARTH_IMAGE_PREFIX"]) and name != "mlflow-gc"}

    assert {name for name in ours if "HEARTH_LOG_FORMAT" not in SERVICES[name]["environment"]} == set()


def test_preflight_sees_every_secret_that_env_has() -> None:
    assert set(secrets_check.laptop_values(SERVICES["preflight"]["environment"])) == set(secrets_check.laptop_values(ENV))


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
class TestDockerfile:
    def test_the_base_is_an_argument_and_the_last_stage_installs_nothing_by_pip(self, path: Path) -> None:
        _, first, *_, last = re.split(r"^FROM ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)

        assert first.startswith("${PYTHON_IMAGE} ")
        assert last.startswith("${PYTHON_IMAGE}\n")
        assert first.count(" install ") == first.count("--require-hashes") == 2  # uv, and with it the rest
        assert "pip" not in last
        assert "/build" not in last

    def test_it_runs_as_nobody_in_particular_and_says_how_it_is(self, path: Path) -> None:
        last = path.read_text(encoding="utf-8").rpartition("\nFROM ")[2]

        assert re.search(r"^USER [1-9]\d*:0$", last, re.MULTILINE)
        assert re.search(r"^HEALTHCHECK ", last, re.MULTILINE)
        assert "org.opencontainers.image.title" in last

    def test_it_needs_nothing_but_package_registries(self, path: Path) -> None:
        text = path.read_text(encoding="utf-8")

        assert not re.search(r"^# syntax|@sha256:|index-url|curl|wget|git clone", text, re.MULTILINE)
        assert all("127.0.0.1" in address or "localhost" in address for address in re.findall(r"https?://\S+", text))

    def test_what_it_copies_is_let_through(self, path: Path) -> None:
        allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line.startswith("!")]
        copied = re.findall(r"^COPY (?!--from)(.+) \S+$", path.read_text(encoding="utf-8"), re.MULTILINE)

        for source in " ".join(copied).split():
            assert any(_within(source, pattern) for pattern in allowed), source


def _within(source: str, pattern: str) -> bool:
    return (
        Path(source).match(pattern)
        or any(Path(parent).match(pattern) for parent in Path(source).parents)
        or pattern.startswith(f"{source}/")
    )


def test_builds_see_neither_settings_nor_real_data() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]

    assert rules[0] == "*"
    assert rules.index("data/*/*.csv") > rules.index("!data")
    assert not any(".env" in rule for rule in rules)


@pytest.mark.parametrize("store", STORES)
def test_every_container_has_a_bound_of_memory_and_processes(store: str) -> None:
    unbounded = [name for name, service in load(store).items() if not service.get("mem_limit") or not service.get("pids_limit")]
    assert unbounded == []


def test_prometheus_scrapes_the_ports_that_the_containers_have() -> None:
    config = compose_config("a-key")
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    settings = {"grpc": "HEARTH_GRPC_METRICS_PORT", "worker": "HEARTH_WORKER_METRICS_PORT", "exporter": "HEARTH_EXPORTER_PORT"}

    for job in jobs.values():
        for [name] in [found["names"] for found in job.get("dns_sd_configs", [])]:
            assert name in SERVICES
    for job_name, setting in settings.items():
        [found] = jobs[job_name]["dns_sd_configs"]
        assert str(found["port"]) == SERVICES[found["names"][0]]["environment"][setting]
    for name in ("prometheus", "alertmanager", "grafana"):
        [target] = jobs[name]["static_configs"][0]["targets"]
        assert SERVICES[name]["ports"][0].endswith(target.removeprefix(name))
    assert [receiver["static_configs"][0]["targets"] for receiver in config["alerting"]["alertmanagers"]] == [
        ["alertmanager:9093"],
        ["fastapi:8800"],
    ]
    assert config["alerting"]["alertmanagers"][1]["authorization"]["credentials"] == "a-key"
    assert "authorization" not in compose_config("")["alerting"]["alertmanagers"][1]


def test_grafana_lets_nobody_sign_up_and_finds_what_is_provisioned() -> None:
    grafana = SERVICES["grafana"]
    [source] = yaml.safe_load((ROOT / "deploy/monitoring/grafana/datasources/prometheus.yml").read_text("utf-8"))["datasources"]
    [provider] = yaml.safe_load((ROOT / "deploy/monitoring/grafana/dashboards/hearth.yml").read_text("utf-8"))["providers"]

    assert grafana["environment"]["GF_USERS_ALLOW_SIGN_UP"] == grafana["environment"]["GF_AUTH_ANONYMOUS_ENABLED"] == "false"
    assert source["url"] == "http://prometheus:9090"
    assert any(volume.endswith(f":{provider['options']['path']}:ro,z") for volume in grafana["volumes"])
    for volume in [*grafana["volumes"], *SERVICES["prometheus"]["volumes"], *SERVICES["alertmanager"]["volumes"]]:
        assert not volume.startswith("./") or (ROOT / volume.partition(":")[0]).exists()


@pytest.mark.parametrize("form", ["text", "json"])
def test_each_form_of_logs_has_the_file_by_which_airflow_follows_it(form: str) -> None:
    for name in ("airflow-scheduler", "airflow-worker", "airflow-init"):
        assert "log-${HEARTH_LOG_FORMAT}.env" in yaml.safe_dump(
            yaml.safe_load((ROOT / "docker-compose.yaml").read_text("utf-8"))["services"][name]
        )

    [line] = [line for line in (ROOT / f"dockerfiles/airflow/log-{form}.env").read_text("utf-8").splitlines() if not line.startswith("#")]
    assert line == f"AIRFLOW__LOGGING__JSON_LOGS={form == 'json'}"


@pytest.mark.parametrize(
    ("name", "grace", "threads"), [("fastapi", "HEARTH_API_GRACE_SECONDS", 14), ("grpc", "HEARTH_GRPC_GRACE_SECONDS", 8)]
)
def test_a_service_is_not_killed_while_it_ends_with_its_servers_away(name: str, grace: str, threads: int) -> None:
    """`threads` are the seconds that they may take one after the other: the follower's 5, the spans' 3, and in REST 6 of its stores'."""
    programs = ConfigParser(interpolation=None, strict=False, inline_comment_prefixes=(";",))
    programs.read(ROOT / "supervisord.conf", "utf-8")
    needed = float(ENV[grace]) + float(ENV["HEARTH_RECORD_DRAIN_SECONDS"]) + threads
    needed *= 1.25  # what else ends beside them has no bound of its own, and takes a moment

    assert float(SERVICES[name]["stop_grace_period"].removesuffix("s")) > needed
    assert programs.getfloat(f"program:{name}", "stopwaitsecs") > needed
