"""Use a running stack as a user would and say whether it works: `python -m utils.smoke`.

Runs the ETL and all trainings through Airflow, asks the API for predictions of every alias, watches the stream worker's predictions
come in, and prints what it found. It speaks to addresses from the settings only, so it serves the embedded stack and Compose alike.
"""

import argparse
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import grpc
import httpx
from pydantic import Field, SecretStr
from rich.console import Console
from rich.table import Table

from grpc_service.encoding import record_message
from grpc_service.v1 import prediction_pb2 as pb
from grpc_service.v1.prediction_pb2_grpc import PredictionStub
from hearth.contracts import Contract
from hearth.contracts.loading import chosen_contracts
from hearth.errors import HearthError
from hearth.fakes import FakeRecords
from hearth.predictions import PredictionStore
from hearth.registry import Registry
from hearth.settings import GrpcClientSettings, PredictionsSettings, RegistrySettings
from utils.airflow_api import AirflowApi, AirflowError
from utils.console import make_console, make_table
from utils.run_dags import run_all

_ALIAS_LIMIT_SECONDS = 60
_STREAM_LIMIT_SECONDS = 60
_STREAM_SHOWN = 5
_RECORDS = 3

_GRAPHQL_FIELDS = "query ($model: String!, $dataset: String!) { modelInfo(model: $model, dataset: $dataset) { features { name field } } }"
_GRAPHQL_PREDICT = (
    "query ($model: String!, $records: Records!) { predict(model: $model, records: $records) { version predictions { label } } }"
)


class SmokeSettings(PredictionsSettings, GrpcClientSettings, RegistrySettings):
    """Where the running stack is."""

    airflow_url: str = Field(description="Airflow's API server")
    airflow_user: str
    airflow_password: SecretStr
    api_url: str = Field(description="the REST service")


class SmokeFailure(Exception):
    """Something that a user would have seen fail."""


@dataclass(frozen=True)
class Served:
    """What the API says of an alias."""

    alias: str
    family: str
    version: str
    macro_f1: float
    accuracy: float


def main() -> int:
    """Run all checks; 0 if the stack does what it should."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--dataset", default="employees", help="one, several such as employees,heart, or all")
    parser.add_argument("--trials", type=int, help="Optuna trials of each training (default: what the DAG says)")
    parser.add_argument("--skip-training", action="store_true", help="only ask for predictions of what is there")
    options = parser.parse_args()
    console = make_console()
    try:
        settings = SmokeSettings()
        table = make_table("Models", "alias", "family", "version", "macro-F1", "accuracy", "registered model")
        for contract in chosen_contracts(options.dataset, settings.data_dir):
            if not options.skip_training:
                _train(settings, contract, console, options.trials)
            _add_models(table, contract, _predict(settings, contract, console))
            _watch_stream(settings, contract, console)
    except (SmokeFailure, AirflowError, HearthError, httpx.HTTPError) as error:
        console.print(f"[red]The stack does not do what it should:[/red] {error}")
        return 1
    console.print(table)
    return 0


def _train(settings: SmokeSettings, contract: Contract, console: Console, trials: int | None) -> None:
    with AirflowApi(settings.airflow_url, settings.airflow_user, settings.airflow_password.get_secret_value()) as airflow:
        run_all(airflow, console, contract, trials)


def _predict(settings: SmokeSettings, contract: Contract, console: Console) -> list[Served]:
    """Send raw records to every alias and compare what answers with what the registry says."""
    records = FakeRecords.load(contract, settings.data_dir).records(_RECORDS, seed=int(time.time()))
    registered = Registry.from_settings(settings).aliases(contract.name)
    with httpx.Client(base_url=settings.api_url, timeout=30) as api:
        served = []
        for alias in (*contract.families, "champion"):
            answer = _ask_until_served(api, contract, alias, registered.get(alias), records)
            chances = [f"{label} {max(p.values()):.2f}" for label, p in zip(answer["labels"], answer["probabilities"], strict=True)]
            console.print(f"POST /predict?model={alias:<9} v{answer['version']}: {', '.join(chances)}")
            _compare_grpc(settings, contract, records, answer)
            _compare_graphql(api, contract, records, answer)
            metrics = _alias_info(api, contract, alias)["metrics"]
            served.append(Served(alias, answer["family"], answer["version"], metrics["macro_f1"], metrics["accuracy"]))
    return served


def _ask_until_served(
    api: httpx.Client, contract: Contract, alias: str, registered: str | None, records: list[dict[str, object]]
) -> dict[str, Any]:
    """Ask until the service has noticed the alias and serves the version that the registry names."""
    deadline = time.monotonic() + _ALIAS_LIMIT_SECONDS
    while True:
        answer = api.post(f"/{contract.name}/predict", params={"model": alias}, json={"data": records})
        if answer.is_success:
            body: dict[str, Any] = answer.json()
            if len(body["predictions"]) != len(records):
                raise SmokeFailure(f"{alias}: sent {len(records)} records, got {len(body['predictions'])} predictions")
            if body["version"] == registered:
                return body
        elif answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            raise SmokeFailure(f"POST /{contract.name}/predict?model={alias}: {answer.status_code} {answer.text}")
        if time.monotonic() > deadline:
            raise SmokeFailure(f"{alias} is not served after {_ALIAS_LIMIT_SECONDS} s: {answer.status_code} {answer.text}")
        time.sleep(1)


def _compare_grpc(settings: SmokeSettings, contract: Contract, records: list[dict[str, object]], expected: dict[str, Any]) -> None:
    """Ask gRPC what REST has answered: the same version has to say the same. The two follow an alias each in its own time."""
    request = pb.PredictRequest(dataset=contract.name, alias=expected["alias"], records=[record_message(record) for record in records])
    deadline = time.monotonic() + _ALIAS_LIMIT_SECONDS
    with grpc.insecure_channel(settings.grpc_address) as channel:
        while True:
            said = "nothing"
            try:
                answer = PredictionStub(channel).Predict(request, timeout=10, wait_for_ready=True)
                said = f"{answer.labels} by version {answer.version}"
                if answer.version == expected["version"] and list(answer.labels) == expected["labels"]:
                    return
            except grpc.RpcError as error:
                said = str(error)
            if time.monotonic() > deadline:
                told = f"{expected['labels']} by version {expected['version']}"
                raise SmokeFailure(f"{expected['alias']}: REST says {told}, gRPC at {settings.grpc_address} says {said}")
            time.sleep(1)


def _compare_graphql(api: httpx.Client, contract: Contract, records: list[dict[str, object]], expected: dict[str, Any]) -> None:
    """Ask GraphQL what REST has answered; the two are one process."""
    asked = {"dataset": contract.name, "model": expected["alias"]}
    features = _graphql(api, _GRAPHQL_FIELDS, asked)["modelInfo"]["features"]
    fields = {feature["name"]: feature["field"] for feature in features}
    typed = {contract.name: [{fields[name]: value for name, value in record.items() if name in fields} for record in records]}
    answer = _graphql(api, _GRAPHQL_PREDICT, {"model": expected["alias"], "records": typed})["predict"]
    labels = [prediction["label"] for prediction in answer["predictions"]]
    if answer["version"] == expected["version"] and labels != expected["labels"]:
        raise SmokeFailure(f"{expected['alias']}: REST says {expected['labels']}, GraphQL says {labels}")


def _graphql(api: httpx.Client, query: str, variables: dict[str, object]) -> dict[str, Any]:
    answer: dict[str, Any] = api.post("/graphql", json={"query": query, "variables": variables}).raise_for_status().json()
    if "errors" in answer:
        raise SmokeFailure(f"GraphQL: {answer['errors']}")
    data: dict[str, Any] = answer["data"]
    return data


def _alias_info(api: httpx.Client, contract: Contract, alias: str) -> dict[str, Any]:
    datasets = api.get("/models").raise_for_status().json()["datasets"]
    aliases = next(entry["aliases"] for entry in datasets if entry["dataset"] == contract.name)
    info: dict[str, Any] = next(entry for entry in aliases if entry["alias"] == alias)
    return info


def _watch_stream(settings: SmokeSettings, contract: Contract, console: Console) -> None:
    """Wait for predictions that the stream worker makes from now on."""
    began = datetime.now(UTC)
    deadline = time.monotonic() + _STREAM_LIMIT_SECONDS
    with PredictionStore(settings.predictions_url.get_secret_value(), max_connections=1) as store:
        while True:
            fresh = [given for given in store.recent(_STREAM_SHOWN, contract.name) if given.scored_at >= began]
            if len(fresh) == _STREAM_SHOWN:
                break
            if time.monotonic() > deadline:
                raise SmokeFailure(f"{len(fresh)} predictions came from the stream in {_STREAM_LIMIT_SECONDS} s, expected {_STREAM_SHOWN}")
            time.sleep(1)
    console.print("The stream worker's latest predictions:")
    for given in reversed(fresh):
        chance = given.probabilities[given.code]
        console.print(f"  {given.message_id}  {given.dataset}@{given.alias} v{given.version}  {given.label} {chance:.2f}")


def _add_models(table: Table, contract: Contract, served: list[Served]) -> None:
    for model in served:
        table.add_row(
            model.alias,
            model.family,
            model.version,
            f"{model.macro_f1:.4f}",
            f"{model.accuracy:.4f}",
            f"models:/{contract.name}@{model.alias}",
        )


if __name__ == "__main__":
    sys.exit(main())
