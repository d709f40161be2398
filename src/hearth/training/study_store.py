"""The database of searches that several processes work on: Optuna's tables in PostgreSQL, with rows while a search runs."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Self

import optuna
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from pydantic import TypeAdapter
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from hearth.errors import SearchRemoved, StudiesUnavailable
from hearth.modelling.studies_url import read_studies_url
from hearth.modelling.trials import STUDY_PLANNED
from hearth.settings import SearchSettings
from hearth.training.shared_study import SharedStudy

_LOGGER = logging.getLogger(__name__)
_SEARCH = "search"
_LOCK = 0x48535459  # one process at a time makes the tables
_CONNECT_SECONDS = 10
_BEATS_IN_GRACE = 6
# A worker keeps two connections, one of them for the lock; its sign of life may take a third for a moment
_ENGINE = {"pool_size": 2, "max_overflow": 2, "pool_pre_ping": True}
_KEEPALIVES = 3


@dataclass(frozen=True)
class Search:
    """What is searched, as every worker of it reads it: `key` names it, `run_id` is its run in MLflow, empty if workers log nothing."""

    key: str
    dataset: str
    family: str
    digest: str
    trials: int
    seed: int
    source: str
    run_id: str = ""


_SEARCH_TYPE = TypeAdapter(Search)


class StudyStore:
    """The studies of one PostgreSQL database. Making one opens no connection; the first use makes Optuna's tables.

    A worker that has not told for `grace_seconds` that it is alive is taken for dead.
    """

    def __init__(self, url: str, *, grace_seconds: int = 60) -> None:
        self._url = read_studies_url(url)
        self.grace_seconds = grace_seconds
        self._opened: optuna.storages.RDBStorage | None = None

    @classmethod
    def from_settings(cls) -> Self:
        """Make the one of the environment."""
        settings = SearchSettings()
        return cls(settings.studies_url.get_secret_value(), grace_seconds=settings.search_grace_seconds)

    def create(self, search: Search) -> SharedStudy:
        """Begin a search; one of the same key that was begun before is removed."""
        with self.errors():
            self.remove(search.key)
            optuna.logging.set_verbosity(optuna.logging.WARNING)  # trials are logged by the objective
            study = optuna.create_study(direction="maximize", study_name=search.key, storage=self._storage())
            study.set_user_attr(STUDY_PLANNED, datetime.now(UTC).isoformat())  # first: housekeeping goes by it
            study.set_user_attr(_SEARCH, asdict(search))
            return self._open(search, worker=0)

    def find(self, key: str) -> Search | None:
        """Return a search; None if it is over, or was never begun."""
        with self.errors():
            storage = self._storage()
            try:
                attributes = storage.get_study_user_attrs(storage.get_study_id_from_name(key))
            except KeyError:
                return None
            return _SEARCH_TYPE.validate_python(attributes[_SEARCH]) if _SEARCH in attributes else None

    def join(self, search: Search, worker: int) -> SharedStudy:
        """Open a search as one of its workers, which are numbered from 0; raises SearchRemoved if it is over."""
        with self.errors():
            optuna.logging.set_verbosity(optuna.logging.WARNING)
            return self._open(search, worker)

    def remove(self, key: str) -> None:
        """Remove a search with its trials, if it is there."""
        with self.errors():
            storage = self._storage()
            try:
                storage.delete_study(storage.get_study_id_from_name(key))
            except KeyError:
                return

    def discard(self, key: str) -> None:
        """Remove a search that has done its work. If the database is away it stays, with a warning, until housekeeping removes it."""
        try:
            self.remove(key)
        except StudiesUnavailable as error:
            _LOGGER.warning("the search %s is done but stays in the database until housekeeping removes it: %s", key, error)

    def close(self) -> None:
        """Close all connections."""
        if self._opened:
            self._opened.remove_session()
            self._opened.engine.dispose()
            self._opened = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn errors of the database into StudiesUnavailable."""
        try:
            yield
        except (StorageInternalError, SQLAlchemyError) as error:
            cause = error.__cause__ if isinstance(error, StorageInternalError) and error.__cause__ else error
            reason = " ".join(str(cause.orig if isinstance(cause, DBAPIError) else cause).split())
            raise StudiesUnavailable(self._place, reason) from error

    @property
    def _connect_args(self) -> dict[str, int]:
        """Return the arguments of libpq by which a server that has vanished is noticed within the grace."""
        seconds = max(1, self.grace_seconds // (_KEEPALIVES + 1))
        return {
            "connect_timeout": _CONNECT_SECONDS,
            "keepalives_idle": seconds,
            "keepalives_interval": seconds,
            "keepalives_count": _KEEPALIVES,
            "tcp_user_timeout": 1_000 * self.grace_seconds,
        }

    @property
    def _place(self) -> str:
        return self._url.render_as_string(hide_password=True)

    def _open(self, search: Search, worker: int) -> SharedStudy:
        try:
            return SharedStudy(self._storage(), search.key, search.seed, search.trials, worker, grace_seconds=self.grace_seconds)
        except KeyError as error:
            raise SearchRemoved(search.key) from error

    def _storage(self) -> optuna.storages.RDBStorage:
        if self._opened is None:
            guard = create_engine(self._url, connect_args=self._connect_args)
            try:
                with guard.begin() as connection:
                    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
                    self._opened = self._make_storage()
            finally:
                guard.dispose()
        return self._opened

    def _make_storage(self) -> optuna.storages.RDBStorage:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # of the heartbeat
            storage = optuna.storages.RDBStorage(
                self._url.render_as_string(hide_password=False),
                engine_kwargs={**_ENGINE, "connect_args": self._connect_args},
                skip_compatibility_check=True,
                heartbeat_interval=max(1, self.grace_seconds // _BEATS_IN_GRACE),
                grace_period=self.grace_seconds,
            )
        version = storage.get_current_version()
        if version not in storage.get_all_versions():
            storage.engine.dispose()
            raise StudiesUnavailable(self._place, f"a newer Optuna has made its tables ({version}): empty the database, docs/upgrade.md")
        if version != storage.get_head_version():
            storage.upgrade()
        return storage
