"""How the DAGs of a data set are called: the DAG files name them, and error messages say which to run."""

ETL = "etl_mlflow"

_UNPREFIXED = "employees"


def dag_id(dataset: str, name: str) -> str:
    """Return the id of a data set's DAG; those of the first data set go without its name, as `etl_mlflow` or `train_knn`."""
    return name if dataset == _UNPREFIXED else f"{dataset}_{name}"
