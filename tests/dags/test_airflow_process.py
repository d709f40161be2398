"""The process that tasks are forked from: what it imports before Airflow, no task imports again, and nothing warns."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import airflow_home

# As deploy/airflow_process.py does, but instead of Airflow's command a task's imports follow.
PROGRAM = """
import importlib, json, pkgutil, sys, warnings
from deploy import airflow_process

sys.argv[1:] = ["version"]
airflow_process.main()
libraries = {name.partition(".")[0] for name in sys.modules}
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import hearth.jobs, hearth.training

    for package in (hearth.jobs, hearth.training):
        for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
            importlib.import_module(module.name)
new = {name.partition(".")[0] for name in sys.modules} - libraries - {"hearth"} - set(sys.stdlib_module_names)
print(json.dumps({"new": sorted(new), "warnings": [str(entry.message) for entry in caught]}))
"""


def run(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**airflow_home.environment(folder), "PYTHONPATH": str(airflow_home.ROOT), "MLFLOW_DISABLE_TELEMETRY": "true"}
    return subprocess.run([sys.executable, "-P", "-c", program], env=environment, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    ended = run(PROGRAM, tmp_path_factory.mktemp("airflow"))
    assert ended.returncode == 0, ended.stderr
    result: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return result


def test_a_task_imports_no_library_that_the_process_has_not_imported(found: dict[str, Any]) -> None:
    assert found["new"] == []


def test_the_imports_of_a_task_warn_about_nothing(found: dict[str, Any]) -> None:
    assert found["warnings"] == []


def test_the_process_runs_the_command_of_airflow(tmp_path: Path) -> None:
    environment = {**airflow_home.environment(tmp_path), "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [sys.executable, "-P", str(airflow_home.ROOT / "deploy/airflow_process.py"), "version"]

    ended = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1].startswith("3.")


def test_where_airflow_was_imported_first_as_on_macos_its_deprecated_names_do_not_warn(tmp_path: Path) -> None:
    program = """
import warnings
import airflow.sdk.execution_time.task_runner
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import hearth.registry.model_files
print([str(entry.message) for entry in caught if "airflow" in str(entry.message)])
"""
    ended = run(program, tmp_path)

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "[]", os.linesep.join(ended.stdout.splitlines()[-3:])
