"""Serving: what is asked of REST, GraphQL and gRPC, what they answer, and how fast."""

from deploy.monitoring.dashboards.panels import build, lines, number, rows

_MEDIAN = 'histogram_quantile(0.5, sum by (le, route) (rate(hearth_http_request_seconds_bucket{method="POST",route=~".*/predict"}[5m])))'
PANELS = (
    number("Requests a second", "reqps", "sum(rate(hearth_http_requests_total[5m]))", "REST and GraphQL, the last five minutes"),
    number("Errors of ours", "percentunit", "hearth:http_errors:share5m or vector(0)", "answers to POST with status 5xx"),
    number("Records a second", "cps", "sum(rate(hearth_records_scored_total[5m]))", "scored, over every door but the stream"),
    number("Slowest in a hundred", "s", "max(hearth:predict_seconds:p99_5m)", "p99 of the routes that predict"),
    lines("Requests", "reqps", {"{{route}}": "hearth:http_requests:rate5m > 0"}, "by route"),
    lines(
        "Answers by status", "reqps", {"{{status}}": "sum by (status) (rate(hearth_http_requests_total[5m]))"}, "499: the client left first"
    ),
    lines(
        "Time of predictions",
        "s",
        {
            "{{route}} p50": _MEDIAN,
            "{{route}} p99": "hearth:predict_seconds:p99_5m",
        },
        "from the first byte of a request to the last of its answer",
    ),
    lines(
        "Records by alias and version",
        "cps",
        {"{{dataset}}@{{alias}} v{{version}}": "sum by (dataset, alias, version) (rate(hearth_records_scored_total[5m]))"},
    ),
    lines("gRPC calls", "reqps", {"{{method}} {{code}}": "sum by (method, code) (rate(hearth_grpc_calls_total[5m]))"}),
    lines(
        "Time of gRPC calls",
        "s",
        {
            "{{method}} p50": "histogram_quantile(0.5, sum by (le, method) (rate(hearth_grpc_call_seconds_bucket[5m])))",
            "{{method}} p99": "histogram_quantile(0.99, sum by (le, method) (rate(hearth_grpc_call_seconds_bucket[5m])))",
        },
    ),
    lines(
        "Errors by code",
        "cps",
        {"{{protocol}} {{code}}": "sum by (protocol, code) (rate(hearth_errors_total[5m]))"},
        "the `error` of the answer",
    ),
    lines(
        "Predictions that are stored",
        "cps",
        {
            "stored {{source}}": "sum by (source) (rate(hearth_predictions_stored_total[5m]))",
            "not stored: {{reason}}": 'sum by (reason) (rate(hearth_predictions_not_stored_total{reason!~"off|not_sampled"}[5m]))',
        },
        "docs/metrics.md has the reasons",
    ),
    lines("Predictions that wait to be stored", "short", {"{{job}}": "sum by (job) (hearth_predictions_waiting)"}),
    rows(
        "Slowest routes",
        "s",
        "topk(10, histogram_quantile(0.99, sum by (le, route) (rate(hearth_http_request_seconds_bucket[5m]))))",
        "p99",
    ),
)
DASHBOARD = build("hearth-serving", "Hearth: Serving", "What is asked of REST, GraphQL and gRPC, and what they answer", PANELS)
