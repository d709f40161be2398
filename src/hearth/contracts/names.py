"""How the DAGs of a data set are called: the DAG files name them, and error messages say which to run."""

ETL = "etl_mlflow"
LOAD = "load_data"
CLEAR = "clear_data"

# Whose DAGs go without the name of the data set: those of the first data set that had such a DAG.
_FIRST = {LOAD: "covertype", CLEAR: "covertype"}
_FIRST_OF_ALL = "employees"


def dag_id(dataset: str, name: str) -> str:
    """Return the id of a data set's DAG: both names, as in `heart_etl_mlflow`, or that of the DAG alone, as in `etl_mlflow`."""
    return name if dataset == _FIRST.get(name, _FIRST_OF_ALL) else f"{dataset}_{name}"
