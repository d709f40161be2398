"""Models and drift: which versions answer, whether what is served is still like what they learnt, and how good they are thought to be."""

from deploy.monitoring.dashboards.panels import build, lines, number, rows

_UNUSUAL = (
    "sum by (dataset, alias) (rate(hearth_records_unusual_total[15m])) / "
    "(sum by (dataset, alias) (rate(hearth_records_compared_total[15m])) > 0)"
)
_AGREED = (
    "sum by (dataset, challenger_version) (hearth_challenger_agreed_total) / "
    "(sum by (dataset, challenger_version) (hearth_challenger_compared_total) > 0)"
)
PANELS = (
    number("Aliases that serve", "short", 'count(max by (dataset, alias) (hearth_model_serving{job="rest"}))'),
    number("Aliases with a problem", "short", "sum(max by (dataset, alias) (hearth_model_alias_problem))", "`GET /models` has the reason"),
    number("Worst level of drift", "short", "max(hearth_drift_level)", "-1 not enough, 0 ok, 1 warn, 2 drift, 3 act"),
    number("Age of the oldest check", "s", "max(time() - hearth_drift_check_timestamp_seconds)"),
    rows("What serves", "short", 'max by (dataset, alias, version) (hearth_model_serving{job="rest"})'),
    lines(
        "Champions", "short", {"{{dataset}} v{{version}}": 'max by (dataset, version) (hearth_model_serving{alias="champion",job="rest"})'}
    ),
    lines(
        "Moves of aliases",
        "short",
        {"{{dataset}}@{{alias}} {{outcome}}": "sum by (dataset, alias, outcome) (increase(hearth_model_reloads_total[15m])) > 0"},
    ),
    lines("Level of drift", "short", {"{{dataset}} v{{version}}": "hearth_drift_level + 1"}, "0 not enough, 1 ok, 2 warn, 3 drift, 4 act"),
    lines(
        "Drift by column",
        "short",
        {"{{dataset}} {{column}}": "topk(10, max by (dataset, column) (hearth_drift_psi))"},
        "population stability index beyond chance, the ten largest",
    ),
    rows("Columns that have moved", "short", "max by (dataset, version, column) (hearth_drift_column_level) > 0", "1 warn, 2 drift, 3 act"),
    lines("Quality, estimated without labels", "short", {"{{dataset}} v{{version}} {{metric}}": "hearth_estimated_quality"}),
    lines(
        "Records that break the contract",
        "percentunit",
        {"{{dataset}}": "max by (dataset) (hearth_drift_refused_share)"},
        "of the stream, beside the window",
    ),
    lines(
        "Unlike the train set",
        "percentunit",
        {"{{dataset}}@{{alias}}": _UNUSUAL},
        "about 0.5 % where nothing has changed",
    ),
    lines(
        "Challenger agrees",
        "percentunit",
        {"{{dataset}} v{{challenger_version}}": _AGREED},
        "with the champion",
    ),
    lines(
        "Quality, from labels",
        "short",
        {
            "{{dataset}} {{subject}} v{{version}} {{metric}}": "max by (dataset, subject, version, metric) (hearth_quality)",
            "{{dataset}} {{subject}} v{{version}} lowest": "max by (dataset, subject, version) (hearth_quality_low)",
        },
        "with the lower end of its interval of 95 %",
    ),
    rows("What labels say of the champion", "short", "max by (dataset, version) (hearth_quality_level)", "-1 not enough, 0 ok, 1 fallen"),
    lines(
        "Evidence that quality has fallen",
        "short",
        {
            "{{dataset}} {{subject}}": "max by (dataset, subject) (hearth_quality_evidence)",
            "{{dataset}} alarm": "max by (dataset) (hearth_quality_evidence_threshold)",
        },
    ),
    lines(
        "Answers that have a label",
        "percentunit",
        {"{{dataset}} {{subject}}": "max by (dataset, subject) (hearth_quality_coverage)"},
        "of those that are old enough",
    ),
    lines(
        "Share of a canary",
        "percentunit",
        {"{{dataset}} v{{version}}": "max by (dataset, version) (hearth_rollout_share)"},
        "of the champion's requests",
    ),
    lines(
        "Errors of a canary",
        "cps",
        {"{{dataset}} v{{version}}": "sum by (dataset, version) (rate(hearth_rollout_errors_total[5m]))"},
        "the champion answered in its place",
    ),
    rows("Rollouts that run", "short", "max by (dataset, version, state) (hearth_rollout_state) == 1"),
    lines("Labels that came in", "cps", {"{{dataset}} {{outcome}}": "sum by (dataset, outcome) (rate(hearth_labels_received_total[15m]))"}),
)
DASHBOARD = build(
    "hearth-models", "Hearth: Models and drift", "Which versions answer, and whether the world is still as they learnt it", PANELS
)
