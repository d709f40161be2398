"""The card that a training writes, in a real MLflow, against the metrics and the tags of its run and version."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast
from uuid import uuid4

import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient

from hearth.cards import Card
from hearth.cards.html import MOST_PICTURE_BYTES
from hearth.contracts import Contract, load_contract
from hearth.contracts.loading import read_contract
from hearth.contracts.origins import Origin
from hearth.data import processed
from hearth.data.cleaning import digest
from hearth.jobs.promote import judge, promote
from hearth.jobs.report import update_card
from hearth.jobs.train import train
from hearth.modelling.approval import NOBODY, Approval
from hearth.modelling.families import FAMILIES
from hearth.registry import RegisteredVersion, Registry
from hearth.settings import get_settings
from hearth.storage import ObjectStore
from tests.support.cards import small_card
from tests.support.fake_registry import FakeRegistry
from tests.support.samples import ROOT, sample_split

FIGURES = {
    "confusion_matrix.png",
    "contributions.png",
    "groups.png",
    "importances.png",
    "partial_dependence.png",
    "precision_recall.png",
    "reliability.png",
    "shap_summary.png",
}


@pytest.fixture
def contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Contract]:
    """The employees' data set under another name, with every family and a column whose name is an attack."""
    name = f"data_{uuid4().hex}"
    content = yaml.safe_load((ROOT / "data/employees/contract.yaml").read_text("utf-8"))
    content |= {"name": name, "dags_without_prefix": [], "gate": {}, "families": list(FAMILIES)}
    content["columns"]["<b>Team|Size</b>"] = content["columns"].pop("Team Size")
    path = tmp_path / name / "contract.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(content, sort_keys=False), "utf-8")
    monkeypatch.setenv("HEARTH_DATA_DIR", str(tmp_path))
    get_settings.cache_clear()
    yield read_contract(path)
    get_settings.cache_clear()


def rewritten(contract: Contract, changes: Mapping[str, Mapping[str, object]]) -> Contract:
    """Change words of parts of the contract in its file, from which the jobs read it."""
    path = get_settings().data_dir / contract.name / "contract.yaml"
    content = yaml.safe_load(path.read_text("utf-8"))
    for part, words in changes.items():
        content[part] |= words
    path.write_text(yaml.safe_dump(content, sort_keys=False), "utf-8")
    return read_contract(path)


def trained(  # noqa: PLR0913, PLR0917 - what a training is made of
    contract: Contract,
    store: ObjectStore,
    registry: Registry,
    family: str,
    origin: Origin = "file",
    groups: pd.DataFrame | None = None,
) -> RegisteredVersion:
    split = sample_split(contract, 400, 400)
    if groups is not None:
        split = replace(split, groups_test=groups)
    name = digest(split)
    processed.write_split(store, contract.name, name, split)
    processed.write_manifest(store, processed.Manifest(contract.name, name, len(split.X_train), len(split.X_test), origin))
    processed.write_latest(store, processed.read_manifest(store, contract.name, name))
    version = train(contract.name, family, digest=name, trials=1, seed=7, key="run", store=store, registry=registry)
    return registry.version(contract.name, version)


def files(registry: Registry, version: RegisteredVersion) -> dict[str, bytes]:
    return registry.run_files(version, ["card.json", "card.md", "card.html", "groups.csv", "groups.json"], 10_000_000)


def card_of(registry: Registry, version: RegisteredVersion) -> Card:
    card = Card.from_json(files(registry, version)["card.json"])
    assert card is not None
    return card


@pytest.mark.parametrize("family", FAMILIES)
def test_the_figures_of_a_card_are_the_metrics_of_the_run(contract: Contract, store: ObjectStore, registry: Registry, family: str) -> None:
    version = trained(contract, store, registry, family)

    card, written = card_of(registry, version), files(registry, version)
    markdown, page = written["card.md"].decode(), written["card.html"].decode()
    assert (card.dataset, card.family, card.data.digest) == (contract.name, family, version.digest)
    of_sets = {name: value for name, value in version.metrics.items() if name.startswith("set_")}
    own = {
        name for name in version.metrics if name not in {"train_rows", "fitted_rows", "test_rows", *of_sets} and not name.startswith("cv_")
    }
    assert set(card.metrics) == own
    for name in own:
        assert card.metrics[name].figure == version.metrics[name], name
        figure = f"{version.metrics[name]:.4f}"
        assert re.search(rf"\| {re.escape(name.replace('_', chr(92) + '_'))} \| {figure} \|", markdown), name
        assert f'<td>{name}</td><td class="number">{figure}</td>' in page, name
    assert len(of_sets) == 2 + len(contract.target.classes)
    for name, value in of_sets.items():
        assert (f"{value:.2f} classes" if name == "set_size" else f"| {value:.3f} |") in markdown, name
    assert f"the log loss is {version.metrics['cv_log_loss']:.4f}" in markdown
    assert card.training.cv_score == version.metrics[f"cv_{contract.metric}"]
    assert (card.data.train_rows, card.data.test_rows) == (version.metrics["train_rows"], version.metrics["test_rows"])
    assert sum(map(sum, card.confusion)) == card.data.test_rows
    assert {name: version.params[name] for name in card.training.params} == dict(card.training.params)
    assert card.training.search == {"trials": "1", "seed": "7"}
    assert dict(card.libraries) == version.libraries
    assert card.revision == version.tags["hearth.git_revision"] == "0123"
    assert {*card.pictures} - {"slices.png"} == FIGURES


def test_the_page_holds_the_pictures_of_the_run_and_no_name_of_a_column_as_markup(
    contract: Contract, store: ObjectStore, registry: Registry, mlflow_uri: str
) -> None:
    version = trained(contract, store, registry, "lightgbm")

    page, markdown = (files(registry, version)[name].decode() for name in ("card.html", "card.md"))
    card = card_of(registry, version)
    stored = {Path(file.path).name: file.file_size for file in MlflowClient(mlflow_uri).list_artifacts(version.run_id, "figures")}
    assert set(stored) == set(card.pictures)
    assert all(size and size < MOST_PICTURE_BYTES for size in stored.values())
    assert page.count("data:image/png;base64,") == len(stored)
    assert "<b>" not in page
    assert "&lt;b&gt;Team|Size&lt;/b&gt;" in page
    assert "<b>" not in markdown
    assert r"&lt;b&gt;Team\|Size&lt;/b&gt;" in markdown


def test_groups_are_a_table_of_mlflow_a_csv_file_and_a_picture(
    contract: Contract, store: ObjectStore, registry: Registry, mlflow_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = trained(contract, store, registry, "lightgbm")

    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_uri)
    run = MlflowClient(mlflow_uri).get_run(version.run_id)
    table = MlflowClient(mlflow_uri).load_table(run.info.experiment_id, "groups.json", [version.run_id])
    report = card_of(registry, version).groups
    assert json.loads(run.data.tags["mlflow.loggedArtifacts"]) == [{"path": "groups.json", "type": "table"}]
    assert len(table) == len(report.table()) == files(registry, version)["groups.csv"].decode().count("\n") - 1
    [recall] = table.query("group == 'Female' and `class` == 'High' and measure == 'recall'")["figure"]
    [figure] = [class_.recall for group in report.groups if group.group == "Female" for class_ in group.classes if class_.label == "High"]
    assert recall == pytest.approx(figure.interval.figure)


@pytest.mark.parametrize("published", [True, False])
def test_groups_of_a_column_that_no_model_sees_are_in_the_card(
    contract: Contract, store: ObjectStore, registry: Registry, published: bool
) -> None:
    gender = contract.columns["Gender"].model_dump(exclude_unset=True) | {"feature": False}
    hidden = rewritten(contract, {"columns": {"Gender": gender}})
    groups = pd.DataFrame({"Gender": ["Female", "Male"] * 200}) if published else None

    version = trained(hidden, store, registry, "lightgbm", groups=groups)

    card, markdown = card_of(registry, version), files(registry, version)["card.md"].decode()
    absent = "Gender: the test rows do not have this column"
    assert "Gender" not in {part.name for part in card.features}
    assert [group.group for group in card.groups.groups] == (["Female", "Male"] if published else [])
    assert any(limit.startswith(absent) for limit in card.limits) is (absent in markdown) is not published
    assert "No column is named under sensitive" not in markdown


def test_what_the_gate_decided_and_who_approved_is_written_into_the_card(
    contract: Contract, store: ObjectStore, registry: Registry, mlflow_uri: str
) -> None:
    version = trained(contract, store, registry, "lightgbm")
    assert (card_of(registry, version).gate, card_of(registry, version).version) == ("not judged", "")

    decision = promote(contract.name, "lightgbm", version.version, store=store, registry=registry)

    card = card_of(registry, version)
    assert (card.version, card.gate, card.approval) == (version.version, "passed", "no approval required")
    assert card.aliases == ("champion", "lightgbm")
    assert card.decision == decision
    assert card.standing is not None
    assert decision.reasons[0].replace("'", "") in files(registry, version)["card.html"].decode().replace("'", "")
    registry.annotate(version, {"hearth.approved_by": "Ada <b>", "hearth.approval": "approved"})
    update_card(registry, contract, version.version)
    assert "Ada &lt;b&gt;" in files(registry, version)["card.html"].decode()
    experiment = MlflowClient(mlflow_uri).get_run(version.run_id).info.experiment_id
    link = f"[Model card](#/experiments/{experiment}/runs/{version.run_id}/artifacts/card.html)"
    description = MlflowClient(mlflow_uri).get_model_version(contract.name, version.version).description or ""
    assert link in description
    assert "**Decision:**" in description


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (Approval("approved", "Ada"), "approved by Ada"),
        (Approval("refused", "Ada"), "refused by Ada"),
        (Approval("refused", NOBODY), "no answer in time"),
    ],
)
def test_a_card_says_that_its_version_waits_and_what_a_person_answers(
    contract: Contract, store: ObjectStore, registry: Registry, answer: Approval, text: str
) -> None:
    asking = rewritten(contract, {"gate": {"approval": "required"}})
    version = trained(asking, store, registry, "lightgbm")
    said = [card_of(registry, version)]

    judge(contract.name, "lightgbm", version.version, "dag/run/task", store=store, registry=registry)
    said.append(card_of(registry, version))
    promote(contract.name, "lightgbm", version.version, approval=answer, store=store, registry=registry)
    said.append(card_of(registry, version))

    gate = "passed" if answer.state == "approved" else "refused"
    assert [(card.gate, card.approval) for card in said] == [
        ("not judged", "approval required, not judged yet"),
        ("waiting", "waiting for approval"),
        (gate, text),
    ]
    assert f"| approval | {text} |" in files(registry, version)["card.md"].decode()


def test_the_card_of_a_version_that_the_gate_refuses_before_a_person_is_asked_says_so(
    contract: Contract, store: ObjectStore, registry: Registry
) -> None:
    asking = rewritten(contract, {"gate": {"approval": "required", "bounds": {"group_metric": 1}}})
    version = trained(asking, store, registry, "lightgbm")

    judge(contract.name, "lightgbm", version.version, "dag/run/task", store=store, registry=registry)

    card = card_of(registry, version)
    assert (card.gate, card.approval) == ("refused", "approval required, nobody was asked")


def test_a_version_of_generated_data_says_so(contract: Contract, store: ObjectStore, registry: Registry) -> None:
    version = trained(contract, store, registry, "lightgbm", "generated")

    assert card_of(registry, version).data.origin == "generated"
    for name in ("card.md", "card.html"):
        text = files(registry, version)[name].decode()
        assert "Made from generated data: its figures say nothing about real rows" in text
        assert "All rows were generated" in text


def test_a_version_whose_run_was_deleted_is_promoted_without_a_card(
    contract: Contract, store: ObjectStore, registry: Registry, mlflow_uri: str
) -> None:
    version = trained(contract, store, registry, "lightgbm")
    MlflowClient(mlflow_uri).delete_run(version.run_id)

    assert promote(contract.name, "lightgbm", version.version, store=store, registry=registry).passed


def test_a_card_that_cannot_be_written_stays_as_it_is_and_stops_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> str:
        raise OverflowError("too large")

    registry = FakeRegistry(champion="2")  # writes no file
    registry.files = {"2": {"card.json": small_card().to_json()}}
    monkeypatch.setattr("hearth.jobs.report.to_markdown", fail)

    update_card(cast("Registry", registry), load_contract("employees", ROOT / "data"), "2")

    assert "is not its card: too large" in caplog.text


def test_a_file_that_is_too_large_or_elsewhere_is_not_read(contract: Contract, store: ObjectStore, registry: Registry) -> None:
    version = trained(contract, store, registry, "lightgbm")

    assert registry.run_files(version, ["card.json", "no such file", "../../x"], 100) == {}
    assert set(registry.run_files(version, ["card.json", "no such file"], 10_000_000)) == {"card.json"}


def test_the_contracts_of_this_repository_say_what_their_models_are_for() -> None:
    for name in ("employees", "heart", "covertype"):
        card = load_contract(name, ROOT / "data").card
        assert all((card.intended_use, card.not_for, card.oversight, card.limits, card.source, card.period, card.licence)), name
        assert card.people is not None
    assert load_contract("employees", ROOT / "data").card.area == "employment"
