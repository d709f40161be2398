"""Use a running stack as a user would: `python -m utils.smoke`, which `hearth smoke` runs.

Runs the ETL and all trainings through Airflow, asks every interface for predictions of every alias, waits for predictions of the stream
worker, and prints a table of the models. All addresses come from the settings, so it serves the embedded stack and Compose alike.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import grpc
import httpx
import typer
from pydantic import Field, SecretStr
from rich.console import Console
from rich.table import Table

from grpc_service.encoding import record_message
from grpc_service.tls import channel_credentials
from grpc_service.v1 import prediction_pb2 as pb
from grpc_service.v1.prediction_pb2_grpc import PredictionStub
from hearth.cli import values
from hearth.cli.application import CommandError, run_program
from hearth.cli.tables import make_console, make_table
from hearth.contracts import Contract
from hearth.contracts.aliases import CHAMPION
from hearth.contracts.loading import chosen_contracts
from hearth.errors import HearthError
from hearth.fakes import FakeRecords
from hearth.predictions import PredictionStore
from hearth.registry import RegisteredVersion, Registry
from hearth.settings import GrpcClientSettings, PredictionsSettings, RegistrySettings
from utils.airflow_api import AirflowApi, AirflowError
from utils.run_dags import run_all

_ALIAS_LIMIT_SECONDS = 60
_STREAM_LIMIT_SECONDS = 60
_STREAM_ROWS = 5
_RECORDS = 3
_DIGITS = 8

_GRAPHQL_FIELDS = "query ($model: String!, $dataset: String!) { modelInfo(model: $model, dataset: $dataset) { features { name field } } }"
_GRAPHQL_PREDICT = (
    "query ($model: String!, $records: Records!) { predict(model: $model, records: $records) { version predictions { label } } }"
)


class SmokeSettings(PredictionsSettings, GrpcClientSettings, RegistrySettings):
    """The addresses of the running stack."""

    airflow_url: str = Field(description="Airflow's API server")
    airflow_user: str
    airflow_password: SecretStr
    api_url: str = Field(description="the REST service")
    api_key: SecretStr = Field(SecretStr(""), description="the key of the calls; empty: the admin key")
    api_admin_key: SecretStr = Field(SecretStr(""), description="the service's admin key, whose scopes include predictions")

    @property
    def key(self) -> str:
        """The key that REST and gRPC are called with; empty where the environment has none."""
        return self.api_key.get_secret_value() or self.api_admin_key.get_secret_value()


class SmokeFailure(Exception):
    """Something that a user would see fail."""


@dataclass(frozen=True)
class ServedModel:
    """A version that answers under an alias, with its score on the present test set and what it was made from."""

    alias: str
    family: str
    version: str
    score: str
    data: str
    origin: str


def main(
    dataset: Annotated[str, values.datasets()] = "employees",
    trials: Annotated[int | None, values.whole("Optuna trials of each training (default: what the DAGs say).")] = None,
    skip_training: Annotated[bool, typer.Option("--skip-training", help="Only ask for predictions of the models that are there.")] = False,
) -> None:
    """Use a running stack as a user would; the exit code is 0 if it works."""
    console = make_console()
    try:
        settings = SmokeSettings()
        contracts = chosen_contracts(dataset, settings.data_dir)
        if skip_training:
            _require_trained(settings, contracts)
        table = make_table("Models", "data set", "alias", "family", "version", "present test set", "of data", "made from")
        for contract in contracts:
            if not skip_training:
                _train(settings, contract, console, trials)
            _add_models(table, contract, _predict(settings, contract, console))
            _watch_stream(settings, contract, console)
    except (SmokeFailure, AirflowError, HearthError, httpx.HTTPError) as error:
        raise CommandError(f"The stack does not work: {error}") from error
    console.print(table)


def _train(settings: SmokeSettings, contract: Contract, console: Console, trials: int | None) -> None:
    with AirflowApi(settings.airflow_url, settings.airflow_user, settings.airflow_password.get_secret_value()) as airflow:
        run_all(airflow, Registry.from_settings(settings), console, contract, trials)


def _require_trained(settings: SmokeSettings, contracts: Sequence[Contract]) -> None:
    """Refuse at once what no waiting helps: an alias that no version has."""
    registry = Registry.from_settings(settings)
    for contract in contracts:
        carried = registry.aliases(contract.name)
        if missing := [alias for alias in _aliases(contract) if alias not in carried]:
            raise SmokeFailure(
                f"{contract.name} is not trained: no version has the alias {', '.join(missing)}. Train it first: "
                f"hearth smoke --dataset {contract.name}, or with Compose: make compose-smoke DATASET={contract.name}"
            )


def _aliases(contract: Contract) -> tuple[str, ...]:
    return (*contract.families, CHAMPION)


def _predict(settings: SmokeSettings, contract: Contract, console: Console) -> list[ServedModel]:
    """Send raw records to every alias and compare the answers with the registry."""
    records = FakeRecords.load(contract, settings.data_dir).records(_RECORDS, seed=int(time.time()))
    registry = Registry.from_settings(settings)
    registered = registry.aliases(contract.name)
    with httpx.Client(base_url=settings.api_url, timeout=30, headers={"X-API-Key": settings.key} if settings.key else None) as api:
        models = []
        for alias in _aliases(contract):
            answer = _ask_until_served(api, contract, alias, registered.get(alias), records)
            chances = [f"{label} {max(p.values()):.2f}" for label, p in zip(answer["labels"], answer["probabilities"], strict=True)]
            console.print(f"POST /predict?model={alias:<9} v{answer['version']}: {', '.join(chances)}")
            _compare_grpc(settings, contract, records, answer)
            _compare_graphql(api, contract, records, answer)
            models.append(_served(registry.version(contract.name, answer["version"]), alias))
    return models


def _served(version: RegisteredVersion, alias: str) -> ServedModel:
    """Return a version with its standing on the present test set, which is the same for all rows of the table."""
    standing = version.standing
    score = f"{standing.metric} {standing.score}" if standing and standing.score else standing.problem if standing else "-"
    data = f"{standing.digest[:_DIGITS]} ({standing.origin}), {standing.rows:,} rows" if standing else "-"
    return ServedModel(alias, version.family, version.version, score, data, version.origin)


def _ask_until_served(
    api: httpx.Client, contract: Contract, alias: str, registered: str | None, records: list[dict[str, object]]
) -> dict[str, Any]:
    """Ask until the service serves the version that the registry names."""
    deadline = time.monotonic() + _ALIAS_LIMIT_SECONDS
    while True:
        answer = api.post(f"/{contract.name}/predict", params={"model": alias}, json={"data": records})
        if answer.is_success:
            body: dict[str, Any] = answer.json()
            if len(body["predictions"]) != len(records):
                raise SmokeFailure(f"{alias}: {len(body['predictions'])} predictions for {len(records)} records")
            if body["version"] == registered:
                return body
        elif answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            raise SmokeFailure(f"POST /{contract.name}/predict?model={alias}: {answer.status_code} {answer.text}")
        if time.monotonic() > deadline:
            raise SmokeFailure(f"{alias} is not served after {_ALIAS_LIMIT_SECONDS} s: {answer.status_code} {answer.text}")
        time.sleep(1)


def _compare_grpc(settings: SmokeSettings, contract: Contract, records: list[dict[str, object]], expected: dict[str, Any]) -> None:
    """Compare gRPC with REST: the same version must give the same labels. Each of them follows an alias at its own time."""
    request = pb.PredictRequest(dataset=contract.name, alias=expected["alias"], records=[record_message(record) for record in records])
    metadata = [("x-api-key", settings.key)] if settings.key else None
    deadline = time.monotonic() + _ALIAS_LIMIT_SECONDS
    target, credentials = channel_credentials(settings.grpc_address, settings.grpc_ca)
    with grpc.secure_channel(target, credentials) if credentials else grpc.insecure_channel(target) as channel:
        while True:
            result = "nothing"
            try:
                answer = PredictionStub(channel).Predict(request, timeout=10, wait_for_ready=True, metadata=metadata)
                result = f"{answer.labels} by version {answer.version}"
                if answer.version == expected["version"] and list(answer.labels) == expected["labels"]:
                    return
            except grpc.RpcError as error:
                result = str(error)
            if time.monotonic() > deadline:
                rest = f"{expected['labels']} by version {expected['version']}"
                raise SmokeFailure(f"{expected['alias']}: REST answers {rest}, gRPC at {settings.grpc_address} answers {result}")
            time.sleep(1)


def _compare_graphql(api: httpx.Client, contract: Contract, records: list[dict[str, object]], expected: dict[str, Any]) -> None:
    """Compare GraphQL with REST; the two are one process."""
    variables = {"dataset": contract.name, "model": expected["alias"]}
    features = _graphql(api, _GRAPHQL_FIELDS, variables)["modelInfo"]["features"]
    fields = {feature["name"]: feature["field"] for feature in features}
    typed = {contract.name: [{fields[name]: value for name, value in record.items() if name in fields} for record in records]}
    answer = _graphql(api, _GRAPHQL_PREDICT, {"model": expected["alias"], "records": typed})["predict"]
    labels = [prediction["label"] for prediction in answer["predictions"]]
    if answer["version"] == expected["version"] and labels != expected["labels"]:
        raise SmokeFailure(f"{expected['alias']}: REST answers {expected['labels']}, GraphQL answers {labels}")


def _graphql(api: httpx.Client, query: str, variables: dict[str, object]) -> dict[str, Any]:
    answer: dict[str, Any] = api.post("/graphql", json={"query": query, "variables": variables}).raise_for_status().json()
    if "errors" in answer:
        raise SmokeFailure(f"GraphQL: {answer['errors']}")
    data: dict[str, Any] = answer["data"]
    return data


def _watch_stream(settings: SmokeSettings, contract: Contract, console: Console) -> None:
    """Wait for predictions that the stream worker makes from now on."""
    start = datetime.now(UTC)
    deadline = time.monotonic() + _STREAM_LIMIT_SECONDS
    with PredictionStore(settings.predictions_url.get_secret_value(), max_connections=1) as store:
        while True:
            fresh = [row for row in store.recent(_STREAM_ROWS, contract.name) if row.scored_at >= start]
            if len(fresh) == _STREAM_ROWS:
                break
            if time.monotonic() > deadline:
                raise SmokeFailure(f"{len(fresh)} predictions came from the stream in {_STREAM_LIMIT_SECONDS} s, expected {_STREAM_ROWS}")
            time.sleep(1)
    console.print("The stream worker's latest predictions:")
    for row in reversed(fresh):
        console.print(f"  {row.message_id}  {row.dataset}@{row.alias} v{row.version}  {row.label} {row.probabilities[row.code]:.2f}")


def _add_models(table: Table, contract: Contract, models: list[ServedModel]) -> None:
    for model in models:
        table.add_row(
            contract.name,
            model.alias,
            model.family,
            model.version,
            model.score,
            model.data,
            model.origin,
        )


if __name__ == "__main__":
    run_program(main)
