"""Model files: written and read by skops with an allow-list that is ours. Nothing is ever unpickled.

MLflow's own loader reads the list of trusted types from the model itself, so it is not used.
"""

import hashlib
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

with warnings.catch_warnings():
    # skops looks into every module that was imported before it, and the deprecated names of Airflow's warn, 1,160 times
    warnings.filterwarnings("ignore", "The `airflow")
    import skops.io

import mlflow.sklearn
import numpy as np
import pandas as pd
from mlflow.models import Model, infer_signature
from mlflow.types import DataType
from sklearn.pipeline import Pipeline

from hearth.errors import IncompatibleModel, RefusedModel, UntrustedModel
from hearth.modelling.calibration import TRUSTED_TYPES as CALIBRATION_TRUSTED_TYPES
from hearth.modelling.families import FAMILIES
from hearth.modelling.features import TRUSTED_TYPES as FEATURES_TRUSTED_TYPES
from hearth.modelling.trust import FILE_NAME as TRUST_FILE
from hearth.modelling.trust import MOST_BYTES as MOST_TRUST_BYTES
from hearth.modelling.trust import Trust
from hearth.registry.model_archive import require_sound
from hearth.registry.model_structure import require_sound_estimator
from hearth.registry.provenance import LIBRARIES, LIBRARIES_TAG, MUST_MATCH, library_versions

# The types of our pipelines that skops does not trust by itself.
TRUSTED_TYPES: tuple[str, ...] = (
    *FEATURES_TRUSTED_TYPES,
    *CALIBRATION_TRUSTED_TYPES,
    *sorted({name for family in FAMILIES.values() for name in family.trusted_types}),
)

_FILE = "model.skops"
REQUIRED_FILES = ("MLmodel", _FILE, "input_example.json")
FILES = (*REQUIRED_FILES, TRUST_FILE)  # all that is read of a model's folder; versions of earlier releases lack the last
_EXAMPLE_PROBABILITIES = "example_probabilities"
_TOLERANCE = 1e-6
MOST_BYTES = 1_000_000_000


@dataclass(frozen=True)
class StoredModel:
    """What the files of a version hold: its pipeline, the raw rows of its example, and what it knows of its limits, if it does."""

    pipeline: Pipeline
    example: pd.DataFrame
    trust: Trust | None = None


def save(  # noqa: PLR0913, PLR0917 - what is saved, where, and under which names
    folder: Path, pipeline: Pipeline, example: pd.DataFrame, model_id: str, run_id: str, trust: Trust | None = None
) -> None:
    """Write a pipeline in MLflow's model format, with an example and its probabilities, which `load` compares.

    Raises:
        UntrustedModel: the pipeline holds types that `load` would refuse.
        RefusedModel: it holds trees that `load` would refuse.
    """
    example = _as_served(example)
    probabilities = np.asarray(pipeline.predict_proba(example))
    content = skops.io.dumps(pipeline)
    with _broken_file_is_refused("this pipeline"):
        require_sound(content, "this pipeline", MOST_BYTES)
    _refuse_untrusted(content, "this pipeline")
    logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)  # it warns that pip, which nobody needs here, is not installed
    mlflow.sklearn.save_model(
        pipeline,
        str(folder),
        mlflow_model=Model(model_id=model_id, run_id=run_id, metadata={_EXAMPLE_PROBABILITIES: probabilities.tolist()}),
        signature=infer_signature(example, probabilities),
        input_example=example,
        pip_requirements=[f"{library}=={version}" for library, version in library_versions().items() if library in LIBRARIES],
        pyfunc_predict_fn="predict_proba",
        serialization_format=mlflow.sklearn.SERIALIZATION_FORMAT_SKOPS,
        skops_trusted_types=list(TRUSTED_TYPES),
    )
    if trust is not None:
        (folder / TRUST_FILE).write_bytes(trust.to_json())


def stored_size(pipeline: Pipeline) -> int:
    """Return the number of bytes that a pipeline is stored in."""
    return len(skops.io.dumps(pipeline))


def require_compatible(where: str, made_with: Mapping[str, str]) -> None:
    """Raise IncompatibleModel at the first library of a model that is installed in another version here.

    Raises RefusedModel if the model does not say which versions made it, as those that our trainings register do.
    """
    installed = library_versions()
    for library in MUST_MATCH:
        stored = made_with.get(library)
        if stored is None:
            raise RefusedModel(
                f"{where} was not registered by a training of Hearth: it does not say which {library} it was made with (tag "
                f"{LIBRARIES_TAG}), so nobody knows whether {library} {installed[library]} reads it right. Train a version here."
            )
        if stored != installed[library]:
            raise IncompatibleModel(where, library, stored, installed[library])


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file that `load` reads, by name."""
    return {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in FILES
        if name in REQUIRED_FILES or (folder / name).exists()
    }


def load(folder: Path, where: str, most_unpacked_bytes: int = MOST_BYTES) -> StoredModel:
    """Read what the files of a version hold from a folder in MLflow's format; `where` names the model in errors.

    Before any object is made, the sizes of all parts and the structure of LightGBM's trees are checked; scikit-learn's trees before they
    predict.

    Raises:
        UntrustedModel: it holds types outside our allow-list; no object of it was built.
        RefusedModel: it is no skops file, no pipeline, or does not give the probabilities that it gave when it was saved; or what it says
            of its limits cannot be read.
    """
    path = folder / _FILE
    if not path.is_file():
        files = ", ".join(sorted(file.name for file in folder.iterdir())) or "nothing"
        raise RefusedModel(f"{where} has no {_FILE}, and nothing else is loaded (it holds: {files}). Train again.")
    content = path.read_bytes()
    with _broken_file_is_refused(where):
        boosters = require_sound(content, where, most_unpacked_bytes)
    _refuse_untrusted(content, where)
    with _broken_file_is_refused(where):
        pipeline = skops.io.loads(content, trusted=list(TRUSTED_TYPES))
    if not isinstance(pipeline, Pipeline):
        raise RefusedModel(f"{where} is a {type(pipeline).__name__}, expected a scikit-learn Pipeline. Train again.")
    with _broken_file_is_refused(where):
        require_sound_estimator(pipeline, boosters)
    example, classes = _example(folder, pipeline, where)
    return StoredModel(pipeline, example, _trust(folder, classes, where))


def _trust(folder: Path, classes: int, where: str) -> Trust | None:
    path = folder / TRUST_FILE
    if not path.exists():
        return None
    with path.open("rb") as file:
        return Trust.from_json(file.read(MOST_TRUST_BYTES + 1), classes, where)


def _refuse_untrusted(content: bytes, where: str) -> None:
    with _broken_file_is_refused(where):
        untrusted = set(skops.io.get_untrusted_types(data=content)) - set(TRUSTED_TYPES)
    if untrusted:
        raise UntrustedModel(where, sorted(untrusted))


@contextmanager
def _broken_file_is_refused(where: str) -> Iterator[None]:
    try:
        yield
    except RefusedModel:
        raise
    except Exception as error:  # a broken file can make zipfile, json, numpy or LightGBM raise anything
        raise RefusedModel(f"{where} cannot be read as a skops file ({type(error).__name__}: {error}). Train again.") from error


def _example(folder: Path, pipeline: Pipeline, where: str) -> tuple[pd.DataFrame, int]:
    """Return the example, for which the pipeline must predict the probabilities that were saved with it, and the number of classes."""
    model = Model.load(str(folder))
    stored = (model.metadata or {}).get(_EXAMPLE_PROBABILITIES)
    saved = model.load_input_example(str(folder))
    if stored is None or saved is None or model.signature is None:
        raise RefusedModel(f"{where} carries no example to check it by. Train again.")
    # MLflow reads a text column without a value as numbers; its signature calls the type Any
    texts = [column.name for column in model.signature.inputs if column.type is not DataType.double]
    example = pd.DataFrame(saved).astype(dict.fromkeys(texts, "str"))
    probabilities = np.asarray(pipeline.predict_proba(example))
    if probabilities.shape != np.shape(stored) or not np.allclose(probabilities, stored, rtol=0, atol=_TOLERANCE):
        raise RefusedModel(f"{where} does not give the probabilities for its example that it gave when it was saved. Train again.")
    return example, probabilities.shape[1]


def _as_served(example: pd.DataFrame) -> pd.DataFrame:
    """Numbers as float64, so that the signature allows missing values; column names as plain objects, which MLflow compares."""
    numbers = example.select_dtypes("number").columns
    return example.astype(dict.fromkeys(numbers, np.float64)).set_axis(example.columns.astype(object), axis="columns")
