"""Where the results of a batch are told of beside its output: the predictions store, for drift, and MLflow."""

from collections.abc import Sequence

from hearth.batch.summary import FILE_NAME, Summary
from hearth.contracts import Contract
from hearth.contracts.experiment_names import batch_experiment
from hearth.contracts.names import class_metric_names
from hearth.predictions import Prediction, PredictionStore
from hearth.registry import BatchRun, Registry

_LONGEST_PARAM = 500


def store_sample(url: str, sample: Sequence[Prediction]) -> None:
    """Store the sample of a batch; what is stored already stays as it is.

    Raises:
        PredictionsUnavailable: the store does not answer.
    """
    with PredictionStore(url, max_connections=1) as store:
        store.put(sample)


def log_summary(registry: Registry, contract: Contract, summary: Summary) -> str:
    """Log a batch in MLflow, and return the id of its run.

    Raises:
        RegistryError: MLflow does not answer, or refuses.
    """
    names = class_metric_names(contract.target.classes)
    labels = {f"predicted_{name}": summary.labels.get(label, 0) for name, label in zip(names, contract.target.classes, strict=True)}
    run = BatchRun(
        dataset=summary.dataset,
        version=summary.version,
        id=summary.id,
        summary=describe(summary),
        params={
            "version": summary.version,
            "alias": summary.alias,
            "output": summary.output[:_LONGEST_PARAM],
            "include": ", ".join(summary.include),
        },
        metrics={
            "objects": summary.objects,
            "objects_with_problems": len(summary.problems),
            "rows": summary.rows,
            "scored": summary.scored,
            "rejected": summary.rejected,
            "seconds": summary.seconds,
            "rows_per_second": summary.rows_per_second,
            "sampled": summary.sampled,
            **labels,
        },
        files={FILE_NAME: summary.to_json()},
    )
    return registry.log_batch(batch_experiment(contract), run)


def describe(summary: Summary) -> str:
    """Return a summary as a sentence."""
    objects = f"{summary.objects} object{'s' if summary.objects != 1 else ''}"
    text = f"{summary.scored:,} of {summary.rows:,} rows of {objects} scored by version {summary.version} ({summary.family})"
    return f"{text}, {summary.rejected:,} rejected, in {summary.seconds:.1f} s ({summary.rows_per_second:,.0f} rows/s): {summary.output}"
