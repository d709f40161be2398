"""What the ETL does to employees, written by hand for one engine: `python benchmarks/peers/etl_engines.py ENGINE FILE FOLDER`.

Reads a CSV file, leaves out rows without target, with two missing features or more, and copies, puts a fifth of the rows by a hash into a
test set, and writes both sets as Parquet. There are no rules of columns, no reasons, and no promise that a second run gives the same bytes.
Prints the seconds that it took, without imports, the rows, and the highest memory of the process in bytes.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

LEFT_OUT = ("Employee ID", "Date of Joining", "Years in Company")
TARGET = "Burn Rate"


def by_pandas(file: Path, folder: Path) -> int:
    import pandas as pd  # noqa: PLC0415 - each engine in a process of its own

    frame = pd.read_csv(file).drop(columns=list(LEFT_OUT))
    frame = frame[frame[TARGET].notna()]
    features = frame.columns.drop(TARGET)
    frame = frame[frame[features].isna().sum(axis=1) <= 1].drop_duplicates()
    in_test = pd.util.hash_pandas_object(frame[features], index=False) % 5 == 0
    frame[~in_test].to_parquet(folder / "train.parquet")
    frame[in_test].to_parquet(folder / "test.parquet")
    return len(frame)


def by_polars(file: Path, folder: Path) -> int:
    import polars as pl  # noqa: PLC0415

    frame = pl.scan_csv(file).drop(LEFT_OUT).filter(pl.col(TARGET).is_not_null())
    features = [name for name in frame.collect_schema().names() if name != TARGET]
    frame = frame.filter(pl.sum_horizontal(pl.col(name).is_null() for name in features) <= 1).unique()
    kept = frame.with_columns(in_test=pl.struct(features).hash() % 5 == 0).collect(engine="streaming")
    kept.filter(~pl.col("in_test")).drop("in_test").write_parquet(folder / "train.parquet")
    kept.filter(pl.col("in_test")).drop("in_test").write_parquet(folder / "test.parquet")
    return kept.height


def by_duckdb(file: Path, folder: Path) -> int:
    import duckdb  # noqa: PLC0415

    database = duckdb.connect()
    rows = database.read_csv(str(file))
    features = [f'"{name}"' for name in rows.columns if name not in {*LEFT_OUT, TARGET}]
    missing = " + ".join(f"({name} IS NULL)::INT" for name in features)
    database.sql(
        f'CREATE TABLE kept AS SELECT DISTINCT {", ".join(features)}, "{TARGET}" FROM rows '  # noqa: S608 - names of our own file
        f'WHERE "{TARGET}" IS NOT NULL AND {missing} <= 1'
    )
    for name, comparison in (("train", "<>"), ("test", "=")):
        where = f"hash({', '.join(features)}) % 5 {comparison} 0"
        database.sql(f"COPY (SELECT * FROM kept WHERE {where}) TO '{folder / name}.parquet'")  # noqa: S608
    return int(database.sql("SELECT count(*) FROM kept").fetchall()[0][0])


ENGINES: dict[str, Callable[[Path, Path], int]] = {"pandas": by_pandas, "polars": by_polars, "duckdb": by_duckdb}


def highest_memory() -> int:
    """Return the highest memory of this process, in bytes. What the system counts for a child includes its parent."""
    status = Path("/proc/self/status")
    if status.exists():
        return next(int(line.split()[1]) << 10 for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    import resource  # noqa: PLC0415 - not on every system

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(engine: str, file: str, folder: str) -> None:
    __import__(engine)
    started = time.perf_counter()
    rows = ENGINES[engine](Path(file), Path(folder))
    print(time.perf_counter() - started, rows, highest_memory())


if __name__ == "__main__":
    main(*sys.argv[1:])
