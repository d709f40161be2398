"""What a Hearth process needs to know about where it runs, read from the environment and from `.env` and `.env.local`.

There are no addresses, passwords or paths in code: `.env` holds values for a laptop, and production refuses the secrets among them.
"""

from functools import cache
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

LAPTOP_SECRET = "changethis"  # noqa: S105 - the marker that every secret in the committed .env starts with


class Settings(BaseSettings):
    """Settings that every process shares; each is the environment variable of its name, prefixed with HEARTH_."""

    model_config = SettingsConfigDict(env_prefix="HEARTH_", env_file=(".env", ".env.local"), extra="ignore", frozen=True)

    environment: str = Field(pattern="^(laptop|production)$", description="'laptop' or 'production'; production refuses laptop secrets")
    data_dir: Path = Field(description="the folder with one folder a data set")

    @model_validator(mode="after")
    def _refuse_laptop_secrets(self) -> Self:
        if self.environment != "production":
            return self
        weak = [name for name in type(self).model_fields if LAPTOP_SECRET in _revealed(getattr(self, name))]
        if weak:
            names = ", ".join(f"HEARTH_{name.upper()}" for name in weak)
            message = f"HEARTH_ENVIRONMENT is 'production', but these still hold a laptop value ({LAPTOP_SECRET!r}): {names}"
            raise ValueError(message)
        return self


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


class ServingSettings(RegistrySettings):
    """How a process that scores follows the registry."""

    alias_poll_seconds: float = Field(gt=0, description="how often a moved alias is looked for")


class PredictionsSettings(Settings):
    """Where predictions are kept."""

    predictions_url: SecretStr = Field(description="PostgreSQL URL of the predictions store")


class StreamSettings(PredictionsSettings, ServingSettings):
    """How records travel over the stream."""

    redis_url: SecretStr = Field(description="the Redis-protocol server that holds the stream")
    stream_name: str = Field(description="the stream of records to score")
    stream_group: str = Field(description="the consumer group of the workers")
    stream_batch_messages: int = Field(ge=1, le=10_000, description="messages read and scored at once, at most")
    stream_block_milliseconds: int = Field(ge=1, le=5_000, description="how long a read waits for messages")
    stream_claim_idle_milliseconds: int = Field(ge=1_000, description="a message that another worker has held this long is taken over")
    stream_max_deliveries: int = Field(ge=1, description="after so many deliveries a message is dead")
    stream_max_length: int = Field(ge=1, description="the producer waits while the stream is longer than this")


@cache
def get_settings() -> Settings:
    """Read the environment on first use, never at import."""
    return Settings()  # type: ignore[call-arg]  # the environment gives the values
