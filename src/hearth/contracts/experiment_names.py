"""How MLflow's experiments are called: each holds the runs of one data set and one purpose.

A data set whose DAGs of training go without a prefix has experiments without one too.
"""

from typing import TYPE_CHECKING

from hearth.contracts.airflow_names import TRAIN

if TYPE_CHECKING:
    from hearth.contracts.model import Contract


def etl_experiment(contract: "Contract") -> str:
    """Return where the ETL logs each processed version of the data."""
    return f"{contract.name}_etl"


def trials_experiment(contract: "Contract", family: str) -> str:
    """Return where the searches of a family are logged, with their trials."""
    return _prefixed(contract, f"{family}_optuna")


def final_experiment(contract: "Contract") -> str:
    """Return where the final runs are logged, one for each version."""
    return _prefixed(contract, "optimized_models")


def pipeline_experiment(contract: "Contract") -> str:
    """Return where `mlops_pipeline` logs its comparisons of families."""
    return f"{contract.name}_mlops_pipeline"


def monitor_experiment(contract: "Contract") -> str:
    """Return where checks that found drift are logged."""
    return f"{contract.name}_monitor"


def batch_experiment(contract: "Contract") -> str:
    """Return where batches that were scored are logged."""
    return f"{contract.name}_batch"


def _prefixed(contract: "Contract", name: str) -> str:
    return name if TRAIN in contract.dags_without_prefix else f"{contract.name}_{name}"
