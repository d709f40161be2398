"""One fit of LightGBM on generated employees as a process: `python -m benchmarks.harness.training_task disk|frame FOLDER`.

`disk` is what a training does with more rows than memory holds, its calibration on a sample included; `frame` has all rows as a frame.
Parameters are the defaults. Prints the processor seconds of reading, fitting and calibrating, and the highest memory of the process in
bytes, its imports included.
"""

import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.harness.model import DATA
from benchmarks.peers.etl_engines import highest_memory
from hearth.contracts import load_contract
from hearth.data.row_sample import sample_frame
from hearth.data.stored_train import StoredTrain
from hearth.modelling.families import FAMILIES
from hearth.settings import MemorySettings
from hearth.training.calibrating import choose, hold_out
from hearth.training.fitting import fit
from hearth.training.stored_fitting import SAMPLE_ROWS, fit_stored

FEATURES, CLASSES = "X_train.parquet", "y_train.npy"


def main(way: str, folder: Path) -> None:
    contract, family = load_contract("employees", DATA), FAMILIES["lightgbm"]
    codes, steps = np.load(folder / CLASSES), [time.process_time()]
    if way == "disk":
        stored = StoredTrain.of(contract, folder / FEATURES, codes)
        sample = stored.sampled(MemorySettings().rows_in_memory)
        X, y = sample.frame(), pd.Series(sample.y, name=contract.target.column)
        steps.append(time.process_time())
        fit_stored(contract, X, y, stored, family, params=family.defaults, seed=1)
        steps.append(time.process_time())
        places = sample_frame(contract, X, sample.y, SAMPLE_ROWS)
        choose(contract, hold_out(contract, X.iloc[places], y.iloc[places], family, params=family.defaults, seed=1))
    else:
        X, y = pd.read_parquet(folder / FEATURES), pd.Series(codes, name=contract.target.column)
        steps.append(time.process_time())
        fit(contract, X, y, family, params=family.defaults, seed=1)
        steps.append(time.process_time())
    steps.append(time.process_time())
    print(*np.diff(steps), highest_memory())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
