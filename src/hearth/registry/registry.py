"""The registry: final runs, versions, aliases and traffic."""

import logging
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from mlflow.entities import LoggedModelOutput, Run, RunData
from mlflow.entities.model_registry import ModelVersion
from mlflow.entities.model_registry import RegisteredModel as MlflowModel
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE
from sklearn.pipeline import Pipeline

from hearth.errors import ModelUnavailable, RegistryError
from hearth.logs import about
from hearth.modelling.approval import Approval
from hearth.modelling.gate import Decision
from hearth.modelling.standing import Standing
from hearth.modelling.trust import FILE_NAME as TRUST_FILE
from hearth.registry import model_files
from hearth.registry.connection import ALREADY_EXISTS, NOT_FOUND, pages
from hearth.registry.model_download import download
from hearth.registry.policy import GATE, SIGNATURE
from hearth.registry.run_files import read_files, table_files, table_tags
from hearth.registry.tracking import (
    APPROVAL,
    APPROVAL_COMMENT,
    APPROVAL_TASK,
    APPROVED_AT,
    APPROVED_BY,
    DATASET,
    DECISION,
    DIGEST,
    FAMILY,
    KEY,
    ORIGIN,
    STANDING,
    Tracking,
)
from hearth.registry.traffic import TRAFFIC, Traffic
from hearth.registry.versions import LOGGED_MODEL, ModelFiles, NewVersion, RegisteredModel, RegisteredVersion

_LOGGER = logging.getLogger(__name__)
_DECISION = "**Decision:** "  # what comes before it in a description is about the version itself
_DUPLICATE_ROW = ("IntegrityError", "UniqueViolation")  # the errors of SQLite and MySQL, and of PostgreSQL
_MODELS_A_REQUEST = 1000  # MLflow allows no more
CARD = "card.html"
_CARD_LINK = f"\n\n[Model card](#/experiments/{{}}/runs/{{}}/artifacts/{CARD})"  # of MLflow's own page


class Registry(Tracking):
    """An MLflow server, for tracking and as the registry. The registered model of a data set has the data set's name.

    Every method raises RegistryUnavailable if MLflow does not answer, and RegistryError if it refuses. Threads may share one.
    """

    # Versions

    def register(self, new: NewVersion) -> RegisteredVersion:
        """Log the final run of a training with its model, and register the model as a version of the data set.

        The version exists only after all of it is stored.

        Raises:
            UntrustedModel: the pipeline holds types outside our allow-list.
        """
        tags = {
            DATASET: new.dataset,
            FAMILY: new.family,
            DIGEST: new.digest,
            KEY: new.training_key,
            ORIGIN: new.origin,
            **self._provenance(),
        }
        with self._connection.errors():
            experiment_id = self._experiment(new.experiment, new.dataset, "The final runs: one for each registered version.")
            self._discard(experiment_id, new.training_key)
            run_tags = {**tags, **table_tags(new.tables), MLFLOW_RUN_NOTE: new.description}
            with self._connection.run(experiment_id, f"{new.dataset} {new.family}", run_tags) as run_id:
                params = {name: str(value) for name, value in new.params.items()}
                model = self._client.create_logged_model(experiment_id, f"{new.dataset}-{new.family}", run_id, tags, params)
                with tempfile.TemporaryDirectory() as folder:
                    model_files.save(Path(folder, "model"), new.pipeline, new.example, model.model_id, run_id, new.trust)
                    files = model_files.digests(Path(folder, "model"))
                    self._client.log_model_artifacts(model.model_id, str(Path(folder, "model")))
                self._client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
                self._log_inputs(run_id, new.data)
                self._connection.log(run_id, new.params, new.metrics, model_id=model.model_id)
                pictures = {f"figures/{name}": content for name, content in new.pictures.items()}
                self._connection.log_files(run_id, {**pictures, **new.files, **table_files(new.tables)})
                self._client.finalize_logged_model(model.model_id, "READY")
            self._ensure_registered_model(new.dataset, new.about)
            signed = {"dataset": new.dataset, "family": new.family, "run_id": run_id, "digest": new.digest}
            tags |= self._policy.version_tags(**signed, files=files)
            description = new.description + (_CARD_LINK.format(experiment_id, run_id) if CARD in new.files else "")
            created = self._client.create_model_version(
                new.dataset, model.model_uri, run_id, tags=tags, description=description or None, model_id=model.model_id
            )
        return self._version(created, params, new.metrics)

    def find(self, dataset: str, training_key: str) -> RegisteredVersion | None:
        """Return the version that a training has registered, None if there is none."""
        with self._connection.errors():
            versions = [version for version in self._model_versions(dataset) if version.tags.get(KEY) == training_key]
            return self._with_run(versions[-1]) if versions else None

    def version(self, dataset: str, name: str) -> RegisteredVersion:
        """Return the version that carries an alias, or that has this number.

        Raises:
            ModelUnavailable: there is none.
        """
        with self._connection.errors():
            number = name if name.isdecimal() else self._aliases(dataset).get(name)
            if number is None:
                raise ModelUnavailable(dataset, name, "no version carries this alias yet. Run a training first.")
            try:
                version = self._client.get_model_version(dataset, number)
            except MlflowException as error:
                if error.error_code != NOT_FOUND:
                    raise
                raise ModelUnavailable(dataset, name, f"version {number} is not in the registry.") from error
            return self._with_run(version)

    def versions(self, dataset: str) -> list[RegisteredVersion]:
        """Return all versions of a data set, the latest first. Their runs are read in one search of each experiment that has some."""
        with self._connection.errors():
            versions = self._model_versions(dataset)
            data = self._run_data(dataset, versions)
            return [
                self._version(version, data[version.run_id].params, data[version.run_id].metrics)
                if version.run_id in data
                else self._with_run(version)  # its run was deleted
                for version in versions
            ]

    def load(self, version: RegisteredVersion) -> Pipeline:
        """Return a version's pipeline; raises what `load_with_example` raises."""
        return self.load_with_example(version).pipeline

    def load_with_example(self, version: RegisteredVersion) -> model_files.StoredModel:
        """Download a version's model and read it with our own allow-list; returns it with its example and its trust, if it has that.

        Raises:
            IncompatibleModel: it was trained with other library versions; nothing is downloaded.
            UntrustedModel: it holds types outside the list; no object of it is built.
            RefusedModel: its files are not ours, too large, not signed where they must be, or predict other probabilities than when saved.
        """
        with self.download(version) as files:
            return files.read()

    @contextmanager
    def download(self, version: RegisteredVersion) -> Iterator[ModelFiles]:
        """Download the files of a version, and check their signature; they are deleted at the end.

        Raises:
            IncompatibleModel: it was trained with other library versions; nothing is downloaded.
            RefusedModel: its files are not there, too large, from another server, or not signed where they must be.
        """
        where = str(version)
        model_files.require_compatible(where, version.libraries)
        with tempfile.TemporaryDirectory(prefix="hearth-model-") as name:
            folder = Path(name)
            with self._connection.errors():
                location = self._files_of(version)
                most = self._policy.most_file_bytes
                digests = download(self._connection.uri, location, model_files.FILES, folder, where, most, optional=(TRUST_FILE,))
            signed = self._policy.check_version(where, version.tags, **version.signed_part, files=digests)
            yield ModelFiles(folder, where, digests, signed, self._policy.most_unpacked_bytes)

    def sign(self, version: RegisteredVersion) -> None:
        """Sign a version that an earlier release or another key has registered; the caller answers for it.

        Raises:
            RegistryError: there is no key.
            RefusedModel: it cannot be loaded.
        """
        if not self._policy.signer:
            raise RegistryError("HEARTH_MODEL_SIGNING_KEY is empty: there is no key to sign with.")
        trusting = Registry(self._connection.uri, policy=replace(self._policy, requires_signatures=False))
        with trusting.download(version) as files:
            files.read()
            self.annotate(version, self._policy.version_tags(**version.signed_part, files=files.digests))

    def annotate(self, version: RegisteredVersion, tags: Mapping[str, str], decision: str | None = None) -> None:
        """Write tags and a decision onto a version. A decision of the gate among the tags is signed.

        The decision stands below the description of the version, and replaces an earlier one.
        """
        if gate := tags.get(GATE):
            signed = self._policy.gate_tags(dataset=version.dataset, version=version.version, run_id=version.run_id, gate=gate)
            tags = {**signed, **tags}
        with self._connection.errors():
            for name, value in tags.items():
                _set_at_last(partial(self._client.set_model_version_tag, version.dataset, version.version, name, value))
            if decision is not None:
                present = self._client.get_model_version(version.dataset, version.version).description or ""
                about = present.partition(_DECISION)[0].rstrip()
                text = "\n\n".join(filter(None, [about, f"{_DECISION}{decision}"]))
                self._client.update_model_version(version.dataset, version.version, text)

    def record_decision(self, version: RegisteredVersion, decision: Decision) -> None:
        """Write what the gate decided about a version onto it, as tags and description, and as `gate.json` into its run."""
        gate = "waiting" if decision.waits else "passed" if decision.passed else "refused"
        tags = {GATE: gate, DECISION: decision.to_json().decode(), **_approval_tags(decision.approval)}
        self.annotate(version, tags, "\n\n".join(decision.reasons))
        self.write_run_files(version, {"gate.json": decision.to_json()})

    def record_standing(self, version: RegisteredVersion, standing: Standing) -> None:
        """Write how a version does on the present test set onto it."""
        self.annotate(version, {STANDING: standing.to_json().decode()})

    def run_files(self, version: RegisteredVersion, names: Iterable[str], most_bytes: int) -> dict[str, bytes]:
        """Return files of a version's run by name; those that are not there, or have more than `most_bytes`, are left out."""
        with self._connection.errors():
            run = self._run(version.run_id) if version.run_id else None
            location = str(run.info.artifact_uri) if run else ""
            return read_files(self._connection.uri, location, names, most_bytes)

    def write_run_files(self, version: RegisteredVersion, files: Mapping[str, bytes]) -> None:
        """Write files of a version's run, over those that have the same names; a run that was deleted for good gets none."""
        with self._connection.errors():
            try:
                self._connection.log_files(version.run_id, files)
            except MlflowException as error:
                if error.error_code != NOT_FOUND:
                    raise

    def remove(self, version: RegisteredVersion) -> None:
        """Delete a version and its model; its run stays, with parameters, metrics and pictures.

        Raises:
            RegistryError: it has an alias.
        """
        with self._connection.errors():
            aliases = [alias for alias, number in self._aliases(version.dataset).items() if number == version.version]
            if aliases:
                raise RegistryError(f"{version} carries {', '.join(aliases)} and cannot be deleted.")
            self._client.delete_model_version(version.dataset, version.version)
            is_shared = version.source in {other.source for other in self._model_versions(version.dataset)}  # by a copy of the version
            if version.model_id and not is_shared:
                self._client.delete_logged_model(version.model_id)

    # Aliases

    def aliases(self, dataset: str) -> dict[str, str]:
        """Return the version number that each alias of a data set carries; empty before its first version. One request."""
        with self._connection.errors():
            return self._aliases(dataset)

    def registered_model(self, dataset: str) -> RegisteredModel:
        """Return the aliases of a data set, and when its registered model was created. One request."""
        with self._connection.errors():
            return self._registered_model(dataset)

    def registered_models(self, datasets: Sequence[str]) -> dict[str, RegisteredModel]:
        """Do the same for many data sets, in one request for each thousand registered models of the server."""
        wanted = set(datasets)
        found = dict.fromkeys(datasets, RegisteredModel({}, None))
        with self._connection.errors():
            for model in pages(partial(self._client.search_registered_models, max_results=_MODELS_A_REQUEST)) if wanted else ():
                if model.name in wanted:
                    found[model.name] = _registered_model(model)
                    wanted.remove(model.name)
                if not wanted:
                    break
        return found

    def set_alias(self, dataset: str, alias: str, version: str) -> None:
        """Move an alias to a version."""
        with self._connection.errors():
            _set_at_last(lambda: self._client.set_registered_model_alias(dataset, alias, version))

    def delete_alias(self, dataset: str, alias: str) -> None:
        """Take an alias from the version that carries it; without one nothing happens."""
        with self._connection.errors():
            if alias in self._aliases(dataset):
                self._client.delete_registered_model_alias(dataset, alias)

    def set_traffic(self, dataset: str, traffic: Traffic | None) -> None:
        """Let a candidate answer a share of the champion's requests; None: nobody but the champion answers them."""
        with self._connection.errors():
            if traffic is not None:
                _set_at_last(partial(self._client.set_registered_model_tag, dataset, TRAFFIC, traffic.to_json()))
            elif self._registered_model(dataset).traffic is not None:
                self._client.delete_registered_model_tag(dataset, TRAFFIC)

    def _aliases(self, dataset: str) -> dict[str, str]:
        return dict(self._registered_model(dataset).aliases)

    def _registered_model(self, dataset: str) -> RegisteredModel:
        try:
            model = self._client.get_registered_model(dataset)
        except MlflowException as error:
            if error.error_code != NOT_FOUND:
                raise
            return RegisteredModel({}, None)
        return _registered_model(model)

    def _model_versions(self, dataset: str) -> list[ModelVersion]:
        versions = pages(partial(self._client.search_model_versions, f"name = '{dataset}'"))
        return sorted(versions, key=lambda version: int(version.version), reverse=True)

    def _version(self, version: ModelVersion, params: Mapping[str, str], metrics: Mapping[str, float]) -> RegisteredVersion:
        run_id, number = version.run_id or "", str(version.version)
        tags, gate_signed = self._policy.checked_tags(version.tags, dataset=version.name, version=number, run_id=run_id)
        return RegisteredVersion(
            dataset=version.name,
            version=number,
            family=version.tags.get(FAMILY, ""),
            digest=version.tags.get(DIGEST, ""),
            run_id=run_id,
            created=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC),
            metrics=dict(metrics),
            tags=tags,
            params=dict(params),
            status=str(version.status),
            source=str(version.source or ""),
            gate_signed=gate_signed,
            signed=self._policy.signer.knows(version.tags.get(SIGNATURE, "")),
        )

    def _run_data(self, dataset: str, versions: Sequence[ModelVersion]) -> dict[str, RunData]:
        """Return parameters and metrics of the runs of versions, by run; of a run that was deleted there may be none."""
        data: dict[str, RunData] = {}
        searched: set[str] = set()
        for version in versions:
            if not version.run_id or version.run_id in data or not (run := self._run(version.run_id)):
                continue
            if run.info.experiment_id not in searched:
                searched.add(run.info.experiment_id)
                data |= {run.info.run_id: run.data for run in self._connection.runs(run.info.experiment_id, DATASET, dataset)}
        return data

    def _with_run(self, version: ModelVersion) -> RegisteredVersion:
        """Read the run of a version too."""
        run = self._run(version.run_id) if version.run_id else None
        return self._version(version, run.data.params, run.data.metrics) if run else self._version(version, {}, {})

    def _run(self, run_id: str) -> Run | None:
        try:
            return self._client.get_run(run_id)
        except MlflowException as error:
            if error.error_code != NOT_FOUND:  # a version outlives a run that was deleted for good
                raise
            return None

    def _files_of(self, version: RegisteredVersion) -> str:
        """Return where MLflow has the files of a version."""
        uri = str(self._client.get_model_version_download_uri(version.dataset, version.version))
        if not uri.startswith(LOGGED_MODEL):
            return uri
        return str(self._client.get_logged_model(uri.removeprefix(LOGGED_MODEL)).artifact_location)

    def _discard(self, experiment_id: str, training_key: str) -> None:
        """Delete runs and models of a training of the same key that was interrupted before it registered a version."""
        for run in self._connection.runs(experiment_id, KEY, training_key):
            for output in run.outputs.model_outputs if run.outputs else ():
                self._client.delete_logged_model(output.model_id)
            self._client.delete_run(run.info.run_id)

    def _ensure_registered_model(self, dataset: str, about: str) -> None:
        try:
            self._client.create_registered_model(dataset, {DATASET: dataset}, about or None)
        except MlflowException as error:
            if error.error_code != ALREADY_EXISTS:
                raise


def _approval_tags(approval: Approval | None) -> dict[str, str]:
    """Return the answer of a person as tags, its state last: who reads that finds the rest.

    What counts is the gate's decision, which is signed, and not these.
    """
    if approval is None:
        return {}
    tags = {APPROVED_BY: approval.by, APPROVED_AT: approval.at, APPROVAL_COMMENT: approval.comment, APPROVAL_TASK: approval.task}
    return {**tags, APPROVAL: approval.state}


def _registered_model(model: MlflowModel) -> RegisteredModel:
    created = datetime.fromtimestamp(model.creation_timestamp / 1000, UTC)
    aliases = {alias: str(version) for alias, version in model.aliases.items()}
    return RegisteredModel(aliases, created, _traffic(model.name, model.tags.get(TRAFFIC)))


def _traffic(dataset: str, text: str | None) -> Traffic | None:
    """Return what the tag says; one that cannot be read gives no candidate any request."""
    if not text:
        return None
    try:
        return Traffic.from_json(text)
    except ValueError:
        _LOGGER.warning(
            "%s: the tag %s cannot be read, so the champion answers all requests: %r", dataset, TRAFFIC, text[:200], extra=about(dataset)
        )
        return None


def _set_at_last(set_value: Callable[[], None]) -> None:
    """Set an alias or a tag.

    MLflow looks whether there is one and then inserts it, so of two clients that set a new one at the same time one is refused by the
    unique key of the table. That one asks again: now it exists, and the last one to set it wins, as always.
    """
    try:
        set_value()
    except MlflowException as error:
        if not any(name in str(error) for name in _DUPLICATE_ROW):
            raise
        set_value()
