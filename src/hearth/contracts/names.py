"""How what Airflow keeps of a data set is called: the DAG files name it, and messages say which DAG to run."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from hearth.errors import InvalidContract

if TYPE_CHECKING:
    from pathlib import Path

    from hearth.contracts.model import Contract

Dag = Literal["etl_mlflow", "train", "mlops_pipeline", "load_data", "clear_data"]

ETL: Dag = "etl_mlflow"
TRAIN: Dag = "train"
PIPELINE: Dag = "mlops_pipeline"
LOAD: Dag = "load_data"
CLEAR: Dag = "clear_data"


def dag_id(contract: "Contract", dag: Dag, family: str = "") -> str:
    """Return the id of a data set's DAG, as in `heart_etl_mlflow` or `heart_train_svm`; without the prefix where the contract says so."""
    return _prefixed(contract, dag, f"{dag}_{family}" if family else dag)


def variable_name(contract: "Contract", name: str) -> str:
    """Return the name of an Airflow Variable that `mlops_pipeline` sets; its prefix is that of the DAG."""
    return _prefixed(contract, PIPELINE, name)


def require_distinct_dags(contracts: Sequence["Contract"], folder: "Path") -> None:
    """Raise InvalidContract if two data sets want the same DAG without prefix."""
    owners: dict[str, str] = {}
    for contract in contracts:
        for dag in contract.dags_without_prefix:
            owner = owners.setdefault(dag, contract.name)
            if owner != contract.name:
                path = folder / contract.name / "contract.yaml"
                raise InvalidContract(path, "dags_without_prefix", f"names {dag!r}, as {owner!r} does: only one data set can have it")


def _prefixed(contract: "Contract", dag: Dag, name: str) -> str:
    return name if dag in contract.dags_without_prefix else f"{contract.name}_{name}"
