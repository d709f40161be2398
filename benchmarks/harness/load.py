"""Load on an HTTP service with wrk, whose cost per request is small beside any contender's."""

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_SCRIPT = """
local requests, turn = {}, 0
function init(args)
  for line in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format("POST", nil, {["content-type"] = "application/json"}, line)
  end
end
function request()
  turn = turn % #requests + 1
  return requests[turn]
end
function done(summary, latency, _)
  local errors = summary.errors
  print(string.format('{"requests": %d, "microseconds": %d, "refused": %d, "broken": %d, "p50": %f, "p99": %f}',
    summary.requests, summary.duration, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""


class LoadError(Exception):
    """The load could not be made, or a service failed under it."""


@dataclass(frozen=True)
class Load:
    """The load that a service served: requests a second, and latencies in milliseconds."""

    per_second: float
    p50: float
    p99: float


def find_wrk() -> str:
    """Return the path of wrk.

    Raises:
        LoadError: it is not installed; a benchmark says so before it starts a server.
    """
    if wrk := shutil.which("wrk"):
        return wrk
    raise LoadError("wrk, which puts the load on the service, is not installed: `apt-get install wrk`, `brew install wrk`.")


def measure(url: str, bodies: Sequence[bytes], seconds: float, connections: int = 16) -> Load:
    """Send the bodies in turn over keep-alive connections.

    Raises:
        LoadError: wrk is not installed, or a request failed.
    """
    wrk = find_wrk()
    with tempfile.TemporaryDirectory() as folder:
        script, lines = Path(folder, "load.lua"), Path(folder, "bodies")
        script.write_text(_SCRIPT, "utf-8")
        lines.write_bytes(b"\n".join(bodies) + b"\n")  # JSON has no line breaks of its own
        command = [wrk, "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "30s", "-s", str(script), url, "--", str(lines)]
        process = subprocess.run(command, capture_output=True, text=True, check=False)
    match = re.search(r"^\{.*\}$", process.stdout, re.MULTILINE)
    if process.returncode != 0 or match is None:
        raise LoadError(f"wrk failed: {process.stdout}{process.stderr}")
    report = json.loads(match.group())
    if report["refused"] or report["broken"] or not report["requests"]:
        raise LoadError(f"of {report['requests']} requests to {url} {report['refused']} were refused and {report['broken']} broke")
    return Load(report["requests"] / report["microseconds"] * 1e6, report["p50"] / 1e3, report["p99"] / 1e3)
