"""docs/add-a-model.md, followed to the letter: services that have the entry load, score and explain what it has trained."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from deploy.embedded import temporary_servers
from tests.support import guide
from tests.support.stack import Addresses, Stack, stack_of
from tests.support.waiting import wait_until

AT = "127.0.0.1:8800"  # where the page says that REST is


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> guide.Guide:
    return guide.boosted_trees(tmp_path_factory.mktemp("boosted-trees"))


@pytest.fixture(scope="module")
def stack(followed: guide.Guide, mlflow_uri: str, postgres_url: str, valkey_url: str) -> Iterator[Stack]:
    addresses = Addresses(mlflow_uri, temporary_servers.create_database(postgres_url, "add_a_model"), valkey_url)
    with stack_of(followed, "heart", addresses, own_code=True) as stack:
        wait_until(lambda: problems(stack) == [""], problem=lambda: problems(stack))
        yield stack


def problems(stack: Stack) -> list[str]:
    """What keeps the alias of the page's family from serving: one text, empty when it serves."""
    [heart] = [entry for entry in httpx.get(f"{stack.api_url}/models", timeout=30).json()["datasets"] if entry["dataset"] == "heart"]
    return [alias["problem"] for alias in heart["aliases"] if alias["alias"] == "boosted_trees"]


def asked(followed: guide.Guide, stack: Stack, title: str) -> Any:
    """What the answer to a command of the page says."""
    return json.loads(followed.run(title, replaced={AT: f"127.0.0.1:{stack.api_port}"}))


def test_its_alias_answers(followed: guide.Guide, stack: Stack) -> None:
    answer = asked(followed, stack, "rest")

    assert (answer["alias"], answer["family"]) == ("boosted_trees", "boosted_trees")
    assert sum(answer["probabilities"][0].values()) == pytest.approx(1)


def test_it_is_explained_by_sampling(followed: guide.Guide, stack: Stack) -> None:
    reason = asked(followed, stack, "explain")

    [explanation] = reason["explanations"]
    added = sum(part["contribution"] for part in explanation["contributions"])
    assert reason["method"].startswith("Shapley values sampled over ")
    assert explanation["base_value"] + added == pytest.approx(explanation["score"])


def test_its_features_are_compiled_and_no_service_complains(followed: guide.Guide, stack: Stack) -> None:
    assert problems(stack) == [""]

    for log in followed.root.parent.glob("*.log"):
        text = log.read_text("utf-8")
        assert "scikit-learn scores instead" not in text
        assert "which scores instead" not in text
