"""One pass over everything, in an order in which an interruption leaves nothing half: versions, runs, models, files, processed data."""

import logging
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime

from hearth.audit import Action, Draft, NoTrail, Trail, new_entry, open_trail, recorded
from hearth.errors import ModelUnavailable
from hearth.housekeeping.artifacts import Artifacts, remove_orphans
from hearth.housekeeping.decisions import OLD, Named, References, newest_versions, why_model_stays, why_runs_stay, why_version_stays
from hearth.housekeeping.garbage import collect_garbage
from hearth.housekeeping.processed_data import Name, latest_digests, remove_unnamed, stored_digests, with_references
from hearth.housekeeping.report import KEPT, REMOVED, SKIPPED, TRASHED, Item, Report
from hearth.housekeeping.rules import Rules
from hearth.housekeeping.studies import remove_old_studies
from hearth.predictions.references import ReferenceStore
from hearth.registry import Inventory, RegisteredVersion
from hearth.registry.inventory import names_of
from hearth.settings import HousekeepingSettings
from hearth.storage import ObjectStore

_LOGGER = logging.getLogger(__name__)


def keep_house(
    settings: HousekeepingSettings | None = None, *, applies: bool, rules: Rules | None = None, now: datetime | None = None
) -> Report:
    """Look for what nothing refers to, and remove it if `applies`; otherwise nothing is changed, and nothing is in the audit trail.

    Raises:
        PredictionsUnavailable, RegistryUnavailable, StorageUnavailable, StudiesUnavailable: a server does not answer. What names a version
            is then not known, so nothing more is removed; the next pass goes on.
        HousekeepingRefused: MLflow and its bucket do not belong together.
    """
    settings = settings or HousekeepingSettings()
    url = settings.monitor_url.get_secret_value()
    with ReferenceStore(url) as references, open_trail(url) if applies else nullcontext(NoTrail()) as trail:
        found = _Pass(settings, references, trail, rules or Rules.of(settings), now or datetime.now(UTC), applies=applies)
        with recorded(trail, Action.HOUSEKEEPING_APPLIED, Draft()) as draft:
            try:
                return found.run()
            finally:
                draft.detail.update(found.report.counts())


class _Pass:
    """One pass. What is removed is asked for once more right before: somebody may have named it since the beginning."""

    def __init__(  # noqa: PLR0913 - what a pass works with
        self, settings: HousekeepingSettings, references: ReferenceStore, trail: Trail, rules: Rules, now: datetime, *, applies: bool
    ) -> None:
        self._trail = trail
        self._settings, self._references, self._rules, self._now, self._applies = settings, references, rules, now, applies
        self._inventory = Inventory.from_settings(settings)
        self._store = ObjectStore.from_settings(settings)
        self.report = Report(applies)
        self._artifacts: Artifacts | None = None

    def run(self) -> Report:
        files = self._mlflow_files()
        if files:
            self._artifacts = Artifacts(files.objects(self._settings.mlflow_bucket))
            self._artifacts.require_same_mlflow(self._inventory)
        kept = References.of(self._keep_versions())
        self._keep_runs(kept)
        if self._artifacts is not None and files:
            self.report.add(remove_orphans(self._artifacts, files, self._inventory, self._now, applies=self._applies))
        else:
            self.report.add([Item("files of lost runs", "", SKIPPED, "HEARTH_MLFLOW_S3_ACCESS_KEY is not set")])
        self.report.add(remove_unnamed(self._store, self._named_digests, self._rules, self._now, applies=self._applies))
        self.report.add(remove_old_studies(self._settings.studies_url.get_secret_value(), self._rules, self._now, applies=self._applies))
        if self._applies:
            self.report.add(collect_garbage(self._settings, self._rules.trash_days))
        return self.report

    def _mlflow_files(self) -> ObjectStore | None:
        settings = self._settings
        if not settings.mlflow_s3_access_key.get_secret_value():
            return None
        keys = {"s3_access_key": settings.mlflow_s3_access_key, "s3_secret_key": settings.mlflow_s3_secret_key}
        return ObjectStore.from_settings(settings.model_copy(update=keys))

    def _size(self, *ids: str) -> int | None:
        return self._artifacts.size_of(*ids) if self._artifacts else None

    # Versions

    def _keep_versions(self) -> list[RegisteredVersion]:
        """Remove versions; return those that stay."""
        staying = []
        for dataset in self._inventory.datasets():
            versions = self._inventory.versions(dataset)
            why_stays = self._version_judge(dataset, versions)
            for version in versions:
                why = why_stays(version)
                if not why and self._applies:
                    why = self._remove(version, versions)
                size = self._size(version.model_id, version.run_id)
                self.report.add([Item("version", f"{dataset}/{version.version}", KEPT if why else REMOVED, why or OLD, size)])
                if why:
                    staying.append(version)
        return staying

    def _version_judge(self, dataset: str, versions: Sequence[RegisteredVersion]) -> Callable[[RegisteredVersion], str]:
        """Return a function that says why a version of a data set stays, as its names are now."""
        named = Named(self._references.deployed_versions(), self._references.has_predictions_of)
        model, newest = self._inventory.registered_model(dataset), newest_versions(versions, self._rules)
        return lambda version: why_version_stays(version, newest, model, named, self._rules, self._now)

    def _remove(self, version: RegisteredVersion, versions: Sequence[RegisteredVersion]) -> str:
        """Remove a version as it is now; return why it stays if somebody has named it meanwhile."""
        try:
            present = self._inventory.version(version.dataset, version.version)
        except ModelUnavailable:
            return ""  # another pass was faster
        if why := self._version_judge(version.dataset, versions)(present):
            return why
        self._inventory.remove(present)
        gone = new_entry(Action.VERSION_REMOVED, dataset=version.dataset, version=version.version, detail={"why": OLD})
        self._trail.record(gone)
        _LOGGER.info("%s is deleted: %s", version, OLD)
        return ""

    # Runs and models

    def _keep_runs(self, kept: References) -> None:
        runs = self._inventory.tracked_runs()
        published = self._inventory.published_runs()
        whys = why_runs_stay(runs, kept, published, self._digests_beside_runs(), self._rules, self._now)
        models = self._inventory.tracked_models()
        for run in runs:
            why = whys[run.run_id]
            if not why and self._applies:
                self._inventory.trash_run(run.run_id)
                _LOGGER.info("the %s run %s of %s is in the trash: %s", run.kind, run.run_id, run.dataset, OLD)
            self.report.add([Item(f"{run.kind} run", run.run_id, KEPT if why else TRASHED, why or OLD, self._size(run.run_id))])
        for model in models:
            why = why_model_stays(model, kept, whys, self._rules, self._now)
            if not why and self._applies:
                self._inventory.trash_model(model.model_id)
            self.report.add([Item("model", model.model_id, KEPT if why else TRASHED, why or OLD, self._size(model.model_id))])

    # Processed data

    def _named_digests(self) -> set[Name]:
        """Return what versions, runs, retrainings and publications name at the moment; in a rehearsal, as if runs were gone."""
        names = self._digests_beside_runs()
        trashed = set() if self._applies else {item.name for item in self.report.items if item.action == TRASHED}
        names |= names_of(run for run in self._inventory.tracked_runs() if run.run_id not in trashed)
        removed = set() if self._applies else set(self.report.named("version", REMOVED))
        for dataset in self._inventory.datasets():
            versions = (version for version in self._inventory.versions(dataset) if f"{dataset}/{version.version}" not in removed)
            names |= {(dataset, version.digest) for version in versions if version.digest}
        return with_references(self._store, names)

    def _digests_beside_runs(self) -> set[Name]:
        datasets = {digest.dataset for digest in stored_digests(self._store)}
        return latest_digests(self._store, datasets) | self._references.retrained_digests()
