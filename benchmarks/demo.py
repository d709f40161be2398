"""Time what a new user waits for: a clean clone's `make demo`, the same again, and `make test`; prints each step.

    python benchmarks/demo.py [--real path/to/enriched_employee_dataset.csv] [--test]

The clone gets an empty environment but for PATH and the package cache, whose folder `uv cache dir` names: a warm cache is part of the
question.
"""

import os
import platform
import shutil
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from hearth.cli.application import run_program

ROOT = Path(__file__).parents[1]


def main(
    real: Annotated[Path | None, typer.Option(help="A real data file to copy into data/employees before the demo.")] = None,
    test: Annotated[bool, typer.Option("--test", help="Also time `make test`.")] = False,
) -> None:
    """Time `make demo` of a clean clone of the last commit, twice; the exit code is 1 if a step fails."""
    with tempfile.TemporaryDirectory(prefix="hearth bench ") as folder:  # with a space, as some users have
        clone, home = Path(folder, "hearth"), Path(folder, "home")
        home.mkdir()
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)  # noqa: S607 - git from the PATH
        if real:
            shutil.copy(real, clone / "data" / "employees" / real.name)
        environment = _bare_environment(home)
        targets = ["setup", "demo", "down", "demo", "down", *(["setup-dev", "test"] if test else [])]
        results = []
        try:
            for target in targets:
                started = time.monotonic()
                status = subprocess.run(["make", target], cwd=clone, env=environment, check=False).returncode  # noqa: S607 - make from the PATH
                results.append((target, time.monotonic() - started, status))
                if status != 0:
                    break
        finally:
            subprocess.run(["make", "down"], cwd=clone, env=environment, check=False)  # noqa: S607
    print(f"\n{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}")
    for target, seconds, status in results:
        print(f"make {target:<10} {seconds:7.1f} s{'' if status == 0 else f'   failed with {status}'}")
    raise typer.Exit(int(any(status for _, _, status in results)))


def _bare_environment(home: Path) -> dict[str, str]:
    cache = subprocess.run([".venvs/uv/bin/uv", "cache", "dir"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    certificates = {name: os.environ[name] for name in ("SSL_CERT_FILE", "PIP_CERT") if name in os.environ}
    return {"HOME": str(home), "PATH": os.environ["PATH"], **certificates, **({"UV_CACHE_DIR": cache} if cache else {})}


if __name__ == "__main__":
    run_program(main)
