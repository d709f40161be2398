"""Time what a new user waits for: a clean clone's `make demo`, the same again, and `make test`; prints each step.

    python benchmarks/demo.py [--real path/to/enriched_employee_dataset.csv] [--test]

The clone gets an empty environment but for PATH and the package cache, whose folder `uv cache dir` names: a warm cache is part of the
question.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> int:
    """Run the steps in a clone of the last commit and print their times; 1 if one fails."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--real", type=Path, help="a real data file to drop into data/employees before the demo")
    parser.add_argument("--test", action="store_true", help="also time `make test`")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hearth bench ") as folder:  # with a space, as some users have
        clone, home = Path(folder, "hearth"), Path(folder, "home")
        home.mkdir()
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)  # noqa: S607 - git from the PATH
        if options.real:
            shutil.copy(options.real, clone / "data" / "employees" / options.real.name)
        environment = _bare_environment(home)
        targets = ["setup", "demo", "down", "demo", "down", *(["setup-dev", "test"] if options.test else [])]
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
    return int(any(status for _, _, status in results))


def _bare_environment(home: Path) -> dict[str, str]:
    cache = subprocess.run([".venvs/uv/bin/uv", "cache", "dir"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    certificates = {name: os.environ[name] for name in ("SSL_CERT_FILE", "PIP_CERT") if name in os.environ}
    return {"HOME": str(home), "PATH": os.environ["PATH"], **certificates, **({"UV_CACHE_DIR": cache} if cache else {})}


if __name__ == "__main__":
    sys.exit(main())
