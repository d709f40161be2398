"""Start Prometheus in the foreground: `python -m deploy.embedded.prometheus`. With `find` it only looks for the program, or gets it.

No package of Python carries Prometheus. What is taken: HEARTH_PROMETHEUS_BIN; what PATH has; Debian's package, which is downloaded and
unpacked under the state folder, for which nobody has to be root.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from deploy.embedded.environment import ROOT
from deploy.embedded.launcher import SettingError, become, port_setting, refuse, setting, state_dir
from deploy.monitoring.scrape_config import embedded_config

_REMEDY = (
    "Install it (apt-get install prometheus, brew install prometheus, or unpack a release of github.com/prometheus/prometheus) "
    "and set HEARTH_PROMETHEUS_BIN to the program, unless PATH has it."
)
_DOWNLOAD_SECONDS = 240


def find_program(folder: Path, environment: Mapping[str, str]) -> Path:
    """Return the program; `folder` is where Debian's package is unpacked, if nothing else has it.

    Raises:
        SettingError: there is none, and none can be had; the message says what to do.
    """
    if chosen := environment.get("HEARTH_PROMETHEUS_BIN"):
        if not os.access(chosen, os.X_OK) or Path(chosen).is_dir():
            raise SettingError(f"HEARTH_PROMETHEUS_BIN={chosen} is no program that can be run. {_REMEDY}")
        return Path(chosen).absolute()
    if found := shutil.which("prometheus", path=environment.get("PATH")):
        return Path(found).absolute()
    unpacked = folder / "debian/usr/bin/prometheus"
    if not unpacked.exists():
        _unpack_debian_package(folder, environment)
    return unpacked


def _unpack_debian_package(folder: Path, environment: Mapping[str, str]) -> None:
    lacking = [name for name in ("apt-get", "dpkg") if shutil.which(name, path=environment.get("PATH")) is None]
    if lacking:
        raise SettingError(f"There is no Prometheus here, and no {' and no '.join(lacking)} to get Debian's. {_REMEDY}")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        _run(["apt-get", "download", "prometheus"], temporary, environment)
        [package] = Path(temporary).glob("prometheus_*.deb")
        _run(["dpkg", "-x", str(package), "unpacked"], temporary, environment)
        Path(temporary, "unpacked").rename(folder / "debian")  # whole or not at all


def _run(command: list[str], folder: str, environment: Mapping[str, str]) -> None:
    try:
        ended = subprocess.run(
            command, cwd=folder, env=dict(environment), capture_output=True, text=True, check=False, timeout=_DOWNLOAD_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise SettingError(f"`{' '.join(command)}` has not ended after {_DOWNLOAD_SECONDS} s. {_REMEDY}") from None
    if ended.returncode:
        raise SettingError(f"`{' '.join(command)}` failed: {(ended.stderr or ended.stdout).strip()}. {_REMEDY}")


def write_config(folder: Path, environment: Mapping[str, str]) -> Path:
    """Write the configuration, as JSON, which is YAML; it holds a key, so that only this user can read it."""
    path = folder / "prometheus.yml"
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps(embedded_config(environment, str(ROOT / "deploy/monitoring/rules/*.yml")), indent=1), encoding="utf-8")
    return path


def main(arguments: list[str]) -> None:
    folder = state_dir() / "prometheus"
    remembered = folder / "program"  # what `find` has found may be in the environment of a shell alone
    if arguments == ["find"]:
        program = find_program(folder, os.environ)
        folder.mkdir(parents=True, exist_ok=True)
        remembered.write_text(str(program), encoding="utf-8")
        print(program)
        return
    if not remembered.exists():
        raise SettingError("Nobody has looked for the program yet: start it with `make monitoring`.")
    become(
        [
            Path(remembered.read_text(encoding="utf-8")),
            f"--config.file={write_config(folder, os.environ)}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--storage.tsdb.retention.time={setting('HEARTH_PROMETHEUS_KEEP')}",
            f"--web.listen-address=127.0.0.1:{port_setting('HEARTH_PROMETHEUS_PORT')}",
            "--log.level=warn",
        ]
    )


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except SettingError as error:
        refuse("prometheus", error)
