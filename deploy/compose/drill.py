"""Restart every service of the running Compose stack in turn and check the stack each time: `make compose-drill`.

After each restart the stack must become healthy by itself, and the smoke test, without trainings, must pass. It has to pass before the
first restart too: without a trained model there is nothing to predict with.
"""

import json
import os
import subprocess
import sys
import time

_LIMIT_SECONDS = 300


def main() -> int:
    """Restart the named services, or all; 0 if the stack works before the first and after each."""
    if problem := _smoke():
        print(f"Nothing was restarted, because the smoke test fails before the first restart:\n{problem}")
        return 1
    failures = []
    expected = {container["Name"] for container in _containers()}
    for service in sys.argv[1:] or running_services():
        start = time.monotonic()
        _compose("restart", service)
        problem = _wait_until_healthy(expected)
        seconds = time.monotonic() - start
        if not problem:
            problem = _smoke()
        print(f"{service:<24} healthy after {seconds:5.1f} s   {'FAILED' if problem else 'smoke test passed'}", flush=True)
        if problem:
            print(problem)
            failures.append(service)
    return 1 if failures else 0


def running_services() -> list[str]:
    """Return the names of the running services."""
    return sorted({container["Service"] for container in _containers()})


def _smoke() -> str:
    """Return the output of a smoke test that fails; empty if it passes."""
    command = [*_command(), "run", "--rm", "-T", "smoke", "--skip-training"]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    return process.stdout + process.stderr if process.returncode else ""


def _wait_until_healthy(expected: set[str]) -> str:
    """Return the containers that are not healthy in time; empty if all are."""
    deadline = time.monotonic() + _LIMIT_SECONDS
    while True:
        status = {container["Name"]: container["Status"] for container in _containers()}
        unhealthy = [f"{name}: {status.get(name, 'not running')}" for name in sorted(expected) if "(healthy)" not in status.get(name, "")]
        if not unhealthy:
            return ""
        if time.monotonic() > deadline:
            return f"not healthy after {_LIMIT_SECONDS} seconds: {', '.join(unhealthy)}"
        time.sleep(1)


def _containers() -> list[dict[str, str]]:
    lines = _compose("--profile", "all", "ps", "--format", "json").splitlines()
    return [json.loads(line) for line in lines]


def _compose(*arguments: str) -> str:
    return subprocess.run([*_command(), *arguments], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


def _command() -> list[str]:
    # As the Makefile does it: with other images, a smoke test would start services anew
    files = [name for name in (".env", os.environ.get("IMAGES", ""), ".env.local") if os.path.exists(name)]  # noqa: PTH110 - names for a command line
    return ["docker", "compose", *(part for name in files for part in ("--env-file", name))]


if __name__ == "__main__":
    sys.exit(main())
