"""What the exporter measures, as Prometheus' metrics: a probe returns readings, and names and meanings are here."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

# Name of a metric: its labels and its meaning. docs/metrics.md lists the same names.
GAUGES: dict[str, tuple[tuple[str, ...], str]] = {
    "hearth_server_up": (("server",), "1 while a server answers, else 0."),
    "hearth_server_check_seconds": (("server",), "Seconds that the last check of a server took."),
    "hearth_airflow_component_up": (("component",), "1 while a component of Airflow is healthy, else 0."),
    "hearth_dag_import_errors": ((), "Files of DAGs that Airflow cannot read."),
    "hearth_dag_last_run_failed": (("dag",), "1 while the last run of a DAG that ended has failed, else 0."),
    "hearth_dag_last_run_seconds": (("dag",), "Duration of the last run of a DAG that ended."),
    "hearth_dag_last_success_timestamp_seconds": (("dag",), "End of the last successful run of a DAG, in seconds since 1970."),
    "hearth_dag_next_run_timestamp_seconds": (("dag",), "When a DAG with a schedule should run next, in seconds since 1970."),
    "hearth_dag_running_seconds": (("dag",), "Age of the oldest run of a DAG that waits or runs; 0: none does."),
    "hearth_backup_last_success_timestamp_seconds": ((), "End of the last backup by a schedule; while there is none, the first look."),
    "hearth_task_last_seconds": (("dag", "task"), "Duration of the last try of a task that ended."),
    "hearth_trial_last_score": (("dataset", "family", "metric"), "Mean score of the folds of the last trial that was not pruned."),
    "hearth_published_rows": (("dataset", "part"), "Rows of the data that the ETL published last: read, rejected, train, test."),
    "hearth_valkey_memory_bytes": ((), "Memory that Valkey uses."),
    "hearth_valkey_clients": ((), "Connections to Valkey."),
    "hearth_valkey_write_problem": ((), "1 while Valkey cannot write its file, else 0."),
    "hearth_postgres_connections": (("database",), "Connections to a database of PostgreSQL."),
    "hearth_postgres_max_connections": ((), "Connections that PostgreSQL accepts, at most."),
    "hearth_predictions_store_bytes": ((), "Size of the database of predictions."),
    "hearth_disk_free_bytes": (("place",), "Free bytes of the disk that holds the files of the stack."),
    "hearth_disk_size_bytes": (("place",), "Size of the disk that holds the files of the stack."),
    "hearth_certificate_expiry_timestamp_seconds": (("server",), "When the certificate of a server expires, in seconds since 1970."),
}
COUNTERS: dict[str, tuple[tuple[str, ...], str]] = {
    "hearth_dag_runs": (("dag", "state"), "Runs of a DAG that ended since the exporter started, by state."),
    "hearth_trials": (("dataset", "family", "state"), "Trials that ended since the exporter started: finished, pruned, failed."),
    "hearth_task_failures": (("dag", "task"), "Tries of tasks that failed since the exporter started."),
}


@dataclass(frozen=True)
class Reading:
    """A value of a metric; `labels` are in the order of its table."""

    name: str
    value: float
    labels: tuple[str, ...] = ()


def families(readings: Iterable[Reading]) -> Iterator[Metric]:
    """Return the metrics of all readings.

    Raises:
        KeyError: a reading has a name that is in no table.
    """
    found: dict[str, GaugeMetricFamily | CounterMetricFamily] = {}
    for reading in readings:
        family = found.get(reading.name)
        if family is None:
            kind, table = (CounterMetricFamily, COUNTERS) if reading.name in COUNTERS else (GaugeMetricFamily, GAUGES)
            labels, meaning = table[reading.name]
            family = found[reading.name] = kind(reading.name, meaning, labels=labels)
        family.add_metric(list(reading.labels), reading.value)
    yield from found.values()
