"""A table whose names MLflow, matplotlib and databases have rules about goes the whole way: ETL, log, training, version."""

from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from sqlalchemy import create_engine, select

from hearth.contracts import CategoryColumn, Contract, IntegerColumn, NumberColumn
from hearth.data.ingest.tables import data_table
from hearth.jobs import etl
from hearth.jobs.train import train
from hearth.registry import Registry
from hearth.settings import get_settings
from hearth.storage import ObjectStore
from tests.support.contracts import write_contract

ROWS = 160


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Contract]:
    monkeypatch.setenv("HEARTH_DATA_DIR", str(tmp_path))
    get_settings.cache_clear()
    yield write_contract(tmp_path)
    get_settings.cache_clear()


def rows(contract: Contract) -> pd.DataFrame:
    """Return rows of which the first column gives the class away."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(index=range(ROWS))
    for name, column in contract.columns.items():
        if isinstance(column, CategoryColumn):
            frame[name] = rng.choice(column.categories, ROWS)
        else:
            assert isinstance(column, IntegerColumn | NumberColumn)
            values = rng.uniform(column.minimum, column.maximum, ROWS)
            frame[name] = values.round() if isinstance(column, IntegerColumn) else values.round(4)
    frame[contract.target.column] = pd.cut(frame["Q1_1"], 4, labels=list("abcd")).astype(str)
    return frame


def test_an_etl_and_a_training_end_with_a_version_whose_metrics_are_named_after_columns_and_classes(
    odd: Contract, store: ObjectStore, registry: Registry, mlflow_uri: str
) -> None:
    store.put(store.data_bucket, f"in/raw/{odd.source.file}", rows(odd).to_csv(index=False).encode())
    digest = etl.process("in", etl.validate("in", etl.find_raw("in", store=store), store=store), store=store)

    logged = mlflow.MlflowClient(mlflow_uri).get_run(etl.log("in", digest, store=store, registry=registry)).data.metrics
    version = train("in", "knn", digest=digest, trials=1, seed=1, key="names", store=store, registry=registry)

    means = {name for name in logged if name.startswith("mean/")}
    assert means == {f"mean/{name}" for name in ("Q1_1", "Q11", "class", "Return", "Größe", "年龄", "Price k", "a b")}
    assert logged["missing_before/column_"] == 0
    metrics = registry.version("in", version).metrics
    for name in ("le_50k", "gt_50k", "_1_to__2", "_rest"):
        assert 0 <= metrics[f"precision_{name}"] <= 1


def test_a_table_of_hundreds_of_columns_is_logged(registry: Registry, mlflow_uri: str) -> None:
    experiment = mlflow.MlflowClient(mlflow_uri).create_experiment("wide")
    params = {f"p{number}": str(number) for number in range(250)}
    metrics = {f"mean/column {number}": float(number) for number in range(2_100)}

    with registry._connection.run(experiment, "wide", {}) as run_id:
        registry._connection.log(run_id, params, metrics)

    data = mlflow.MlflowClient(mlflow_uri).get_run(run_id).data
    assert (data.params, data.metrics) == (params, metrics)


def test_a_database_takes_a_column_of_every_name(odd: Contract, database: str) -> None:
    table = data_table(odd, "odd")
    engine = create_engine(database)
    row = {"_group": 1, "_batch": 1, "_row": 1, "q1_1": 0.5, "q11": 2.0, "class": 3, "grosse": 4.0, "u5e74u9f84": 5.0, "column_": "$"}
    table.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(table.insert(), row)
        [stored] = connection.execute(select(table)).mappings()
    engine.dispose()

    assert {name: stored[name] for name in row} == row
