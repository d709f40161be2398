"""Stream: what waits, how long, and what became of it."""

from deploy.monitoring.dashboards.panels import build, lines, number

PANELS = (
    number("Waiting", "short", "hearth:stream_lag:max", "messages that no worker has read"),
    number("Oldest", "s", "hearth:stream_oldest_seconds:max", "age of the oldest message that is not settled"),
    number("Settled a second", "cps", "sum(rate(hearth_stream_messages_total[5m]))"),
    number("Dead letters", "short", "max(hearth_stream_dead_length)", "in the stream of dead letters: `hearth replay` lists them"),
    lines("Waiting and pending", "short", {"waiting": "max(hearth_stream_lag)", "pending": "max(hearth_stream_pending)"}),
    lines("Age of the oldest message", "s", {"oldest": "max(hearth_stream_oldest_seconds)"}),
    lines("Messages", "cps", {"{{instance}}": "sum by (instance) (rate(hearth_stream_messages_total[5m]))"}, "settled, by worker"),
    lines(
        "Answers by class", "cps", {"{{dataset}} {{label}}": "sum by (dataset, label) (rate(hearth_stream_answers_total[5m]))"}, "records"
    ),
    lines("Dead letters by error", "cps", {"{{error}}": "sum by (error) (rate(hearth_stream_dead_letters_total[15m]))"}),
    lines(
        "Delivered again",
        "cps",
        {
            "delivered again": "sum(rate(hearth_stream_redelivered_total[15m]))",
            "stored already": "sum(rate(hearth_stream_stored_already_total[15m]))",
        },
        "after a restart, or from another worker",
    ),
    lines(
        "From arrival to commit",
        "s",
        {
            "p50": "histogram_quantile(0.5, sum by (le) (rate(hearth_stream_commit_seconds_bucket[5m])))",
            "p99": "histogram_quantile(0.99, sum by (le) (rate(hearth_stream_commit_seconds_bucket[5m])))",
        },
    ),
    lines(
        "Where the time goes",
        "percentunit",
        {"{{stage}}": "sum by (stage) (rate(hearth_stream_stage_seconds_total[5m]))"},
        "of one processor",
    ),
    lines("Length", "short", {"not settled": "max(hearth_stream_length)", "dead letters": "max(hearth_stream_dead_length)"}),
    lines("Waits for a server", "short", {"{{instance}} {{server}}": "hearth_stream_waits"}, "1 while a worker waits"),
)
DASHBOARD = build("hearth-stream", "Hearth: Stream", "What waits in the stream, how long, and what became of it", PANELS)
