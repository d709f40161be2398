"""Versions: what a training hands over, what the registry has, and its files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import get_args

import pandas as pd
from sklearn.pipeline import Pipeline

from hearth.contracts.origins import UNKNOWN, Origin
from hearth.modelling.approval import Approval, ApprovalState
from hearth.modelling.gate import Decision
from hearth.modelling.standing import Standing
from hearth.modelling.trust import Trust
from hearth.registry import model_files
from hearth.registry.provenance import read_library_versions
from hearth.registry.tracking import (
    APPROVAL,
    APPROVAL_COMMENT,
    APPROVAL_TASK,
    APPROVED_AT,
    APPROVED_BY,
    DECISION,
    ORIGIN,
    STANDING,
    InputData,
)
from hearth.registry.traffic import Traffic

LOGGED_MODEL = "models:/"
FINAL_EXPERIMENT = "optimized_models"  # where a final run goes that names no other


@dataclass(frozen=True)
class NewVersion:
    """The result of a training.

    `example` holds a few raw rows; `training_key` names the training, so that it is registered once; `data` is what it was trained and
    evaluated on; `about` describes the data set where its registered model is described; `trust` says what it knows of its limits. `files`
    are further files of its run, by name, and `tables` what MLflow shows as tables, by the names of their files.
    """

    dataset: str
    family: str
    digest: str
    training_key: str
    pipeline: Pipeline
    example: pd.DataFrame
    params: Mapping[str, str | float]
    metrics: Mapping[str, float]
    pictures: Mapping[str, bytes]
    experiment: str = FINAL_EXPERIMENT
    data: Sequence[InputData] = ()
    description: str = ""
    about: str = ""
    origin: Origin = UNKNOWN
    trust: Trust | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)


@dataclass(frozen=True)
class RegisteredVersion:
    """A version in the registry.

    `digest` names the processed data that it was trained and evaluated on, `params` are those of its run, `status` is MLflow's for its
    registration, and `source` is the address of its files. `gate_signed` says whether the gate's decision among the tags has our
    signature; a decision that does not hold is replaced there by `not signed`. `signed` says whether the version names our key: a version
    that does, and is loaded, is what our trainings have registered.
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
    signed: bool = False

    @property
    def origin(self) -> Origin:
        """Where its data came from; unknown for versions that were registered before this was kept."""
        value = self.tags.get(ORIGIN)
        return next((origin for origin in get_args(Origin) if origin == value), UNKNOWN)

    @property
    def standing(self) -> Standing | None:
        """How it does on the test set that was published last when this was computed; None if it never was."""
        return Standing.from_json(self.tags[STANDING]) if STANDING in self.tags else None

    @property
    def decision(self) -> Decision | None:
        """What the gate decided about it last; None if it never did."""
        return Decision.from_json(self.tags[DECISION]) if DECISION in self.tags else None

    @property
    def approval(self) -> Approval | None:
        """The answer of a person whom its contract asks; None if nobody is asked. Anyone may write a tag: what counts is `gate`."""
        state = next((state for state in get_args(ApprovalState) if state == self.tags.get(APPROVAL)), None)
        if state is None:
            return None
        by, at, comment, task = (self.tags.get(tag, "") for tag in (APPROVED_BY, APPROVED_AT, APPROVAL_COMMENT, APPROVAL_TASK))
        return Approval(state, by, at, comment, task)

    @property
    def libraries(self) -> dict[str, str]:
        """The versions of the libraries that it was made with."""
        return read_library_versions(self.tags)

    @property
    def model_id(self) -> str:
        """The id of its logged model; empty for a version that has none. MLflow's own `model_id` is not set over REST."""
        return self.source.removeprefix(LOGGED_MODEL) if self.source.startswith(f"{LOGGED_MODEL}m-") else ""

    @property
    def signed_part(self) -> dict[str, str]:
        """What a signature covers beside the files."""
        return {"dataset": self.dataset, "family": self.family, "run_id": self.run_id, "digest": self.digest}

    def __str__(self) -> str:
        return f"models:/{self.dataset}/{self.version}"


@dataclass(frozen=True)
class RegisteredModel:
    """The registered model of a data set: the version that each alias carries, and when it was created; None before its first version.

    One that was deleted and made anew was created later, and counts its versions from 1 again. `traffic` is the share that a candidate
    answers, if there is one.
    """

    aliases: Mapping[str, str]
    created: datetime | None
    traffic: Traffic | None = None


@dataclass(frozen=True)
class ModelFiles:
    """The files of a version in a folder, with the SHA-256 of each, and whether they have our signature."""

    folder: Path
    where: str
    digests: Mapping[str, str]
    signed: bool
    most_unpacked_bytes: int

    def read(self) -> model_files.StoredModel:
        """Return what they hold; raises UntrustedModel and RefusedModel."""
        return model_files.load(self.folder, self.where, self.most_unpacked_bytes)
