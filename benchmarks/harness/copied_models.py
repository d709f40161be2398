"""Many data sets, cheaply: one contract and one model file of a real training, registered in a real MLflow under many names."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mlflow import MlflowClient

from benchmarks.harness.model import DATA, ROWS, fitted, register, rows, signing_registry
from hearth.contracts import Contract, load_contract
from hearth.contracts.aliases import CHALLENGER, CHAMPION
from hearth.registry import ModelPolicy, RegisteredVersion
from hearth.settings import ModelSettings

ORIGINAL = "employees"
_FAMILY = "lightgbm"
_THREADS = 4  # MLflow has as many of its own


def dataset_names(count: int) -> list[str]:
    """Return the names of data sets, the original first."""
    return [ORIGINAL, *(f"copy_{number:03}" for number in range(1, count))]


def write_contracts(folder: Path, names: Sequence[str]) -> None:
    """Write the original's contract and statistics under each name."""
    for name in names:
        (folder / name).mkdir()
        contract = (DATA / ORIGINAL / "contract.yaml").read_text("utf-8")
        own = contract.replace(f"name: {ORIGINAL}\n", f"name: {name}\n").replace("dags_without_prefix: [etl_mlflow, train]\n", "")
        (folder / name / "contract.yaml").write_text(own, "utf-8")
        (folder / name / "statistics.json").write_bytes((DATA / ORIGINAL / "statistics.json").read_bytes())


def register_copies(uri: str, names: Sequence[str]) -> None:
    """Register a version for each family of each data set and set five aliases; all are the files of one LightGBM, signed."""
    contract = load_contract(ORIGINAL, DATA)
    X, y = rows(contract, ROWS)
    registry = signing_registry(uri)
    number = register(registry, contract, _FAMILY, fitted(contract, _FAMILY, X, y), X)
    original = registry.version(ORIGINAL, number)
    with registry.download(original) as files:
        digests = dict(files.digests)
    client = MlflowClient(uri, uri)
    stored = client.get_model_version(ORIGINAL, number)
    model_id = next(part for part in str(client.get_model_version_download_uri(ORIGINAL, number)).split("/") if part.startswith("m-"))
    client.delete_registered_model(ORIGINAL)  # it is made anew like all others
    with ThreadPoolExecutor(_THREADS) as threads:
        for done in [threads.submit(_copy, client, name, contract, original, model_id, digests, stored.tags) for name in names]:
            done.result()


def _copy(  # noqa: PLR0913, PLR0917 - what is copied, and where
    client: MlflowClient,
    name: str,
    contract: Contract,
    original: RegisteredVersion,
    model_id: str,
    digests: dict[str, str],
    tags: dict[str, str],
) -> None:
    policy = ModelPolicy.of(ModelSettings())
    client.create_registered_model(name)
    numbers = {}
    for family in contract.families:
        signed = policy.version_tags(dataset=name, family=family, run_id=original.run_id, digest=original.digest, files=digests)
        own = {**tags, "hearth.dataset": name, "hearth.family": family, **signed}
        version = client.create_model_version(name, f"models:/{model_id}", original.run_id, tags=own, model_id=model_id)
        numbers[family] = version.version
        gate = policy.gate_tags(dataset=name, version=str(version.version), run_id=original.run_id, gate="passed")
        for tag, value in {**gate, "hearth.gate": "passed"}.items():
            client.set_model_version_tag(name, str(version.version), tag, value)
        client.set_registered_model_alias(name, family, version.version)
    client.set_registered_model_alias(name, CHAMPION, numbers[_FAMILY])
    client.set_registered_model_alias(name, CHALLENGER, numbers[contract.families[0]])
