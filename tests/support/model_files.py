"""Model files as our trainings write them, and ways to spoil them."""

import io
import json
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from sklearn.pipeline import Pipeline

from hearth.modelling.families import FAMILIES
from hearth.modelling.features import build_features
from hearth.registry import ModelFiles, model_files
from tests.support.samples import EMPLOYEES, sample_rows

LARGE = 10**9
X, Y = sample_rows(EMPLOYEES, 120)


@cache
def fitted(family: str, **changes: int) -> Pipeline:
    model = FAMILIES[family].build({**FAMILIES[family].defaults, **changes}, 1)
    return Pipeline([("features", build_features(EMPLOYEES)), ("model", model)]).fit(X, Y.to_numpy())


def saved(folder: Path, family: str, **changes: int) -> Path:
    """Save a version of a family into a new folder."""
    model_files.save(folder, fitted(family, **changes), X.head(3), "m-1", "run-1")
    return folder


def files_of(folder: Path, *, signed: bool = False) -> ModelFiles:
    return ModelFiles(folder, "models:/employees/9", model_files.digests(folder), signed, LARGE)


def rewrite(folder: Path, change: Callable[[dict[str, Any]], None], extra: dict[str, bytes] | None = None) -> None:
    """Change the schema of a saved model; `extra` members are added, compressed."""
    path = folder / "model.skops"
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(members.pop("schema.json"))
    change(schema)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        archive.writestr("schema.json", json.dumps(schema))
        for name, content in (extra or {}).items():
            archive.writestr(name, content, compress_type=zipfile.ZIP_DEFLATED)


def nodes(schema: object, kind: str) -> list[dict[str, Any]]:
    """Return all nodes of a class, in their order."""
    found: list[dict[str, Any]] = []
    waiting = [schema]
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, dict):
            if node.get("__class__") == kind:
                found.append(node)
            waiting[:0] = list(node.values())
        elif isinstance(node, list):
            waiting[:0] = node
    return found


def booster_text(schema: dict[str, Any]) -> str:
    return str(json.loads(nodes(schema, "Booster")[0]["content"]["content"]["_handle"]["content"]))


def set_booster_text(schema: dict[str, Any], text: str) -> None:
    nodes(schema, "Booster")[0]["content"]["content"]["_handle"]["content"] = json.dumps(text)
