"""Stack: servers, memory, disk and connections."""

from deploy.monitoring.dashboards.panels import build, lines, number, rows

PANELS = (
    number("Processes that answer", "short", "sum(up)", "that have metrics of their own"),
    number("Servers that are away", "short", "count(hearth_server_up == 0) or vector(0)", "as the exporter sees them"),
    number("Free disk", "percentunit", "min(hearth_disk_free_bytes / hearth_disk_size_bytes)"),
    number(
        "PostgreSQL's connections",
        "percentunit",
        "sum(hearth_postgres_connections) / max(hearth_postgres_max_connections)",
        "of what it accepts",
    ),
    rows("Servers", "short", "max by (server) (hearth_server_up)", "1: it answers"),
    lines("Time of a check", "s", {"{{server}}": "hearth_server_check_seconds"}),
    lines("Memory of our processes", "bytes", {"{{job}} {{instance}}": "process_resident_memory_bytes"}),
    lines(
        "Processor time of our processes",
        "percentunit",
        {"{{job}} {{instance}}": "rate(process_cpu_seconds_total[5m])"},
        "of one processor",
    ),
    lines("Open files", "short", {"{{job}} {{instance}}": "process_open_fds"}),
    lines("Disk", "bytes", {"free": "min(hearth_disk_free_bytes)", "size": "max(hearth_disk_size_bytes)"}),
    lines("Connections to PostgreSQL", "short", {"{{database}}": "hearth_postgres_connections"}),
    lines("Size of the predictions store", "bytes", {"predictions": "hearth_predictions_store_bytes"}),
    lines("Memory of Valkey", "bytes", {"used": "hearth_valkey_memory_bytes"}),
    lines("Connections to Valkey", "short", {"clients": "hearth_valkey_clients"}),
    rows("Alerts that are open", "short", "max by (kind, severity) (hearth_alerts_open) > 0", "in Hearth's own list"),
    lines(
        "Alerts that were sent",
        "short",
        {"{{channel}} {{outcome}}": "sum by (channel, outcome) (increase(hearth_alert_deliveries_total[15m]))"},
    ),
    rows("Components of Airflow", "short", "max by (component) (hearth_airflow_component_up)", "1: healthy"),
    rows("Days until certificates expire", "d", "(min by (server) (hearth_certificate_expiry_timestamp_seconds) - time()) / 86400"),
)
DASHBOARD = build("hearth-stack", "Hearth: Stack", "Servers, memory, disk and connections", PANELS)
