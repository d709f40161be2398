"""Versions in a real MLflow that are changed for a test."""

import re

from mlflow import MlflowClient


def remake(client: MlflowClient, dataset: str, number: str, library: str, version: str) -> None:
    """Have a version say that it was made with another version of a library."""
    libraries = client.get_model_version(dataset, number).tags["hearth.libraries"]
    changed, count = re.subn(rf"\b{library} [^,]+", f"{library} {version}", libraries)
    assert count == 1, libraries
    client.set_model_version_tag(dataset, number, "hearth.libraries", changed)
