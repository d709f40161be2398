"""Capture one real trace as JSON, for the picture in docs/tracing.md: `python -m tests.support.trace_capture spans.json`.

A caller queues records over REST, a worker scores and stores them, and the caller says what one of them turned out to be.
"""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from deploy.embedded import temporary_servers
from hearth.predictions.migration import migrate
from hearth.tracing.traceparent import parse_traceparent
from hearth_api.app import create_app
from tests.api.running import running, service_settings
from tests.support.models import FakeRegistry
from tests.support.otlp_sink import otlp_sink
from tests.support.waiting import wait_until
from tests.support.worker_bench import Bench, record


def main() -> None:
    with temporary_servers.postgres() as database, temporary_servers.valkey() as valkey, otlp_sink() as sink:
        os.environ |= {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.url, "OTEL_SERVICE_NAME": "REST and worker, in one process for this picture"}
        migrate(database)
        bench = Bench(valkey, database)
        options = service_settings(predictions_url=database, redis_url=valkey, stream_name=bench.name)
        app = create_app(options, FakeRegistry(champion="3"), checks={})
        with running(app) as client, bench.working(FakeRegistry(champion="3")):
            for number in (1, 2, 3):  # what is loaded at first use is loaded by these
                client.post("/predict_stream", json={"data": [record()]})
                wait_until(lambda number=number: bench.count() == number)  # type: ignore[misc]
                client.post("/feedback", json={"id": "none", "truth": "High", "dataset": "employees"})
            answer = client.post("/predict_stream?batch=10", json={"data": [record(level) for level in range(5)]})
            assert answer.is_success, answer.text
            place = parse_traceparent(answer.headers["traceparent"])
            assert place is not None
            wait_until(lambda: bench.count() == 8 and bench.settled())
            report = {"id": answer.json()["message_ids"][0], "truth": "High"}
            client.post("/feedback", json=report, headers={"traceparent": str(place)})
            wait_until(lambda: len(sink.of_trace(place.trace_id)) >= 8)
        bench.close()
        spans = sink.of_trace(place.trace_id)
    for span in sorted(spans, key=lambda span: span.start):
        print(span.service, span.name, span.attributes)  # noqa: T201 - a program for people
    text = json.dumps([asdict(span) for span in spans]).replace(bench.name, "records")
    Path(sys.argv[1]).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
