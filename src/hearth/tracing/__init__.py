"""One id from a caller's request to what was stored, labelled and trained from it; docs/tracing.md.

context       which trace the running code belongs to; what logs, stores and clients read
traceparent   the W3C form in which an id comes in and goes out
spans         what a process did for a trace, begun and ended by its code
export        sends spans to a collector, if the environment names one
otel, otlp    OpenTelemetry's part of that, imported only then
"""
