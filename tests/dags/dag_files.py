"""Modules of the folder of DAG files, which is no package."""

import importlib.util
from types import ModuleType

from tests.support.airflow_home import ROOT


def load(name: str) -> ModuleType:
    """Import a module of `airflow/dags` by its name."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "airflow" / "dags" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
