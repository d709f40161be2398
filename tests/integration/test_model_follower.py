"""Versions and aliases of a real MLflow, as the processes that serve follow them."""

from uuid import uuid4

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline

from hearth.errors import ModelUnavailable
from hearth.modelling.features import build_features
from hearth.registry import NewVersion, Registry
from hearth.serving.model_follower import ModelFollower
from tests.support.samples import EMPLOYEES, records, sample_rows
from tests.support.waiting import wait_until


def test_aliases_of_a_real_registry_are_followed(mlflow_uri: str) -> None:
    registry = Registry(mlflow_uri, revision="0123")
    contract = EMPLOYEES.model_copy(update={"name": f"data_{uuid4().hex}"})
    X, y = sample_rows(contract, 200)

    def register(neighbours: int) -> Pipeline:
        steps = [("features", build_features(contract)), ("model", KNeighborsClassifier(neighbours))]
        pipeline = Pipeline(steps).fit(X, y.to_numpy())
        registry.register(
            NewVersion(contract.name, "knn", "0a1b", uuid4().hex, pipeline, X.head(2), {"k": neighbours}, {"macro_f1": 0.5}, {})
        )
        return pipeline

    with ModelFollower(registry, {contract.name: contract}, poll_seconds=0.05) as models:
        with pytest.raises(ModelUnavailable, match="no version carries this alias yet"):
            models.get(contract.name, "champion")
        for number, neighbours in (("1", 5), ("2", 25)):
            pipeline = register(neighbours)
            registry.set_alias(contract.name, "champion", number)

            def serves(number: str = number) -> bool:
                return any(alias.serving == number for alias in models.status().aliases)

            wait_until(serves)
            model = models.get(contract.name, "champion")
            registered = model.registered
            assert (registered.params, registered.metrics) == ({"k": str(neighbours)}, {"macro_f1": 0.5})
            assert (registered.status, registered.digest, registered.version) == ("READY", "0a1b", number)
            assert registered.source.startswith("models:/")
            scores = model.scorer.score(records(X))
            np.testing.assert_array_equal(scores.probabilities, pipeline.predict_proba(X))
