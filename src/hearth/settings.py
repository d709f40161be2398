"""The settings of Hearth processes, read from the environment, `.env` and `.env.local`.

No address, password or path is in code: `.env` holds values for a laptop, and production refuses its secrets.
"""

import re
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from hearth.errors import InvalidSettings

LAPTOP_SECRET = "changethis"  # noqa: S105 - the marker that every secret in the committed .env starts with


def _split(value: object) -> object:
    return tuple(re.split(r"[,\s]+", value.strip(", \t\n"))) if isinstance(value, str) and value.strip(", \t\n") else value or ()


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""Several words, separated by blanks or commas."""


def _check_hosts(hosts: tuple[str, ...]) -> tuple[str, ...]:
    for host in hosts:
        if not re.fullmatch(r"\*|(\*\.)?[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]", host):
            raise ValueError(f"{host!r} is not a host name: expected a name or an address without a port, or *. before a domain")
    return hosts


Hosts = Annotated[Words, AfterValidator(_check_hosts)]
"""Names that a service answers to, as `hearth.host_names` takes them."""


class Settings(BaseSettings):
    """Settings of every process; each is the environment variable of its name with the prefix HEARTH_."""

    model_config = SettingsConfigDict(env_prefix="HEARTH_", env_file=(".env", ".env.local"), extra="ignore", frozen=True)

    environment: str = Field(pattern="^(laptop|production)$", description="'laptop' or 'production'; production refuses laptop secrets")
    data_dir: Path = Field(description="the folder with one folder a data set")

    def __init__(self, **values: Any) -> None:  # noqa: ANN401 - a value for each field, which the class checks
        """Read the environment; `values` override it. Raises InvalidSettings, which names variables and never shows a value."""
        try:
            super().__init__(**values)
        except ValidationError as error:
            problems = []
            for detail in error.errors(include_url=False, include_input=False):
                name = str(detail["loc"][0])
                reason = "is not set" if detail["type"] == "missing" else f"is wrong: {detail['msg']}"
                problems.append(f"HEARTH_{name.upper()} ({_described(type(self), name)}) {reason}")
            raise InvalidSettings(f"{'; '.join(problems)}. Set it in the environment, in .env or in .env.local.") from None

    @model_validator(mode="after")
    def _refuse_laptop_secrets(self) -> Self:
        if self.environment != "production":
            return self
        weak = [name for name in type(self).model_fields if LAPTOP_SECRET in _revealed(getattr(self, name))]
        if weak:
            names = ", ".join(f"HEARTH_{name.upper()}" for name in weak)
            raise InvalidSettings(f"HEARTH_ENVIRONMENT is 'production', but these still hold a laptop value ({LAPTOP_SECRET!r}): {names}.")
        return self


def _described(settings: type[Settings], name: str) -> str:
    field = settings.model_fields.get(name)
    return (field.description if field else None) or "no setting of this process"


def _revealed(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else ""


class LogSettings(Settings):
    """How a process writes its log. Every process reads this first, so it needs no other setting."""

    environment: str = "laptop"
    data_dir: Path = Path("data")
    log_format: Literal["text", "json"] = Field("text", description="lines for people ('text'), or one JSON object a line ('json')")


class StorageAddressSettings(Settings):
    """The address of the object store, for processes that only check whether it answers."""

    s3_endpoint_url: str = Field(description="any S3 endpoint")


class StorageSettings(StorageAddressSettings):
    """How the object store is used."""

    s3_region: str = Field(description="its region; any word for a store that has none")
    s3_access_key: SecretStr = Field(description="key id")
    s3_secret_key: SecretStr = Field(description="key secret")
    data_bucket: str = Field(description="bucket of raw, validated and rejected rows")
    processed_bucket: str = Field(description="bucket of processed data sets")


class RawFileSettings(Settings):
    """What the ETL reads."""

    raw_max_bytes: int = Field(1 << 30, ge=1, description="bytes of a raw file once it is unpacked")


class ExecutorSettings(Settings):
    """Who works on the parts of large data."""

    executor: Literal["loop", "processes"] = Field("loop", description="who works on parts of large data: one process ('loop') or several")
    executor_processes: int = Field(0, ge=0, description="how many processes work on parts of large data; 0: one for each core")


class SearchWorkersSettings(Settings):
    """How many processes search the parameters of one training."""

    search_workers: int = Field(1, ge=1, le=16, description="tasks that search the parameters of a training together; 1: it does alone")
    search_min_rows: int = Field(10_000, ge=0, description="train rows below which the training searches alone")


class SearchSettings(Settings):
    """The database of searches that several processes work on."""

    studies_url: SecretStr = Field(description="PostgreSQL URL of the database of searches")
    search_grace_seconds: int = Field(60, ge=2, description="seconds without a sign of life after which a worker counts as dead")


class MemorySettings(Settings):
    """What trainings and the checks of raw files hold in memory."""

    rows_in_memory: int = Field(
        500_000, ge=1_000, description="rows of a data set that memory holds; of larger ones a sample of so many, while all lie on disk"
    )


class IngestSettings(Settings):
    """The source of batches of data, and the database that stores them."""

    batch_api_url: str = Field(description="the HTTP API that hands out batches; the contract says under which path")
    data_db_url: SecretStr = Field(description="SQLAlchemy URL of the data database: PostgreSQL, MySQL, MariaDB")


class LoadSettings(Settings):
    """When batches are fetched."""

    load_data_schedule: str = Field(min_length=1, description="when load_data runs: a cron expression, a word such as @hourly, or 'none'")
    load_data_wait_seconds: float = Field(ge=1, description="how long load_data waits between two requests for a batch")


class BatchApiSettings(Settings):
    """The local HTTP API that hands out generated batches."""

    batch_api_host: str = Field(min_length=1, description="the address that it listens on")
    batch_api_port: int = Field(ge=0, le=65_535, description="its port")
    batch_api_rows: int = Field(ge=1, le=1_000_000, description="rows of a batch")
    batch_api_batches: int = Field(ge=1, le=1_000_000, description="batches of a group; after the last there are no more")
    batch_api_seconds: float = Field(ge=0, description="seconds before another batch is handed out")


class RegistrySettings(Settings):
    """Where MLflow is."""

    mlflow_tracking_uri: str = Field(description="the MLflow server")
    mlflow_user: str = Field("", description="the user of MLflow's login")
    mlflow_password: SecretStr = Field(SecretStr(""), description="its password; empty: MLflow has no login")
    git_revision: str = Field("", description="the commit of an image; a git checkout needs none")


class AliasSettings(RegistrySettings):
    """How a process follows the registry's aliases."""

    alias_poll_seconds: float = Field(gt=0, description="seconds between two polls of the registry's aliases")


class ModelSettings(RegistrySettings):
    """Which models are loaded: their signatures, and their size."""

    model_signing_key: SecretStr = Field(
        SecretStr(""), description="what signs versions and the gate's decisions; older keys may follow, separated by blanks"
    )
    model_signatures: Literal["warn", "require"] = Field(
        "warn", description="what happens to a version without a signature: 'warn' or 'require'; production always requires one"
    )
    model_max_file_bytes: int = Field(1_000_000_000, ge=1_000, description="bytes of a version's files, at most")
    model_max_unpacked_bytes: int = Field(1_000_000_000, ge=1_000, description="bytes of a version's arrays when unpacked, at most")

    @property
    def requires_signatures(self) -> bool:
        """Whether a version without a signature is refused."""
        return self.environment == "production" or self.model_signatures == "require"

    @model_validator(mode="after")
    def _require_signing_key(self) -> Self:
        if self.requires_signatures and not self.model_signing_key.get_secret_value().strip():
            raise InvalidSettings("HEARTH_MODEL_SIGNING_KEY is empty, but versions must be signed: `make secrets` writes a key.")
        return self


class ServingSettings(AliasSettings, ModelSettings):
    """How a scoring process follows the registry, and what a new version may cost when it is probed."""

    model_probe: Literal["all", "untrusted", "none"] = Field(
        "untrusted",
        description="which versions are first loaded in a process of their own: 'all', 'untrusted' (not signed by us) or 'none'",
    )
    model_probe_seconds: float = Field(30, gt=0, description="seconds of processor time in which a version is loaded and probed")
    model_probe_memory_bytes: int = Field(
        2_000_000_000, ge=50_000_000, description="memory that loading and probing a version may take, beside that of the libraries"
    )
    model_cache_dir: str = Field("", description="the folder that remembers what was probed; empty: a folder of this user in the system's")


class DeploymentSettings(Settings):
    """The service that serves new versions."""

    api_url: str = Field("", description="the REST service that DAGs wait for after a promotion; empty: they do not wait")


class PredictionsSettings(Settings):
    """The predictions store."""

    predictions_url: SecretStr = Field(description="PostgreSQL URL of the predictions store")
    predictions_hash_key: SecretStr = Field(
        SecretStr(""), description="the key of the hashes that stand for values of `personal: hash` columns; 16 characters at least"
    )
    predictions_read_seconds: float = Field(10, gt=0, description="seconds in which REST and GraphQL must have read stored predictions")


class MonitorSettings(Settings):
    """The way of the check for drift into the predictions store."""

    monitor_url: SecretStr = Field(description="PostgreSQL URL of the predictions store, for a user who reads it and writes checks")


class BatchSettings(Settings):
    """What scoring of batches stores."""

    batch_sample_records: int = Field(
        250,
        ge=0,
        le=10_000,
        description="records of a batch that are stored and count for drift, at most; 0: none",
    )
    predictions_hash_key: SecretStr = Field(SecretStr(""), description="the key of the hashes of `personal: hash` columns")
    api_default_dataset: str = Field("", description="the data set of batches that name none")


class MonitorScheduleSettings(Settings):
    """When served records are checked for drift."""

    monitor_schedule: str = Field(min_length=1, description="when monitor runs: a cron expression, a word such as @hourly, or 'none'")


class RetrainScheduleSettings(Settings):
    """When versions are trained again without an alarm."""

    retrain_schedule: str = Field(min_length=1, description="when retrain runs beside alarms: a cron expression, a word, or 'none'")


def _check_addresses(addresses: tuple[str, ...]) -> tuple[str, ...]:
    for address in addresses:
        if not re.fullmatch(r"[^\s@<>,;:\"\\\x00-\x1f]+@[A-Za-z0-9.\[\]:_-]+", address):
            raise ValueError("expected addresses such as alerts@example.org, without names")
    return addresses


MailAddresses = Annotated[Words, AfterValidator(_check_addresses)]
"""Addresses of mail, without names."""


class AlertSettings(Settings):
    """Where alerts are sent; docs/alerts.md."""

    alert_severity: Literal["info", "warning", "critical"] = Field("info", description="the least urgent alerts that are sent")
    alert_link: str = Field("", pattern="^(https?://.*)?$", description="the page's address, for links in what is sent; empty: no links")
    alert_webhook_url: SecretStr = Field(SecretStr(""), description="where alerts are posted as JSON, as Slack reads it; empty: nowhere")
    alert_webhook_signing_key: SecretStr = Field(SecretStr(""), description="what signs these posts; empty: they are not signed")
    alert_mail_host: str = Field("", description="the SMTP server that alerts are mailed by; empty: they are not mailed")
    alert_mail_port: int = Field(587, ge=1, le=65_535, description="its port")
    alert_mail_tls: Literal["starttls", "tls", "none"] = Field("starttls", description="TLS: 'starttls', 'tls' from the first byte, 'none'")
    alert_mail_user: str = Field("", description="the user of its login; empty: it has none")
    alert_mail_password: SecretStr = Field(SecretStr(""), description="the password of this user")
    alert_mail_from: MailAddresses = Field((), description="the address that mails of alerts come from")
    alert_mail_to: MailAddresses = Field((), description="the addresses that they go to")

    @field_validator("alert_webhook_url")
    @classmethod
    def _check_url(cls, url: SecretStr) -> SecretStr:
        if url.get_secret_value() and not re.fullmatch(r"https?://[^\s/]+\S*", url.get_secret_value()):
            raise ValueError("expected http://… or https://…")
        return url

    @model_validator(mode="after")
    def _check_mail(self) -> Self:
        if self.alert_mail_host and (len(self.alert_mail_from) != 1 or not self.alert_mail_to):
            raise InvalidSettings(
                "HEARTH_ALERT_MAIL_HOST is set: set one address in HEARTH_ALERT_MAIL_FROM, and some in HEARTH_ALERT_MAIL_TO."
            )
        if self.alert_mail_host and self.alert_mail_user and self.alert_mail_tls == "none" and self.environment == "production":
            raise InvalidSettings(
                "HEARTH_ALERT_MAIL_TLS is 'none', so the password of HEARTH_ALERT_MAIL_USER would go over the net as it is."
            )
        return self


class RedisSettings(Settings):
    """Where the Redis-protocol server is."""

    redis_url: SecretStr = Field(description="the Redis-protocol server of the stream and of rate limits that processes share")


class AccessSettings(RedisSettings):
    """API keys and rate limits."""

    api_admin_key: SecretStr = Field(description="the API key named 'admin', with every scope")
    api_keys: SecretStr = Field(
        SecretStr(""),
        description="further keys: name:scopes:secret, separated by blanks; scopes: admin, predict, read, feedback, alert, joined by +",
    )
    api_require_key: bool = Field(
        default=False, description="whether predictions need a key with the scope 'predict', stored ones 'read', and labels 'feedback'"
    )
    api_rate_limit: str = Field("", description="prediction requests of one caller, such as 1000/minute; empty: no limit")
    api_rate_limit_shared: bool = Field(default=False, description="whether processes count together, in the Redis server, which is slower")
    api_failed_keys_limit: str = Field("10/minute", description="wrong API keys from one address")


class StreamSettings(RedisSettings):
    """Where the stream is."""

    stream_name: str = Field(description="the stream of records to score")
    labels_stream_name: str = Field("mlops_labels", min_length=1, description="the stream of what records turned out to be")
    stream_group: str = Field(description="the consumer group of the workers")
    stream_max_length: int = Field(ge=1, description="waiting messages, at most; above it the producer waits and REST refuses")
    stream_keep_messages: int = Field(1_000, ge=0, description="settled messages that stay in the stream; the same for all its processes")


class BackupPlaceSettings(Settings):
    """Where backups lie, and what they are encrypted with."""

    backup_to: str = Field("", description="where backups go by default: a folder, or s3://bucket/prefix; empty: nowhere")
    backup_key: SecretStr = Field(SecretStr(""), description="what backups are encrypted with; 16 characters at least")
    backup_keep: int = Field(7, ge=1, description="backups that a scheduled one leaves there, the newest")
    backup_store_url: str = Field("", description="the S3 endpoint of backups in s3://…; not the stack's own")
    backup_store_region: str = Field("us-east-1", description="its region")
    backup_store_access_key: SecretStr = Field(SecretStr(""), description="its key id")
    backup_store_secret_key: SecretStr = Field(SecretStr(""), description="its key secret")


class BackupSettings(BackupPlaceSettings, StorageAddressSettings, StreamSettings):
    """What a backup reads, as a user and with a key that may only read."""

    backup_postgres_url: SecretStr = Field(SecretStr(""), description="PostgreSQL URL of the user who reads all databases")
    backup_databases: Words = Field(("predictions", "data", "airflow", "mlflow"), description="databases that are backed up")
    s3_region: str = Field(description="region of the object store")
    s3_backup_access_key: SecretStr = Field(SecretStr(""), description="id of the key that reads all buckets")
    s3_backup_secret_key: SecretStr = Field(SecretStr(""), description="its secret")
    data_bucket: str = Field(description="bucket of raw, validated and rejected rows")
    processed_bucket: str = Field(description="bucket of processed data sets")
    mlflow_bucket: str = Field(description="bucket of MLflow's files")


class RestoreSettings(BackupPlaceSettings, StorageSettings, StreamSettings):
    """What a restore writes."""

    restore_postgres_url: SecretStr = Field(SecretStr(""), description="PostgreSQL URL of a superuser, who fills all databases")
    mlflow_s3_access_key: SecretStr = Field(description="id of the key of MLflow's bucket")
    mlflow_s3_secret_key: SecretStr = Field(description="its secret")
    mlflow_bucket: str = Field(description="bucket of MLflow's files")


class BackupScheduleSettings(Settings):
    """When a backup is made by itself."""

    backup_schedule: str = Field(
        "none", min_length=1, description="when hearth_backup runs: a cron expression, a word such as @daily, or 'none'"
    )


class HousekeepingSettings(MonitorSettings, StorageSettings, ModelSettings):
    """When what nothing refers to is removed: docs/mlflow.md."""

    housekeeping_days: float = Field(90, ge=1, description="days after which a version or run that nothing refers to can go")
    housekeeping_keep_versions: int = Field(10, ge=1, description="versions of a data set that stay at least, the newest")
    housekeeping_trash_days: float = Field(7, ge=1, description="days in the trash, after which what is there goes for good")
    mlflow_s3_access_key: SecretStr = Field(SecretStr(""), description="id of the key of MLflow's bucket; empty: it is not looked into")
    mlflow_s3_secret_key: SecretStr = Field(SecretStr(""), description="its secret")
    mlflow_bucket: str = Field("", description="bucket of MLflow's files")
    studies_url: SecretStr = Field(SecretStr(""), description="PostgreSQL URL of the database of searches; empty: it is not looked into")
    mlflow_python: str = Field("", description="a Python with the whole of MLflow, which runs `mlflow gc`; empty: nobody does")


class HousekeepingScheduleSettings(Settings):
    """When housekeeping is done."""

    housekeeping_schedule: str = Field(
        "none", min_length=1, description="when hearth_housekeeping runs: a cron expression, a word such as @daily, or 'none'"
    )
    housekeeping_apply: bool = Field(default=False, description="whether a run of it removes anything by default")


class RetentionSettings(PredictionsSettings):
    """How long predictions are stored."""

    predictions_keep_days: float = Field(ge=0, le=100_000, description="days after which predictions are deleted; 0: never")
    labels_wait_days: float = Field(
        ge=0, le=100_000, description="days that a label waits for its prediction before it is deleted; 0: for ever"
    )
    predictions_warn_gigabytes: float = Field(
        20, ge=0, description="size of the table at which the worker warns, and at each doubling; 0: never"
    )


class WorkerSettings(StreamSettings, RetentionSettings, ServingSettings):
    """How a worker reads the stream."""

    stream_consumer: str = Field("", description="this worker's name in the group; empty: the host's. Two on one host need two names")
    stream_batch_messages: int = Field(ge=1, le=10_000, description="messages read and scored together, at most")
    stream_batch_records: int = Field(ge=1, le=1_000_000, description="records scored and stored together, at most; messages are not split")
    stream_batch_bytes: int = Field(20_000_000, ge=1_000, description="bytes of messages that are read together, about")
    stream_max_message_bytes: int = Field(
        10_000_000, ge=1_000, description="bytes of one message, at most; larger ones become dead letters"
    )
    stream_block_milliseconds: int = Field(ge=1, le=5_000, description="how long a read waits for messages")
    stream_claim_idle_milliseconds: int = Field(ge=1_000, description="a message that another worker holds longer than this is taken over")
    stream_max_deliveries: int = Field(ge=1, description="deliveries after which a message becomes a dead letter")
    stream_leave_seconds: float = Field(ge=0, description="seconds in which a stopping worker finishes the messages that it has read")
    worker_metrics_host: str = Field("127.0.0.1", min_length=1, description="the address of the worker's metrics for Prometheus")
    worker_metrics_port: int = Field(0, ge=0, le=65_535, description="the port of the metrics; 0: none. Two workers on one host need two")


class ProducerSettings(StreamSettings, AliasSettings):
    """The fake records that the producer puts into the stream."""

    producer_dataset: str = Field(description="data sets of the fake records, such as 'employees,heart'; 'all': each with statistics")
    producer_labels: float = Field(0, ge=0, le=1, description="share of the fake records whose label follows; 0: none")
    producer_records_per_second: float = Field(ge=0, le=1_000_000, description="records a second; 0: as fast as possible")
    producer_bad_share: float = Field(ge=0, le=1, description="the share of fake records that break the contract on purpose")


class RecordingSettings(PredictionsSettings):
    """Which predictions are stored, and which the challenger scores too; docs/model-life.md has the costs."""

    record_predictions: Literal["all", "sample", "none"] = Field(description="which predictions are stored: 'all', 'sample' or 'none'")
    record_sample_share: float = Field(gt=0, le=1, description="the share of records that 'sample' stores")
    record_queue_records: int = Field(ge=1, description="records that wait to be stored, at most; further ones are not stored")
    record_most_per_second: int = Field(ge=1, description="records that a process stores in a second, at most; further ones wait")
    record_drain_seconds: float = Field(ge=0, description="seconds in which a stopping process stores the records that wait")
    challenger_share: float = Field(ge=0, le=1, description="share of the champion's requests that the challenger scores too, in shadow")


class InterfaceSettings(ServingSettings, RecordingSettings):
    """Settings of all interfaces that answer requests."""

    api_default_dataset: str = Field(description="the data set of requests that name none")


class GrpcSettings(InterfaceSettings, AccessSettings):
    """Address and limits of the gRPC service."""

    grpc_host: str = Field(min_length=1, description="the address that the gRPC service listens on")
    grpc_port: int = Field(ge=0, le=65_535, description="its port; 0: any free one")
    grpc_tls_certificate: Path | None = Field(
        None, description="the server's certificate with its chain, a PEM file that is read anew when it changes; none: no TLS"
    )
    grpc_tls_key: Path | None = Field(None, description="the PEM file of its key, without a password")
    grpc_reuse_port: bool = Field(
        default=False, description="whether several processes can listen on the port; the system distributes connections"
    )
    grpc_max_records: int = Field(ge=1, description="records in one message, at most")
    grpc_max_message_bytes: int = Field(ge=1_000, description="bytes of one message, at most")
    grpc_max_values: int = Field(
        150_000, ge=1_000, description="values in the records of one message, at most, about; packed columns do not count"
    )
    grpc_max_concurrent_calls: int = Field(ge=1, description="open calls for predictions, with streams, at most; others are refused")
    grpc_max_streams: int = Field(200, ge=1, description="open streams for predictions, at most; a part of the calls")
    grpc_stream_idle_seconds: float = Field(300, gt=0, description="seconds that a stream may be open without a message")
    grpc_grace_seconds: float = Field(ge=0, description="seconds in which open calls end when the service stops")
    grpc_metrics_port: int = Field(0, ge=0, le=65_535, description="the port of the metrics, on the same address; 0: none")


class GrpcClientSettings(Settings):
    """The address of the gRPC service, for its clients."""

    grpc_address: str = Field(min_length=1, description="host:port of the gRPC service, grpcs://host:port for TLS")
    grpc_ca: Path | None = Field(None, description="the PEM file of who signed the service's certificate; none: gRPC's own list")


class ApiSettings(InterfaceSettings, StorageAddressSettings, StreamSettings, AccessSettings, AlertSettings):
    """Limits of the REST service."""

    api_max_records: int = Field(ge=1, description="records in one request, at most")
    api_max_body_bytes: int = Field(ge=1_000, description="bytes of one request, at most")
    api_max_file_bytes: int = Field(ge=1_000, description="bytes of a file to score, at most; it is stored on disk meanwhile")
    api_max_files: int = Field(ge=1, description="files that are scored at the same time, at most")
    api_file_seconds: float = Field(600, gt=0, description="seconds in which the whole of a file to score must arrive")
    api_max_file_columns: int = Field(1_000, ge=1, description="columns of a file to score, at most")
    api_max_file_cells: int = Field(250_000_000, ge=1, description="cells of a file to score, rows x columns, at most")
    api_max_row_bytes: int = Field(1_000_000, ge=1_000, description="bytes of one row of a file to score, at most; characters in CSV")
    explain_max_records: int = Field(ge=1, description="records that are explained in one request, at most")
    explain_seconds: float = Field(30, gt=0, description="seconds that the explanations of one request may take, with those of others")
    api_body_seconds: float = Field(30, gt=0, description="seconds in which the body of a request must arrive")
    api_max_header_bytes: int = Field(65_536, ge=1_000, description="bytes of the headers of one request, at most, about")
    api_header_seconds: float = Field(10, gt=0, description="seconds in which the headers of a request must arrive")
    api_grace_seconds: int = Field(10, ge=0, description="seconds in which open requests end when the service stops")
    api_cors_origins: Words = Field((), description="origins whose pages may call REST, such as https://example.org; '*': all; empty: none")
    api_allowed_hosts: Hosts = Field(
        (), description="names beside localhost that REST answers to, such as api.example.org *.example.org; '*': all"
    )
    api_trusted_proxies: Words = Field(
        (), description="addresses and networks of proxies whose X-Forwarded headers hold; '*': all; empty: none"
    )
    api_root_path: str = Field(
        "", pattern="^(/[A-Za-z0-9._~-]+)*$", description="the path under which a proxy publishes REST, such as /hearth"
    )
    graphql_max_depth: int = Field(ge=4, description="levels of fields in one GraphQL query, at most")
    graphql_max_aliases: int = Field(ge=1, description="aliases in one GraphQL query, at most")
    graphql_max_tokens: int = Field(ge=100, description="tokens in one GraphQL query, at most; values of variables do not count")
    graphql_max_fields: int = Field(500, ge=1, description="fields in one GraphQL query, at most; fragments count once")
    graphql_max_query_characters: int = Field(100_000, ge=1_000, description="characters of one GraphQL query without its variables")
    graphql_max_body_bytes: int = Field(1_000_000, ge=1_000, description="bytes of one GraphQL request with its variables, at most")
    graphql_max_records: int = Field(
        2_000, ge=1, description="records, stored predictions and versions in all fields of one GraphQL query, at most"
    )

    @field_validator("api_trusted_proxies")
    @classmethod
    def _check_networks(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in proxies:
            if proxy != "*":
                ip_network(proxy)  # a ValueError names what is wrong
        return proxies

    @field_validator("api_cors_origins")
    @classmethod
    def _check_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if not re.fullmatch(r"\*|https?://[^/\s]+", origin):
                raise ValueError(f"{origin!r} is not an origin: expected scheme and host without a path, such as https://example.org")
        return origins


class ExporterSettings(RegistrySettings, MonitorSettings, RedisSettings, StorageAddressSettings):
    """The servers that the exporter asks for their health, and where it serves what it finds."""

    airflow_url: str = Field("", description="Airflow's API server; empty: it is not asked")
    airflow_user: str = Field("", description="the user who reads DAGs and runs")
    airflow_password: SecretStr = Field(SecretStr(""), description="the password of that user")
    api_url: str = Field("", description="the REST service, for published data; empty: it is not asked")
    exporter_host: str = Field("127.0.0.1", min_length=1, description="the address of the exporter's metrics")
    exporter_port: int = Field(ge=0, le=65_535, description="their port")
    exporter_seconds: float = Field(15, ge=1, description="seconds between two looks at a server")
    exporter_certificates: Words = Field((), description="certificates whose end is watched: host:port, or the path of a PEM file")


class PageSettings(RegistrySettings):
    """The servers that the page calls, and its links, which are addresses for browsers."""

    api_url: str = Field(pattern="^https?://", description="the REST service")
    airflow_url: str = Field(pattern="^https?://", description="Airflow, for its health")
    page_grpc_metrics_url: str = Field(pattern="^https?://", description="metrics of the gRPC service, for its health")
    page_worker_metrics_url: str = Field(pattern="^https?://", description="metrics of the stream worker, for its health")
    batch_api_url: str = Field(pattern="^https?://", description="the API of batches, for its health")
    page_prometheus_url: str = Field(
        "", pattern="^(https?://.*)?$", description="Prometheus, for the view Monitoring; empty: there is none"
    )
    page_dashboards_dir: Path = Field(
        Path("deploy/monitoring/dashboards/json"), description="the folder of the dashboards that the view Monitoring draws"
    )
    page_api_key: SecretStr = Field(SecretStr(""), description="API key of the page, if predictions need one")
    page_allowed_hosts: Hosts = Field((), description="names beside localhost that the page answers to, such as page.example.org; '*': all")
    page_api_link: str = Field(pattern="^https?://", description="link to the REST service")
    page_airflow_link: str = Field(pattern="^https?://", description="link to Airflow")
    page_mlflow_link: str = Field(pattern="^https?://", description="link to MLflow")
    page_store_link: str = Field("", pattern="^(https?://.*)?$", description="link to the object store's console; empty: none")


@cache
def get_settings() -> Settings:
    """Read the environment on first use, never at import."""
    return Settings()
