"""Versions: what a training hands over, what the registry has, and its files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pandas as pd
from sklearn.pipeline import Pipeline

from hearth.registry import model_files
from hearth.registry.provenance import LIBRARY


@dataclass(frozen=True)
class NewVersion:
    """The result of a training. `example` holds a few raw rows; `training_key` names the training, so that it is registered once."""

    dataset: str
    family: str
    digest: str
    training_key: str
    pipeline: Pipeline
    example: pd.DataFrame
    params: Mapping[str, str | float]
    metrics: Mapping[str, float]
    pictures: Mapping[str, bytes]


@dataclass(frozen=True)
class RegisteredVersion:
    """A version in the registry.

    `digest` names the processed data that it was trained and evaluated on, `params` are those of its run, `status` is MLflow's for its
    registration, and `source` is the address of its files. `gate_signed` says whether the gate's decision among the tags has our
    signature; a decision that does not hold is replaced there by `not signed`.
    """

    dataset: str
    version: str
    family: str
    digest: str
    run_id: str
    created: datetime
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    params: Mapping[str, str] = field(default_factory=dict)
    status: str = "READY"
    source: str = ""
    gate_signed: bool = False

    @property
    def libraries(self) -> dict[str, str]:
        """The versions of the libraries that it was made with."""
        return {name.removeprefix(LIBRARY): value for name, value in self.tags.items() if name.startswith(LIBRARY)}

    @property
    def signed_part(self) -> dict[str, str]:
        """What a signature covers beside the files."""
        return {"dataset": self.dataset, "family": self.family, "run_id": self.run_id, "digest": self.digest}

    def __str__(self) -> str:
        return f"models:/{self.dataset}/{self.version}"


@dataclass(frozen=True)
class ModelFiles:
    """The files of a version in a folder, with the SHA-256 of each, and whether they have our signature."""

    folder: Path
    where: str
    digests: Mapping[str, str]
    signed: bool
    most_unpacked_bytes: int

    def read(self) -> tuple[Pipeline, pd.DataFrame]:
        """Return the pipeline and its example; raises UntrustedModel and RefusedModel."""
        return model_files.load(self.folder, self.where, self.most_unpacked_bytes)
