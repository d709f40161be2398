"""Pipeline: DAGs, tasks, trials, and the data that they published."""

from deploy.monitoring.dashboards.panels import build, lines, number, rows

PANELS = (
    number("DAGs whose last run failed", "short", "sum(hearth_dag_last_run_failed) or vector(0)"),
    number("Runs that ended", "short", "sum(increase(hearth_dag_runs_total[1h]))", "in the last hour"),
    number("Under way", "short", "count(hearth_dag_running_seconds > 0) or vector(0)", "DAGs with a run that waits or runs"),
    number("Files that cannot be read", "short", "max(hearth_dag_import_errors)"),
    lines("Duration of the last run", "s", {"{{dag}}": "hearth_dag_last_run_seconds"}),
    lines("Runs that ended", "short", {"{{dag}} {{state}}": "sum by (dag, state) (increase(hearth_dag_runs_total[15m])) > 0"}),
    lines("Age of what runs", "s", {"{{dag}}": "hearth_dag_running_seconds > 0"}),
    lines(
        "Tasks that failed",
        "short",
        {"{{dag}} {{task}}": "sum by (dag, task) (increase(hearth_task_failures_total[15m])) > 0"},
        "each try counts",
    ),
    rows("Slowest tasks", "s", "topk(15, max by (dag, task) (hearth_task_last_seconds))", "duration of the last try"),
    rows("Last success", "s", "time() - max by (dag) (hearth_dag_last_success_timestamp_seconds)", "seconds ago"),
    lines(
        "Trials that ended",
        "short",
        {"{{dataset}} {{family}} {{state}}": "sum by (dataset, family, state) (increase(hearth_trials_total[15m])) > 0"},
        "of searches for parameters",
    ),
    lines(
        "Score of the last trial",
        "short",
        {"{{dataset}} {{family}} {{metric}}": "hearth_trial_last_score"},
        "mean of the folds; pruned trials have none",
    ),
    rows("Data that were published last", "short", "max by (dataset, part) (hearth_published_rows)", "rows"),
    lines("Rows of the published data", "short", {"{{dataset}} {{part}}": "hearth_published_rows"}),
)
DASHBOARD = build("hearth-pipeline", "Hearth: Pipeline", "DAGs, tasks, trials, and the data that they published", PANELS)
