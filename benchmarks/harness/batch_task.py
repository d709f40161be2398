"""A batch of employees as a process: `python -m benchmarks.harness.batch_task WAY MODEL FILE FOLDER`.

WAY is `compiled` or `plain`, Hearth's batch with a scorer of either kind, or `pandas`: the file is read whole, scored by the pipeline, and
written as Parquet, without a check of any value. Prints its seconds, its rows, and its highest memory in bytes, imports included.
"""

import sys
import time
from pathlib import Path

import joblib
import numpy as np
import pandas as pd

from benchmarks.harness.model import DATA
from benchmarks.peers.etl_engines import highest_memory
from hearth.batch.model import BatchModel
from hearth.batch.objects import find_objects
from hearth.batch.output import find_output
from hearth.batch.runner import Batch, finish, score_objects
from hearth.batch.sample import Sampler
from hearth.contracts import load_contract
from hearth.modelling.scorer import Scorer
from hearth.predictions.personal_hash import PersonalHash
from hearth.storage import ObjectStore

ID = "Employee ID"


def main(way: str, model: Path, file: Path, folder: Path) -> None:
    pipeline, contract = joblib.load(model), load_contract("employees", DATA)
    if way == "pandas":
        started = time.perf_counter()
        frame = pd.read_parquet(file) if file.suffix == ".parquet" else pd.read_csv(file)
        probabilities = pipeline.predict_proba(frame[list(contract.feature_names)])
        labels = np.array(contract.target.classes)[probabilities.argmax(axis=1)]
        columns = {f"probability_{name}": probabilities[:, place] for place, name in enumerate(contract.target.classes)}
        pd.DataFrame({ID: frame[ID], "label": labels, **columns}).to_parquet(folder / "scored.parquet")
        print(time.perf_counter() - started, len(frame), highest_memory())
        return
    if way == "compiled":
        from hearth.serving.compiled.scorer import CompiledScorer  # noqa: PLC0415 - the plain way has no numba

        scorer: Scorer = CompiledScorer(pipeline, contract)
    else:
        scorer = Scorer(pipeline, contract)
    started = time.perf_counter()
    batch = Batch(
        contract=contract,
        model=BatchModel(contract.name, "champion", "1", "lightgbm", "bench", scorer),
        objects=find_objects([str(file)], _no_store),
        output=find_output(str(folder), [str(file)], _no_store),
        sampler=Sampler(contract, PersonalHash.of(contract, ""), 250),
        keep=[ID],
    )
    score_objects(batch)
    summary = finish(batch)
    print(time.perf_counter() - started, summary.scored, highest_memory())


def _no_store() -> ObjectStore:
    raise AssertionError("files are in folders")


if __name__ == "__main__":
    main(sys.argv[1], *map(Path, sys.argv[2:]))
