"""What traces cost a request, in processor time: `make bench-tracing`.

The middleware is around an application that does nothing, so that all of the difference to none is its own. The processor time of the
whole process counts, with that of the thread that sends; the collector is a process of its own, which takes everything.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hearth.cli import values
from hearth.cli.application import run_program
from hearth.cli.tables import make_console, make_table
from hearth.tracing.export import exported_spans
from hearth.tracing.spans import span
from hearth.tracing.traceparent import new_trace
from hearth_api.middleware.traces import Traces

_ROUNDS = 7
_COLLECTOR = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"""
_CALLER = new_trace()
_KEPT, _NOT_KEPT = str(_CALLER._replace(sampled=True)), str(_CALLER)
_Headers = list[tuple[bytes, bytes]]


def main(requests: Annotated[int, values.whole("Requests of a round.")] = 5_000) -> None:
    """Print the processor time of a request for each way, less that of an application without traces."""
    common: _Headers = [
        (b"host", b"127.0.0.1"),
        (b"content-type", b"application/json"),
        (b"content-length", b"300"),
        (b"x-request-id", b"a"),
    ]
    named = [*common, (b"traceparent", _KEPT.encode())]
    not_kept = [*common, (b"traceparent", _NOT_KEPT.encode())]
    plain, traced = _respond, Traces(_respond)
    table = make_table("Processor time of a request, µs", "traces", "caller", "median of rounds", "lowest to highest")

    def add(what: str, caller: str, app: ASGIApp, headers: _Headers, less: float = 0.0) -> float:
        found = sorted(_round(app, headers, requests) - less for _ in range(_ROUNDS))
        table.add_row(what, caller, f"{found[_ROUNDS // 2]:.1f}", f"{found[0]:.1f} to {found[-1]:.1f}")
        return found[_ROUNDS // 2]

    base = add("none (the whole request)", "", plain, common)
    add("off", "names none", traced, common, base)
    add("off", "names one", traced, named, base)
    with _collector():
        for share in ("0", "0.01", "1"):
            os.environ |= {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": share}
            with exported_spans("benchmark"):
                add(f"{float(share):.0%} of new traces", "names none", traced, common, base)
                if share == "1":
                    add("on", "names one that is not kept", traced, not_kept, base)
                    add("on", "names one that is kept", traced, named, base)
                    add("on, a second span inside", "names one that is kept", Traces(_respond_in_span), named, base)
    make_console().print(table)


@contextmanager
def _collector() -> Iterator[None]:
    """Run a collector, and name it in the environment."""
    with subprocess.Popen([sys.executable, "-c", _COLLECTOR], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # noqa: S101 - for the types
        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{process.stdout.readline().strip()}"
        try:
            yield
        finally:
            process.kill()


async def _respond(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - its interface
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": b"{}"})


async def _respond_in_span(scope: Scope, receive: Receive, send: Send) -> None:
    with span("inner", attributes={"hearth.dataset": "employees"}):
        await _respond(scope, receive, send)


def _round(app: ASGIApp, headers: Sequence[tuple[bytes, bytes]], requests: int) -> float:
    """Return the processor time of a request in microseconds."""

    async def run() -> float:
        began = time.process_time()
        for _ in range(requests):
            await app({"type": "http", "method": "POST", "path": "/predict", "headers": headers, "state": {}}, _receive, _send)
        return time.process_time() - began

    return asyncio.run(run()) / requests * 1e6


async def _receive() -> Message:
    return {"type": "http.request"}


async def _send(_: Message) -> None:
    """Take what a server would send."""


if __name__ == "__main__":
    run_program(main)
