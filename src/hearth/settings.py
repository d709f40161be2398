"""What a Hearth process needs to know about where it runs, read from the environment and from `.env` and `.env.local`.

There are no addresses, passwords or paths in code: `.env` holds values for a laptop, and production refuses the secrets among them.
"""

import re
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from hearth.errors import InvalidSettings

LAPTOP_SECRET = "changethis"  # noqa: S105 - the marker that every secret in the committed .env starts with


def _split(value: object) -> object:
    return tuple(re.split(r"[,\s]+", value.strip(", \t\n"))) if isinstance(value, str) and value.strip(", \t\n") else value or ()


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""Several words, separated by blanks or commas."""


class Settings(BaseSettings):
    """Settings that every process shares; each is the environment variable of its name, prefixed with HEARTH_."""

    model_config = SettingsConfigDict(env_prefix="HEARTH_", env_file=(".env", ".env.local"), extra="ignore", frozen=True)

    environment: str = Field(pattern="^(laptop|production)$", description="'laptop' or 'production'; production refuses laptop secrets")
    data_dir: Path = Field(description="the folder with one folder a data set")

    def __init__(self, **values: Any) -> None:  # noqa: ANN401 - a value for each field, which the class checks
        """Read the environment; `values` win over it. Raises InvalidSettings, which names variables and never shows a value."""
        try:
            super().__init__(**values)
        except ValidationError as error:
            wrong = []
            for detail in error.errors(include_url=False, include_input=False):
                name = str(detail["loc"][0])
                reason = "is not set" if detail["type"] == "missing" else f"is wrong: {detail['msg']}"
                wrong.append(f"HEARTH_{name.upper()} ({_described(type(self), name)}) {reason}")
            raise InvalidSettings(f"{'; '.join(wrong)}. Set it in the environment, in .env or in .env.local.") from None

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


class StorageAddressSettings(Settings):
    """Where the object store is, for those who only ask whether it answers."""

    s3_endpoint_url: str = Field(description="any S3 endpoint")


class StorageSettings(StorageAddressSettings):
    """How the object store is used."""

    s3_region: str = Field(description="its region; any word for a store that has none")
    s3_access_key: SecretStr = Field(description="key id")
    s3_secret_key: SecretStr = Field(description="key secret")
    data_bucket: str = Field(description="raw files and rejected rows")
    processed_bucket: str = Field(description="what the ETL publishes")


class IngestSettings(Settings):
    """Where batches of data come from, and where they are kept."""

    batch_api_url: str = Field(description="the HTTP API that hands out batches; the contract says under which path")
    data_db_url: SecretStr = Field(description="SQLAlchemy URL of the data database: PostgreSQL, MySQL, MariaDB")


class LoadSettings(Settings):
    """When batches are fetched."""

    load_data_schedule: str = Field(min_length=1, description="when load_data runs: a cron expression, a word such as @hourly, or 'none'")
    load_data_wait_seconds: float = Field(ge=1, description="how long load_data waits before it asks for another batch")


class BatchApiSettings(Settings):
    """How the stand-in for an HTTP API hands out generated batches."""

    batch_api_host: str = Field(min_length=1, description="the address that it listens on")
    batch_api_port: int = Field(ge=0, le=65_535, description="its port")
    batch_api_rows: int = Field(ge=1, le=1_000_000, description="rows of a batch")
    batch_api_batches: int = Field(ge=1, le=1_000_000, description="batches of a group; after the last there are no more")
    batch_api_seconds: float = Field(ge=0, description="a new batch is handed out no sooner than this after the one before")


class RegistrySettings(Settings):
    """Where MLflow is."""

    mlflow_tracking_uri: str = Field(description="the MLflow server")
    git_revision: str = Field("", description="the commit that images were built from; in a git checkout it is found without")


class ServingSettings(RegistrySettings):
    """How a process that scores follows the registry."""

    alias_poll_seconds: float = Field(gt=0, description="how often a moved alias is looked for")


class DeploymentSettings(Settings):
    """Where a new version is expected to be served."""

    api_url: str = Field("", description="the REST service that DAGs wait for after a version was promoted; empty: they do not wait")


class PredictionsSettings(Settings):
    """Where predictions are kept."""

    predictions_url: SecretStr = Field(description="PostgreSQL URL of the predictions store")


class RedisSettings(Settings):
    """Where the Redis-protocol server is."""

    redis_url: SecretStr = Field(description="the Redis-protocol server that holds the stream, and the limits that processes share")


class AccessSettings(RedisSettings):
    """Who may call, and how often."""

    api_admin_key: SecretStr = Field(description="the API key of the name 'admin', for administration and predictions")
    api_keys: SecretStr = Field(SecretStr(""), description="further keys: name:scopes:secret, separated by blanks; scopes: admin+predict")
    api_require_key: bool = Field(default=False, description="predictions need a key with the scope 'predict'")
    api_rate_limit: str = Field("", description="requests for predictions of one caller, such as 1000/minute; empty: no limit")
    api_rate_limit_shared: bool = Field(default=False, description="all processes count together, in the Redis server, which costs time")
    api_failed_keys_limit: str = Field("10/minute", description="wrong API keys from one address")


class StreamSettings(RedisSettings):
    """Where the stream is."""

    stream_name: str = Field(description="the stream of records to score")
    stream_group: str = Field(description="the consumer group of the workers")
    stream_max_length: int = Field(ge=1, description="more messages than this may not wait: the producer waits, REST refuses")


class RetentionSettings(PredictionsSettings):
    """How long predictions are kept."""

    predictions_keep_days: float = Field(ge=0, le=100_000, description="days after which predictions are deleted; 0: never")


class WorkerSettings(StreamSettings, RetentionSettings, ServingSettings):
    """How a worker reads the stream."""

    stream_consumer: str = Field("", description="this worker's name in the group; empty: the host's. Two on one host need two names")
    stream_batch_messages: int = Field(ge=1, le=10_000, description="messages read and scored at once, at most")
    stream_batch_records: int = Field(ge=1, le=1_000_000, description="records scored and stored at once, at most; a message is not cut")
    stream_block_milliseconds: int = Field(ge=1, le=5_000, description="how long a read waits for messages")
    stream_claim_idle_milliseconds: int = Field(ge=1_000, description="a message that another worker has held this long is taken over")
    stream_max_deliveries: int = Field(ge=1, description="after so many deliveries a message is dead")
    stream_leave_seconds: float = Field(ge=0, description="a worker that is told to stop may take so long to finish what is in hand")
    worker_metrics_host: str = Field("127.0.0.1", min_length=1, description="the address on which Prometheus can ask the worker")
    worker_metrics_port: int = Field(0, ge=0, le=65_535, description="the port for that; 0: none. Two workers on one host need two")


class ProducerSettings(StreamSettings, ServingSettings):
    """Which fake records are put into the stream, and how fast."""

    producer_dataset: str = Field(description="the data sets of the fake records, such as 'employees,heart'; 'all': each with statistics")
    producer_records_per_second: float = Field(ge=0, le=1_000_000, description="records a second; 0: as fast as possible")
    producer_bad_share: float = Field(ge=0, le=1, description="the share of fake records that are bad on purpose")


class RecordingSettings(PredictionsSettings):
    """Which answers are stored, and how many of them a challenger sees; docs/model-life.md says what each costs."""

    record_predictions: Literal["all", "sample", "none"] = Field(description="which answers are stored: 'all', 'sample' or 'none'")
    record_sample_share: float = Field(gt=0, le=1, description="the share of records that 'sample' stores")
    record_queue_records: int = Field(ge=1, description="records that may wait to be stored; while so many do, what is answered is not")
    record_most_per_second: int = Field(ge=1, description="records that a process stores in a second, at most; more have to wait")
    record_drain_seconds: float = Field(ge=0, description="how long a process that stops may take to store what waits")
    challenger_share: float = Field(ge=0, le=1, description="the share of the champion's requests that a challenger scores too, in shadow")


class InterfaceSettings(ServingSettings, RecordingSettings):
    """What all interfaces that answer requests share."""

    api_default_dataset: str = Field(description="the data set of a request that names none")


class GrpcSettings(InterfaceSettings):
    """Where the gRPC service listens and what it accepts."""

    grpc_host: str = Field(min_length=1, description="the address that the gRPC service listens on")
    grpc_port: int = Field(ge=0, le=65_535, description="its port; 0: any free one")
    grpc_reuse_port: bool = Field(
        default=False, description="several processes may listen on the port, and the system shares out connections"
    )
    grpc_max_records: int = Field(ge=1, description="records in one message, at most")
    grpc_max_message_bytes: int = Field(ge=1_000, description="bytes of one message, at most")
    grpc_max_concurrent_calls: int = Field(ge=1, description="open calls, streams among them, at most; more are refused")
    grpc_grace_seconds: float = Field(ge=0, description="how long open calls may take to end when the service stops")
    grpc_metrics_port: int = Field(0, ge=0, le=65_535, description="the port that Prometheus asks, on the same address; 0: none")


class GrpcClientSettings(Settings):
    """Where the gRPC service is, for programs that call it."""

    grpc_address: str = Field(min_length=1, description="host:port of the gRPC service")


class ApiSettings(InterfaceSettings, StorageAddressSettings, StreamSettings, AccessSettings):
    """What the REST service accepts."""

    api_max_records: int = Field(ge=1, description="records in one request, at most")
    api_max_body_bytes: int = Field(ge=1_000, description="bytes of one request, at most")
    api_max_file_bytes: int = Field(ge=1_000, description="bytes of a file to be scored, at most; it is kept on disk meanwhile")
    api_max_files: int = Field(ge=1, description="files that are scored at once, at most")
    explain_max_records: int = Field(ge=1, description="records that are explained in one request, at most")
    api_body_seconds: float = Field(30, gt=0, description="a request must be there within this, however slow its sender is")
    api_cors_origins: Words = Field((), description="origins whose pages may call REST, such as https://example.org; '*': all; empty: none")
    api_allowed_hosts: Words = Field((), description="host names that REST answers to, such as api.example.org *.example.org; empty: all")
    api_trusted_proxies: Words = Field(
        (), description="addresses and networks of proxies whose X-Forwarded headers hold; '*': all; empty: none"
    )
    api_root_path: str = Field(
        "", pattern="^(/[A-Za-z0-9._~-]+)*$", description="the path under which a proxy publishes REST, such as /hearth"
    )
    graphql_max_depth: int = Field(ge=4, description="levels of fields that one GraphQL query may go down")
    graphql_max_aliases: int = Field(ge=1, description="aliases that one GraphQL query may have")
    graphql_max_tokens: int = Field(ge=100, description="tokens that one GraphQL query may have; values of variables do not count")

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

    @field_validator("api_allowed_hosts")
    @classmethod
    def _check_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if not re.fullmatch(r"(\*\.)?[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]", host):
                raise ValueError(f"{host!r} is not a host name: expected a name or an address without a port, or *. before a domain")
        return hosts


class PageSettings(RegistrySettings):
    """Whom the page asks, and where it sends people: links are addresses as their browsers know them."""

    api_url: str = Field(pattern="^https?://", description="the REST service")
    airflow_url: str = Field(pattern="^https?://", description="Airflow, asked how it is")
    page_grpc_metrics_url: str = Field(pattern="^https?://", description="metrics of the gRPC service, asked to see whether it lives")
    page_worker_metrics_url: str = Field(pattern="^https?://", description="metrics of the stream worker, asked to see whether it lives")
    batch_api_url: str = Field(pattern="^https?://", description="the API that batches come from, asked whether it answers")
    page_api_key: SecretStr = Field(SecretStr(""), description="API key of the page, where predictions need one")
    page_api_link: str = Field(pattern="^https?://", description="link to the REST service")
    page_airflow_link: str = Field(pattern="^https?://", description="link to Airflow")
    page_mlflow_link: str = Field(pattern="^https?://", description="link to MLflow")
    page_store_link: str = Field(pattern="^https?://", description="link to the object store's file browser")


@cache
def get_settings() -> Settings:
    """Read the environment on first use, never at import."""
    return Settings()
