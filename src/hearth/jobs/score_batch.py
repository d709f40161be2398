"""Score a batch as tasks: plan its shares, score one, finish it."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from hearth.batch.chunk import Parts
from hearth.batch.model import load_model
from hearth.batch.objects import find_objects
from hearth.batch.output import find_output
from hearth.batch.reporting import describe, log_summary, store_sample
from hearth.batch.runner import CHUNK_ROWS, Batch, Step, finish, require_complete, score_objects
from hearth.batch.sample import Sampler
from hearth.batch.summary import Summary
from hearth.contracts import load_contract
from hearth.contracts.aliases import CHAMPION
from hearth.contracts.texts import normalized
from hearth.predictions.personal_hash import PersonalHash
from hearth.registry import Registry
from hearth.settings import BatchSettings, MonitorSettings
from hearth.storage import ObjectStore

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """What to score: sources (`s3://bucket/prefix`, or paths), where results go, and by which version.

    `model` is an alias, or the number of a version, which was found by `alias`; `include` names parts: set, unusual.
    """

    dataset: str
    sources: Sequence[str]
    output: str
    model: str = CHAMPION
    alias: str = ""
    include: Sequence[str] = ()
    keep: Sequence[str] = ()
    chunk_rows: int = CHUNK_ROWS


class BatchScoring:
    """A batch, made anew by each task. Servers are those of the environment unless they are given."""

    def __init__(
        self, request: Request, *, store: ObjectStore | None = None, registry: Registry | None = None, settings: BatchSettings | None = None
    ) -> None:
        """Find the objects and load the version.

        Raises:
            InvalidScoring: the request cannot be met, or there is nothing to score.
            ModelUnavailable, RefusedModel: no version can score it.
            NotKept: the version does not have what it takes for the parts.
        """
        settings = settings or BatchSettings()
        contract = load_contract(request.dataset)
        self._registry = registry or Registry.from_settings()

        def stored() -> ObjectStore:
            return store or ObjectStore.from_settings()

        self._contract = contract
        self.batch = Batch(
            contract=contract,
            model=load_model(self._registry, contract, request.model, request.alias),
            objects=find_objects(request.sources, stored),
            output=find_output(request.output, request.sources, stored),
            sampler=Sampler(
                contract, PersonalHash.of(contract, settings.predictions_hash_key.get_secret_value()), settings.batch_sample_records
            ),
            parts=Parts(set="set" in request.include, unusual="unusual" in request.include),
            keep=[normalized(name.strip()) for name in request.keep],
            chunk_rows=request.chunk_rows,
        )

    def score(self, number: int = 0, of: int = 1) -> None:
        """Score the objects of one of several workers; raises what `score_objects` raises."""
        score_objects(self.batch, self.batch.share(number, of), _log_step)

    def finish(self, predictions_url: str | None = None) -> Summary:
        """Store the sample, log the run, and write the summary.

        Raises:
            IncompleteScoring: objects could not be read, which the summary names, or nobody has tried to score them.
            PredictionsUnavailable, RegistryError: a server does not answer; the next try goes on.
        """
        url = predictions_url or MonitorSettings().monitor_url.get_secret_value()
        summary = finish(self.batch, partial(store_sample, url), partial(log_summary, self._registry, self._contract))
        _LOGGER.info("%s", describe(summary))
        require_complete(summary)
        return summary


def _log_step(step: Step) -> None:
    if step.rows:
        how = "scored" if step.is_new else "were scored before"
        _LOGGER.info("%s: %d rows %s, %d of them rejected", step.source.address, step.rows, how, step.rejected)


def plan(dataset: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the shares of a batch: their number, and the version of them all. There are at most as many as objects.

    Raises:
        HearthError: what `BatchScoring` raises, so that a batch that cannot be scored fails at once.
    """
    scoring = BatchScoring(_request(dataset, params))
    batch, tasks = scoring.batch, min(int(params["tasks"]), len(scoring.batch.objects))
    _LOGGER.info(
        "%d objects to score by version %s (%s), to %s", len(batch.objects), batch.model.version, batch.model.family, params["output"]
    )
    return [{"number": number, "of": tasks, "version": batch.model.version} for number in range(tasks)]


def score(dataset: str, params: Mapping[str, Any], share: Mapping[str, Any]) -> None:
    """Score a share."""
    BatchScoring(_request(dataset, params, share["version"])).score(share["number"], share["of"])


def finish_batch(dataset: str, params: Mapping[str, Any], share: Mapping[str, Any]) -> str:
    """Finish a batch, and return its summary as a sentence; raises what `BatchScoring.finish` raises."""
    return describe(BatchScoring(_request(dataset, params, share["version"])).finish())


def _request(dataset: str, params: Mapping[str, Any], version: str = "") -> Request:
    return Request(
        dataset=dataset,
        sources=[params["source"]],
        output=params["output"],
        model=version or params["model"],
        alias=params["model"],
        include=params["include"],
        keep=params["keep"],
        chunk_rows=params["chunk_rows"],
    )
