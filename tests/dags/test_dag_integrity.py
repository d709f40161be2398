import json
from pathlib import Path
from typing import Any

import pytest

from hearth.contracts import airflow_names, list_contracts
from tests.support import airflow_home

Parsed = dict[str, Any]  # what parse_dags prints

HEAVY = {"pandas", "numpy", "mlflow", "sklearn", "lightgbm", "optuna", "skops", "matplotlib", "boto3", "scipy"}


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> Parsed:
    env = airflow_home.environment(tmp_path_factory.mktemp("airflow"), HEARTH_LOAD_DATA_SCHEDULE="@hourly")
    found: Parsed = json.loads(airflow_home.run("dags/parse_dags.py", env=env).splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def dags(parsed: Parsed) -> Parsed:
    return {dag_id: dag for file in parsed["files"] for dag_id, dag in file["dags"].items()}


def test_every_file_imports_without_error_or_network(parsed: Parsed) -> None:
    assert {file["file"]: file["errors"] for file in parsed["files"] if file["errors"]} == {}


def test_a_file_takes_less_than_three_seconds_of_processor_time_to_import(parsed: Parsed) -> None:
    slow = {file["file"]: file["cpu_seconds"] for file in parsed["files"] if file["cpu_seconds"] > 3}
    assert slow == {}


def test_heavy_libraries_are_not_loaded_when_files_are_parsed(parsed: Parsed) -> None:
    assert HEAVY & {module.split(".")[0] for module in parsed["modules"]} == set()


def test_the_employees_have_an_etl_and_one_training_for_each_family(dags: Parsed) -> None:
    assert {"etl_mlflow", "train_knn", "train_svm", "train_lightgbm"} <= dags.keys()


def test_every_data_set_has_them_under_the_names_that_messages_use(dags: Parsed) -> None:
    for contract in list_contracts():
        assert dags[airflow_names.dag_id(contract, airflow_names.ETL)]["outlets"] == [f"{contract.name}/processed"]
        for family in contract.families:
            assert dags[airflow_names.dag_id(contract, airflow_names.TRAIN, family)]["inlets"] == [f"{contract.name}/processed"]
    assert {"heart_etl_mlflow", "heart_train_random_forest", "covertype_etl_mlflow", "covertype_train_svm"} <= dags.keys()


def test_trainings_run_when_the_etl_publishes_its_asset(dags: Parsed) -> None:
    assert dags["etl_mlflow"]["outlets"] == ["employees/processed"]
    for family in ("knn", "svm", "lightgbm"):
        assert dags[f"train_{family}"]["inlets"] == ["employees/processed"]
        assert dags[f"train_{family}"]["outlets"] == ["employees/model"]


def test_a_data_set_that_comes_in_batches_is_loaded_on_a_schedule_and_its_etl_runs_when_there_are_new_rows(dags: Parsed) -> None:
    assert dags["load_data"]["schedule"] == "@hourly"
    assert dags["load_data"]["outlets"] == ["covertype/raw"]
    assert dags["covertype_etl_mlflow"]["inlets"] == ["covertype/raw"]
    assert dags["etl_mlflow"]["inlets"] == []
    assert dags["clear_data"]["params"] == {"confirm": ""}
    assert dags["clear_data"]["schedule"] == ""
    assert "employees_load_data" not in dags


def test_every_data_set_is_trained_again_when_an_alarm_is_raised_one_run_at_a_time(dags: Parsed) -> None:
    for contract in list_contracts():
        dag = dags[airflow_names.dag_id(contract, airflow_names.RETRAIN)]
        assert dag["inlets"] == [f"{contract.name}/drift", f"{contract.name}/quality"]
        assert dag["outlets"] == [f"{contract.name}/model"]
        assert dag["max_active_runs"] == 1


def test_every_data_set_is_monitored_every_five_minutes(dags: Parsed) -> None:
    for contract in list_contracts():
        monitor = dags[airflow_names.dag_id(contract, airflow_names.MONITOR)]
        assert monitor["schedule"] == "*/5 * * * *"
        assert monitor["outlets"] == [f"{contract.name}/drift changes", f"{contract.name}/quality changes"]


def test_every_data_set_has_a_dag_that_scores_batches_by_hand_and_names_places_of_its_own(dags: Parsed) -> None:
    for contract in list_contracts():
        score = dags[airflow_names.dag_id(contract, airflow_names.SCORE_BATCH)]
        assert score["schedule"] == ""
        assert score["params"]["source"] == f"s3://data/{contract.name}/score"
        assert score["params"]["output"] == f"s3://data/{contract.name}/scored"
        assert (score["params"]["model"], score["params"]["tasks"]) == ("champion", 1)


def test_backups_are_made_by_hand_unless_a_schedule_is_set(dags: Parsed) -> None:
    assert dags["hearth_backup"]["schedule"] == ""


def test_housekeeping_is_done_by_hand_and_removes_nothing_unless_it_is_told_to(dags: Parsed) -> None:
    assert dags["hearth_housekeeping"]["schedule"] == ""
    assert dags["hearth_housekeeping"]["params"] == {"apply": False}


def test_a_second_data_set_in_batches_has_dags_of_its_own_and_the_schedule_can_be_switched_off(tmp_path: Path) -> None:
    for name in ("covertype", "meadow"):
        contract = (airflow_home.ROOT / "data/covertype/contract.yaml").read_text("utf-8")
        (tmp_path / name).mkdir()
        if name != "covertype":  # whose DAGs go without a prefix already
            contract = contract.replace("name: covertype", f"name: {name}").replace("dags_without_prefix: [load_data, clear_data]\n", "")
            contract = contract.replace("table: covertype", f"table: {name}")
        (tmp_path / name / "contract.yaml").write_text(contract, "utf-8")
    env = airflow_home.environment(tmp_path / "airflow", HEARTH_DATA_DIR=str(tmp_path), HEARTH_LOAD_DATA_SCHEDULE="none")
    found: Parsed = json.loads(airflow_home.run("dags/parse_dags.py", env=env).splitlines()[-1])

    loads = {dag_id: dag["schedule"] for file in found["files"] for dag_id, dag in file["dags"].items() if "load" in dag["tags"]}

    assert loads == dict.fromkeys(("load_data", "clear_data", "meadow_load_data", "meadow_clear_data"), "")


def test_every_dag_retries_and_ends_in_time_and_says_what_it_is_for(dags: Parsed) -> None:
    for dag_id, dag in dags.items():
        assert all(retries >= 1 for retries in dag["retries"]), dag_id
        assert all(dag["reports"]), f"{dag_id} has a task without @reporting"
        assert set(dag["retry_policies"]) == {"RetryByErrorKind"}, dag_id
        assert set(dag["pre_execute"]) == {"prepare_task"}, dag_id
        assert all(dag["timeouts"]), dag_id
        assert dag["alerts"], f"{dag_id} has no **dag_alerts(dataset)"
        assert dag["tags"], dag_id
        assert dag["doc"], dag_id
        assert not dag["catchup"], dag_id
        assert dag["max_active_runs"] == 1, dag_id


def test_a_training_takes_ten_trials_unless_told_otherwise(dags: Parsed) -> None:
    assert [dags[f"train_{family}"]["params"]["trials"] for family in ("knn", "svm", "lightgbm")] == [10, 10, 10]


def test_a_bad_contract_is_one_import_error_that_names_it_and_takes_away_no_dag_of_another_data_set(tmp_path: Path) -> None:
    heart = (airflow_home.ROOT / "data/heart/contract.yaml").read_text("utf-8")
    other = heart.replace("dags_without_prefix: [mlops_pipeline]\n", "")
    texts = {"heart": heart, "worn": other.replace("name: heart", "name: worn").replace("metric: accuracy", "metric: acuracy")}
    texts["odd"] = other.replace("name: heart", "name: odd").replace("families: [random_forest,", "families: [random_forrest,")
    for name, text in texts.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "contract.yaml").write_text(text, "utf-8")
    env = airflow_home.environment(tmp_path / "airflow", HEARTH_DATA_DIR=str(tmp_path))
    found: Parsed = json.loads(airflow_home.run("dags/parse_dags.py", env=env).splitlines()[-1])

    errors = {parsed["file"]: list(parsed["errors"].values()) for parsed in found["files"] if parsed["errors"]}
    dags = {dag_id for parsed in found["files"] for dag_id in parsed["dags"]}
    assert list(errors) == ["check_contracts.py"]
    assert "worn/contract.yaml: metric: Input should be 'macro_f1' or 'accuracy'" in errors["check_contracts.py"][0]
    assert {dag_id for dag_id in dags if not dag_id.startswith("heart_")} == {
        "odd_etl_mlflow",
        "odd_monitor",
        "odd_score_batch",
        "mlops_pipeline",
        "hearth_backup",  # of the stack
        "hearth_housekeeping",
    }
    assert {"heart_etl_mlflow", "heart_train_svm", "mlops_pipeline"} <= dags


@pytest.mark.parametrize("training", ["each_family", "best_family"])
def test_a_family_that_nobody_knows_is_an_import_error_that_names_the_contract(tmp_path: Path, training: str) -> None:
    contract = (airflow_home.ROOT / "data/heart/contract.yaml").read_text("utf-8")
    contract = contract.replace("families: [random_forest,", "families: [random_forrest,")
    contract = contract.replace("trainings: [each_family, best_family]", f"trainings: [{training}]")
    (tmp_path / "heart").mkdir()
    (tmp_path / "heart/contract.yaml").write_text(contract, "utf-8")
    env = airflow_home.environment(tmp_path / "airflow", HEARTH_DATA_DIR=str(tmp_path))
    found: Parsed = json.loads(airflow_home.run("dags/parse_dags.py", env=env).splitlines()[-1])
    errors = {parsed["file"]: list(parsed["errors"].values()) for parsed in found["files"] if parsed["errors"]}
    assert list(errors) == ["check_contracts.py"]
    assert "heart/contract.yaml: families: names 'random_forrest'; there are: knn, svm, lightgbm" in errors["check_contracts.py"][0]
