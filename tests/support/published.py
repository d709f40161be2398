"""The report of an ETL in a real MLflow, without running one."""

import pandas as pd

from benchmarks.harness.model import rows
from hearth.contracts import Contract
from hearth.contracts.experiment_names import etl_experiment
from hearth.data.data_report import DataReport, without_personal
from hearth.data.profile import profile
from hearth.registry import InputData, Registry

REPORTED = "reported"
"""The digest of the data that were published last."""

_ROWS = 400


def publish_report(registry: Registry, contract: Contract) -> None:
    """Leave the report of an ETL of employees that has rejected rows, left out copies, and found a column that has moved."""
    X, y = rows(contract, _ROWS)
    data = InputData(contract.name, REPORTED, X.assign(**{contract.target.column: y}), f"s3://processed/{contract.name}", "etl")
    registry.log_etl(etl_experiment(contract), params={}, metrics={}, artifacts={}, data=data)
    report = DataReport(
        dataset=contract.name,
        digest=REPORTED,
        origin="file",
        source="s3://data/employees/raw/staff.csv",
        rows_in=500,
        rejected=20,
        reasons={"Designation: not a whole number from 0 to 5": 20},
        dropped={"duplicate": 80, "no_target": 0, "too_many_missing": 0},
        duplicate_share=80 / 480,
        train_rows=320,
        test_rows=80,
        compared_with="the data published last (older)",
        moved={"Sleep Hours": 0.03, "Mental Fatigue Score": 0.02, "Team Size": 0.2},
        warnings=("Team Size: 20% of the rows would have to change, chance explains 5% (above 19: 0.0% before, 20.0% now)",),
        understood=(),
        profile=without_personal(contract, profile(contract, X, pd.Series(y), REPORTED)),
    )
    registry.record_publication(etl_experiment(contract), report)
