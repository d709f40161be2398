"""What a Hearth process needs to know about where it runs, read from the environment and from `.env` and `.env.local`.

There are no addresses, passwords or paths in code: `.env` holds values for a laptop, and production refuses the secrets among them.
"""

from functools import cache
from pathlib import Path
from typing import Any, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from hearth.errors import InvalidSettings

LAPTOP_SECRET = "changethis"  # noqa: S105 - the marker that every secret in the committed .env starts with


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


class StorageSettings(Settings):
    """Where the object store is."""

    s3_endpoint_url: str = Field(description="any S3 endpoint")
    s3_region: str = Field(description="its region; any word for a store that has none")
    s3_access_key: SecretStr = Field(description="key id")
    s3_secret_key: SecretStr = Field(description="key secret")
    data_bucket: str = Field(description="raw files and rejected rows")
    processed_bucket: str = Field(description="what the ETL publishes")


class RegistrySettings(Settings):
    """Where MLflow is."""

    mlflow_tracking_uri: str = Field(description="the MLflow server")
    git_revision: str = Field("", description="the commit that images were built from; in a git checkout it is found without")


class ServingSettings(RegistrySettings):
    """How a process that scores follows the registry."""

    alias_poll_seconds: float = Field(gt=0, description="how often a moved alias is looked for")


class PredictionsSettings(Settings):
    """Where predictions are kept."""

    predictions_url: SecretStr = Field(description="PostgreSQL URL of the predictions store")


class StreamSettings(Settings):
    """Where the stream is."""

    redis_url: SecretStr = Field(description="the Redis-protocol server that holds the stream")
    stream_name: str = Field(description="the stream of records to score")
    stream_max_length: int = Field(ge=1, description="the producer waits while the stream is longer than this")


class WorkerSettings(StreamSettings, PredictionsSettings, ServingSettings):
    """How a worker reads the stream."""

    stream_group: str = Field(description="the consumer group of the workers")
    stream_consumer: str = Field("", description="this worker's name in the group; empty: the host's. Two on one host need two names")
    stream_batch_messages: int = Field(ge=1, le=10_000, description="messages read and scored at once, at most")
    stream_block_milliseconds: int = Field(ge=1, le=5_000, description="how long a read waits for messages")
    stream_claim_idle_milliseconds: int = Field(ge=1_000, description="a message that another worker has held this long is taken over")
    stream_max_deliveries: int = Field(ge=1, description="after so many deliveries a message is dead")


class ProducerSettings(StreamSettings):
    """How fast fake records are put into the stream."""

    producer_records_per_second: float = Field(gt=0, le=1_000_000, description="records a second")


class InterfaceSettings(ServingSettings):
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


class GrpcClientSettings(Settings):
    """Where the gRPC service is, for programs that call it."""

    grpc_address: str = Field(min_length=1, description="host:port of the gRPC service")


class ApiSettings(InterfaceSettings):
    """What the REST service accepts."""

    api_max_records: int = Field(ge=1, description="records in one request, at most")
    api_max_body_bytes: int = Field(ge=1_000, description="bytes of one request, at most")


@cache
def get_settings() -> Settings:
    """Read the environment on first use, never at import."""
    return Settings()
