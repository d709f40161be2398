"""What our trainings register and our gate decides is signed, in a real MLflow; what is not, or was changed, is not trusted."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from mlflow import MlflowClient
from sklearn.pipeline import Pipeline

from hearth.errors import InvalidSettings, RefusedModel, RegistryError
from hearth.modelling.families import FAMILIES
from hearth.modelling.prediction_sets import PredictionSets
from hearth.modelling.trust import Trust
from hearth.registry import ModelPolicy, NewVersion, RegisteredVersion, Registry
from hearth.registry.model_download import download
from hearth.registry.signing import Signed, Signer
from hearth.training.tuning import fit
from tests.support.samples import EMPLOYEES, sample_split

SPLIT = sample_split(EMPLOYEES)
FAMILY = "logistic_regression"
FITTED = fit(EMPLOYEES, SPLIT.X_train, SPLIT.y_train, FAMILIES[FAMILY], params=FAMILIES[FAMILY].defaults, seed=1)
KEY, OLDER = "a key that MLflow does not have", "the key before that one"
CONTENT = {"kind": "version", "files": {"MLmodel": "00", "model.skops": "11"}}


class TestSigner:
    def test_a_signature_holds_for_its_content_alone(self) -> None:
        signer = Signer([KEY])
        signature = signer.sign(CONTENT)

        assert signer.check(signature, dict(reversed(CONTENT.items()))) is Signed.YES
        assert signer.check(signature, {**CONTENT, "files": {"MLmodel": "00", "model.skops": "12"}}) is Signed.CHANGED
        assert signer.check(f"{signature}0", CONTENT) is Signed.CHANGED
        assert signer.check("", CONTENT) is Signed.NO
        assert KEY not in signature

    @pytest.mark.parametrize("signature", ["x", "v1", "v1:", "v2:00000000:00", "v1:00000000:00", "::", "é", "v1:é:é"])
    def test_anything_else_is_no_signature_of_ours(self, signature: str) -> None:
        assert Signer([KEY]).check(signature, CONTENT) is Signed.OTHER_KEY

    def test_a_new_key_comes_first_and_signatures_of_the_older_one_hold_until_it_is_taken_away(self) -> None:
        old = Signer([OLDER]).sign(CONTENT)

        assert Signer([KEY, OLDER]).check(old, CONTENT) is Signed.YES
        assert Signer([KEY]).check(old, CONTENT) is Signed.OTHER_KEY
        assert Signer([KEY]).check(Signer([KEY, OLDER]).sign(CONTENT), CONTENT) is Signed.YES

    def test_a_short_key_is_refused(self) -> None:
        with pytest.raises(InvalidSettings, match="a key has fewer than 16 characters"):
            Signer([KEY, "short"])


@pytest.fixture
def registry(mlflow_uri: str) -> Registry:
    """That of a training, in production."""
    return Registry(mlflow_uri, revision="0123", policy=ModelPolicy(Signer([KEY]), requires_signatures=True))


@pytest.fixture
def stranger(mlflow_uri: str) -> Registry:
    """Anybody who reaches MLflow."""
    return Registry(mlflow_uri, revision="0123")


@pytest.fixture
def client(mlflow_uri: str) -> MlflowClient:
    return MlflowClient(mlflow_uri, mlflow_uri)


@pytest.fixture
def dataset() -> str:
    return f"data_{uuid4().hex}"


def register(registry: Registry, dataset: str, family: str = FAMILY) -> RegisteredVersion:
    return registry.register(NewVersion(dataset, family, "0011", uuid4().hex, FITTED, SPLIT.X_test.head(3), {}, {}, {}))


def copied(
    registry: Registry, client: MlflowClient, version: RegisteredVersion, folder: Path, change: Callable[[Path], object]
) -> RegisteredVersion:
    """Register a changed copy of a version, with all of its tags."""
    with registry.download(version) as files:
        shutil.copytree(files.folder, folder, dirs_exist_ok=True)
    change(folder)
    run = client.get_run(version.run_id)
    model = client.create_logged_model(run.info.experiment_id, "copy", version.run_id)
    client.log_model_artifacts(model.model_id, str(folder))
    client.finalize_logged_model(model.model_id, "READY")
    copy = client.create_model_version(version.dataset, model.model_uri, version.run_id, tags=dict(version.tags), model_id=model.model_id)
    return registry.version(version.dataset, str(copy.version))


class TestVersions:
    def test_what_a_training_registers_is_loaded_where_signatures_are_required(self, registry: Registry, dataset: str) -> None:
        version = registry.version(dataset, register(registry, dataset).version)

        assert version.signed
        assert isinstance(registry.load(version), Pipeline)

    def test_a_version_of_anybody_else_is_refused_with_the_way_on_and_loaded_with_a_warning_on_a_laptop(
        self, registry: Registry, stranger: Registry, mlflow_uri: str, dataset: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        version = registry.version(dataset, register(stranger, dataset).version)
        with pytest.raises(RefusedModel, match=rf"/1 is not signed, and only what our trainings signed .*: hearth sign {dataset} 1\."):
            registry.load(version)
        laptop = Registry(mlflow_uri, policy=ModelPolicy(Signer([KEY])))

        assert isinstance(laptop.load(version), Pipeline)
        assert "is not signed: anybody who reaches MLflow may have made it" in caplog.text
        assert not version.signed

    def test_a_signature_does_not_hold_for_other_files_another_family_or_another_run(
        self, registry: Registry, mlflow_uri: str, client: MlflowClient, dataset: str, tmp_path: Path
    ) -> None:
        version = registry.version(dataset, register(registry, dataset).version)

        def other_bytes(path: Path) -> None:
            (path / "model.skops").write_bytes((path / "model.skops").read_bytes() + b"\0")

        changed = copied(registry, client, version, tmp_path, other_bytes)
        laptop = Registry(mlflow_uri, policy=ModelPolicy(Signer([KEY])))  # a changed version is refused there too
        for each in (registry, laptop):
            with pytest.raises(RefusedModel, match=r"/2 was changed after it was signed"):
                each.load(changed)
        client.set_model_version_tag(dataset, "1", "hearth.family", "knn")
        with pytest.raises(RefusedModel, match="was changed after it was signed"):
            registry.load(registry.version(dataset, "1"))

    @pytest.mark.parametrize("change", ["taken away", "changed", "added"])
    def test_a_signature_covers_what_a_version_knows_of_its_limits(
        self, registry: Registry, client: MlflowClient, dataset: str, tmp_path: Path, change: str
    ) -> None:
        trust = Trust(sets=PredictionSets(0.9, (0.1, 0.2, 0.3)))
        given = None if change == "added" else trust
        new = NewVersion(dataset, FAMILY, "0011", uuid4().hex, FITTED, SPLIT.X_test.head(3), {}, {}, {}, trust=given)
        version = registry.version(dataset, registry.register(new).version)
        assert registry.load_with_example(version).trust == given

        def spoil(folder: Path) -> None:
            path = folder / "trust.json"
            if change == "taken away":
                path.unlink()
            else:
                path.write_bytes(replace(trust, sets=PredictionSets(0.9, (0.0, 0.0, 0.0))).to_json())

        with pytest.raises(RefusedModel, match="was changed after it was signed"):
            registry.load(copied(registry, client, version, tmp_path, spoil))

    def test_an_old_version_is_loaded_after_a_person_has_signed_it(self, registry: Registry, stranger: Registry, dataset: str) -> None:
        version = registry.version(dataset, register(stranger, dataset).version)
        with pytest.raises(RegistryError, match="there is no key to sign with"):
            stranger.sign(version)
        registry.sign(version)

        assert isinstance(registry.load(registry.version(dataset, "1")), Pipeline)

    @pytest.mark.parametrize(
        "location", ["file:///etc", "http://127.0.0.1:1/model", "s3://bucket/model", "mlflow-artifacts://127.0.0.1:1/0/m"]
    )
    def test_files_of_another_server_are_not_asked_for(self, mlflow_uri: str, tmp_path: Path, location: str) -> None:
        with pytest.raises(RefusedModel, match="only files of the MLflow server itself are loaded"):
            download(mlflow_uri, location, ["MLmodel"], tmp_path, "models:/employees/1", 1_000)

    def test_a_version_of_more_bytes_than_allowed_is_refused_while_it_is_downloaded(
        self, registry: Registry, mlflow_uri: str, dataset: str
    ) -> None:
        version = registry.version(dataset, register(registry, dataset).version)
        small = Registry(mlflow_uri, policy=ModelPolicy(Signer([KEY]), most_file_bytes=100_000))
        with pytest.raises(RefusedModel, match=r"has files of more than 100,000 bytes \(HEARTH_MODEL_MAX_FILE_BYTES\)"):
            small.load(version)


class TestGate:
    def test_a_decision_of_the_gate_is_signed_and_a_tag_that_anybody_wrote_is_none(
        self, registry: Registry, client: MlflowClient, dataset: str
    ) -> None:
        version = register(registry, dataset)
        client.set_model_version_tag(dataset, "1", "hearth.gate", "passed")
        forged = registry.version(dataset, "1")
        assert (forged.tags["hearth.gate"], forged.gate_signed) == ("not signed", False)

        registry.annotate(version, {"hearth.gate": "refused"})
        judged = registry.version(dataset, "1")
        assert (judged.tags["hearth.gate"], judged.gate_signed) == ("refused", True)

        client.set_model_version_tag(dataset, "1", "hearth.gate", "passed")
        assert registry.version(dataset, "1").tags["hearth.gate"] == "not signed"
        assert registry.versions(dataset)[0].tags["hearth.gate"] == "not signed"

    def test_a_decision_about_one_version_does_not_hold_for_another(self, registry: Registry, client: MlflowClient, dataset: str) -> None:
        good, other = register(registry, dataset), register(registry, dataset)
        registry.annotate(good, {"hearth.gate": "passed"})
        for name in ("hearth.gate", "hearth.gate_signature"):
            client.set_model_version_tag(dataset, other.version, name, client.get_model_version(dataset, good.version).tags[name])

        assert registry.version(dataset, good.version).tags["hearth.gate"] == "passed"
        assert registry.version(dataset, other.version).tags["hearth.gate"] == "not signed"

    def test_on_a_laptop_a_decision_from_before_there_were_signatures_holds(
        self, stranger: Registry, mlflow_uri: str, dataset: str
    ) -> None:
        stranger.annotate(register(stranger, dataset), {"hearth.gate": "passed"})
        laptop = Registry(mlflow_uri, policy=ModelPolicy(Signer([KEY])))

        assert (laptop.version(dataset, "1").tags["hearth.gate"], laptop.version(dataset, "1").gate_signed) == ("passed", False)


def test_a_registered_model_that_was_made_anew_was_created_later(registry: Registry, client: MlflowClient, dataset: str) -> None:
    register(registry, dataset)
    registry.set_alias(dataset, "champion", "1")
    before = registry.registered_model(dataset)
    client.delete_registered_model(dataset)
    assert registry.registered_model(dataset).created is None
    register(registry, dataset)
    registry.set_alias(dataset, "champion", "1")
    after = registry.registered_model(dataset)

    assert before.aliases == after.aliases == {"champion": "1"}
    assert before.created
    assert after.created
    assert after.created > before.created
