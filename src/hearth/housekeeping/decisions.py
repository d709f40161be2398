"""Which versions, runs and models stay, and why: decided from what is known, without asking a server."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from hearth.housekeeping.rules import Rules
from hearth.registry import RegisteredModel, RegisteredVersion, TrackedModel, TrackedRun
from hearth.registry.inventory import is_tagged_to_keep, names_of, training_group
from hearth.registry.tracking import KEEP, KEY

OLD = "nothing refers to it"


@dataclass(frozen=True)
class Named:
    """What refers to versions beside the registry: rollouts and retrainings, and whether stored predictions do."""

    deployed: Collection[tuple[str, str]]
    has_predictions: Callable[[str, str], bool]


def why_version_stays(  # noqa: PLR0911, PLR0913, PLR0917 - one return a reason; what is known
    version: RegisteredVersion, newest: Collection[str], model: RegisteredModel, named: Named, rules: Rules, now: datetime
) -> str:
    """Return why a version stays, an empty text if it can go; `newest` are the numbers of those that stay as the newest.

    Stored predictions are asked last: that alone costs a request.
    """
    if version.version in model.aliases.values():
        return "has an alias"
    if is_tagged_to_keep(version.tags.get(KEEP)):
        return f"tagged {KEEP}"
    if model.traffic and version.version in {model.traffic.version, model.traffic.champion}:
        return "answers a share of the requests"
    if version.approval and version.approval.state != "refused":
        return "waits for a person" if version.approval.state == "waiting" else "approved by a person"
    if (version.dataset, version.version) in named.deployed:
        return "named by a rollout or a retraining"
    if version.version in newest:
        return f"among the newest {rules.keep_versions}"
    if not rules.is_old(version.created, now):
        return f"younger than {rules.days:g} days"
    if named.has_predictions(version.dataset, version.version):
        return "named by stored predictions"
    return ""


def newest_versions(versions: Sequence[RegisteredVersion], rules: Rules) -> set[str]:
    """Return the numbers of the versions that stay because they are the newest."""
    ordered = sorted(versions, key=lambda version: int(version.version), reverse=True)
    return {version.version for version in ordered[: rules.keep_versions]}


@dataclass(frozen=True)
class References:
    """What the versions that stay refer to."""

    runs: frozenset[str]
    groups: frozenset[str]
    digests: frozenset[tuple[str, str]]
    models: frozenset[str]

    @classmethod
    def of(cls, versions: Iterable[RegisteredVersion]) -> "References":
        """Collect it."""
        versions = list(versions)
        return cls(
            runs=frozenset(version.run_id for version in versions),
            groups=frozenset(training_group(version.tags[KEY]) for version in versions if version.tags.get(KEY)),
            digests=frozenset((version.dataset, version.digest) for version in versions if version.digest),
            models=frozenset(version.model_id for version in versions if version.model_id),
        )


def why_runs_stay(  # noqa: PLR0913, PLR0917 - what is known
    runs: Sequence[TrackedRun],
    kept: References,
    published: Collection[str],
    digests: Collection[tuple[str, str]],
    rules: Rules,
    now: datetime,
) -> dict[str, str]:
    """Return for each run why it stays, an empty text if it can go.

    A trial stays with its search, and a search with its version. The run of an ETL stays with its data: `digests` are those that are named
    by others than runs.
    """
    tagged = {run.run_id for run in runs if run.is_kept}
    whys: dict[str, str] = {}
    for run in runs:
        if run.kind != "ETL":
            whys[run.run_id] = _why_run_stays(run, kept, published, tagged, rules, now)
    named = {*kept.digests, *digests, *names_of(run for run in runs if whys.get(run.run_id))}
    for run in runs:
        if run.kind == "ETL":
            why = _why_run_stays(run, kept, published, tagged, rules, now)
            is_named = (run.dataset, run.digest) in named
            whys[run.run_id] = why or ("its data stay" if is_named else "")
    return whys


def _why_run_stays(  # noqa: PLR0913, PLR0917 - what is known
    run: TrackedRun, kept: References, published: Collection[str], tagged: Collection[str], rules: Rules, now: datetime
) -> str:
    if run.run_id in kept.runs:
        return "the run of a version that stays"
    if run.run_id in tagged or run.parent in tagged:
        return f"tagged {KEEP}"
    if run.run_id in published:
        return "made what is published"
    if not rules.is_old(run.changed, now):
        return f"younger than {rules.days:g} days"
    if run.key and training_group(run.key) in kept.groups:
        return "of the training of a version that stays"
    return ""


def why_model_stays(model: TrackedModel, kept: References, run_whys: Mapping[str, str], rules: Rules, now: datetime) -> str:
    """Return why a logged model stays, an empty text if it can go: one that no version has was left by an interrupted training."""
    if model.model_id in kept.models or model.run_id in kept.runs:
        return "the model of a version that stays"
    if not rules.is_old(model.created, now):
        return f"younger than {rules.days:g} days"
    if run_whys.get(model.run_id, "").startswith("tagged"):
        return f"its run is tagged {KEEP}"
    return ""
