"""Migrate Airflow's database and write its login file: `python -m deploy.embedded.airflow_database`.

Asking Airflow whether a migration is needed takes as long as migrating. A stamp in its state folder has the version instead.
"""

import json
import os
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

from deploy.embedded.launcher import SettingError, setting

_AIRFLOW_PYTHON = Path(".venvs/airflow/bin/python")


def installed_version() -> str:
    """Read the version of Airflow in its environment without starting it."""
    packages = [str(path) for path in _AIRFLOW_PYTHON.parents[1].glob("lib/python3*/site-packages")]
    for distribution in distributions(name="apache-airflow-core", path=packages):
        return distribution.version
    raise SettingError(f"Airflow is not installed in {_AIRFLOW_PYTHON.parents[1]}: run `make setup`.")


def write_login() -> None:
    """Write the file that Airflow's simple login reads; a new password in the settings takes effect at the next start."""
    file = Path(setting("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.write_text(json.dumps({setting("HEARTH_AIRFLOW_USER"): setting("HEARTH_AIRFLOW_PASSWORD")}), encoding="utf-8")


def main() -> int:
    write_login()
    stamp, version = Path(setting("AIRFLOW_HOME"), "migrated-to"), installed_version()
    if stamp.exists() and stamp.read_text(encoding="utf-8") == version:
        return 0
    code = subprocess.run([_AIRFLOW_PYTHON, "-P", "deploy/airflow_schema.py"], check=False, env=os.environ).returncode
    if code == 0:
        code = subprocess.run([_AIRFLOW_PYTHON, "-P", "-m", "airflow", "db", "migrate"], check=False, env=os.environ).returncode
    if code == 0:
        stamp.write_text(version, encoding="utf-8")
    return code


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SettingError as error:
        sys.exit(f"airflow-database: {error}")
