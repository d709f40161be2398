"""The exporter, with one log line when a collector stops taking spans and one when it takes them again. Imported only where it is used."""

import logging
from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

_LOGGER = logging.getLogger(__name__)
_LIBRARIES = ("opentelemetry.exporter.otlp", "opentelemetry.sdk._shared_internal")  # they log every retry and every span that is dropped


class QuietExporter(SpanExporter):
    """Sends spans where the environment says. Raises ValueError when it is made if the environment cannot be read."""

    def __init__(self) -> None:
        for name in _LIBRARIES:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._exporter = OTLPSpanExporter()
        self._lost = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._exporter.export(spans)
        except Exception as error:  # noqa: BLE001 - the thread that sends goes on, whatever an address or a proxy does
            result, reason = SpanExportResult.FAILURE, type(error).__name__
        else:
            reason = "it does not take them"
        if result is SpanExportResult.SUCCESS:
            if self._lost:
                _LOGGER.info("spans are sent again; %d or more were lost", self._lost)
            self._lost = 0
        else:
            if not self._lost:
                _LOGGER.warning("spans are lost, because they cannot be sent to the collector: %s", reason)
            self._lost += len(spans)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)
