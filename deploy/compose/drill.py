"""Restart every service of the running Compose stack in turn, and see that the stack still does what it should: `make compose-drill`.

After each restart the stack has to become healthy without a hand, and the smoke test, without trainings, has to pass.
"""

import json
import os
import subprocess
import sys
import time

_LIMIT_SECONDS = 300


def main() -> int:
    """Restart the services that are named, or all; 0 if every time all went well."""
    failed = []
    expected = {container["Name"] for container in _containers()}
    for service in sys.argv[1:] or running_services():
        started = time.monotonic()
        _compose("restart", service)
        problem = _wait_until_healthy(expected)
        healthy = time.monotonic() - started
        if not problem:
            smoke = subprocess.run(
                [*_command(), "run", "--rm", "-T", "smoke", "--skip-training"], capture_output=True, text=True, check=False
            )
            problem = smoke.stdout + smoke.stderr if smoke.returncode else ""
        print(f"{service:<24} healthy after {healthy:5.1f} s   {'FAILED' if problem else 'smoke test passed'}", flush=True)
        if problem:
            print(problem)
            failed.append(service)
    return 1 if failed else 0


def running_services() -> list[str]:
    """Return the names of the services that run."""
    return sorted({container["Service"] for container in _containers()})


def _smoke() -> str:
    """Return what the smoke test complains of; empty if it passes."""
    done = subprocess.run([*_command(), "run", "--rm", "-T", "smoke", "--skip-training"], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode else ""


def _wait_until_healthy(expected: set[str]) -> str:
    """Return which containers were not healthy in time; empty if all are."""
    deadline = time.monotonic() + _LIMIT_SECONDS
    while True:
        status = {container["Name"]: container["Status"] for container in _containers()}
        ill = [f"{name}: {status.get(name, 'not running')}" for name in sorted(expected) if "(healthy)" not in status.get(name, "")]
        if not ill:
            return ""
        if time.monotonic() > deadline:
            return f"not healthy after {_LIMIT_SECONDS} seconds: {', '.join(ill)}"
        time.sleep(1)


def _containers() -> list[dict[str, str]]:
    lines = _compose("--profile", "all", "ps", "--format", "json").splitlines()
    return [json.loads(line) for line in lines]


def _compose(*arguments: str) -> str:
    return subprocess.run([*_command(), *arguments], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


def _command() -> list[str]:
    files = [name for name in (".env", ".env.local") if os.path.exists(name)]  # noqa: PTH110 - names for a command line
    return ["docker", "compose", *(part for name in files for part in ("--env-file", name))]


if __name__ == "__main__":
    sys.exit(main())
