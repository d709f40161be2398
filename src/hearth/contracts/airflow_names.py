"""How what Airflow keeps of a data set is called: the DAG files name it, and messages say which DAG to run."""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from hearth.contracts.model import Contract

Dag = Literal["etl_mlflow", "train", "mlops_pipeline", "load_data", "clear_data", "monitor", "retrain", "score_batch"]

ETL: Dag = "etl_mlflow"
TRAIN: Dag = "train"
PIPELINE: Dag = "mlops_pipeline"
LOAD: Dag = "load_data"
CLEAR: Dag = "clear_data"
MONITOR: Dag = "monitor"
RETRAIN: Dag = "retrain"
SCORE_BATCH: Dag = "score_batch"


def dag_id(contract: "Contract", dag: Dag, family: str = "") -> str:
    """Return the id of a data set's DAG, as in `heart_etl_mlflow` or `heart_train_svm`; without the prefix where the contract says so."""
    return _prefixed(contract, dag, f"{dag}_{family}" if family else dag)


def variable_name(contract: "Contract", name: str) -> str:
    """Return the name of an Airflow Variable that `mlops_pipeline` sets; its prefix is that of the DAG."""
    return _prefixed(contract, PIPELINE, name)


def _prefixed(contract: "Contract", dag: Dag, name: str) -> str:
    return name if dag in contract.dags_without_prefix else f"{contract.name}_{name}"
