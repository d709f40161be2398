"""What is told to Prometheus, read as Prometheus reads it."""

import urllib.request
from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families as families

from deploy.embedded.temporary_servers import free_port
from hearth.errors import InvalidSettings
from hearth.serving.alias_view import AliasStatus, FollowerStatus
from hearth.serving.metrics import (
    Errors,
    Requests,
    metrics_text,
    new_registry,
    register_model_metrics,
    register_recorder_metrics,
    serve_metrics,
)
from hearth.serving.recording.agreement import ChallengeReport
from hearth.serving.recording.recorder import RecorderCounts
from hearth.serving.recording.store_queue import StoreCounts

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


Sample = tuple[str, frozenset[tuple[str, str]]]


def of(name: str, **labels: str) -> Sample:
    return name, frozenset(labels.items())


def samples(text: str) -> dict[Sample, float]:
    return {of(sample.name, **sample.labels): sample.value for family in families(text) for sample in family.samples}


def told(registry: CollectorRegistry) -> dict[Sample, float]:
    content, media_type = metrics_text(registry, "")
    assert media_type.startswith("text/plain")
    return samples(content.decode())


def test_a_process_tells_of_itself() -> None:
    found = told(new_registry())

    assert found[of("process_resident_memory_bytes")] > 1_000_000
    assert any(name == "python_gc_collections_total" for name, _ in found)


def test_requests_and_their_time_are_counted_by_route_and_outcome() -> None:
    registry = CollectorRegistry()
    requests = Requests(registry, "http_request", by=("method", "route"), outcome="status")
    for status, seconds in (("200", 0.002), ("200", 0.02), ("422", 0.004)):
        requests.observe(("POST", "/predict", status), seconds)

    found = told(registry)
    assert found[of("hearth_http_requests_total", method="POST", route="/predict", status="200")] == 2
    assert found[of("hearth_http_requests_total", method="POST", route="/predict", status="422")] == 1
    assert found[of("hearth_http_request_seconds_bucket", method="POST", route="/predict", le="0.005")] == 2
    assert found[of("hearth_http_request_seconds_sum", method="POST", route="/predict")] == pytest.approx(0.026)


def test_errors_are_counted_by_code() -> None:
    registry = CollectorRegistry()
    errors = Errors(registry, "grpc")
    for code in ("invalid_records", "invalid_records", "model_unavailable"):
        errors.count(code)

    assert told(registry) == {
        of("hearth_errors_total", protocol="grpc", code="invalid_records"): 2,
        of("hearth_errors_total", protocol="grpc", code="model_unavailable"): 1,
    }


def test_what_serves_and_what_became_of_moved_aliases_is_told() -> None:
    registry = CollectorRegistry()
    status = FollowerStatus(
        following=True,
        last_poll=NOON,
        problem="",
        aliases=(
            AliasStatus("employees", "champion", "3", "3", ""),
            AliasStatus("employees", "knn", "1", "4", "refused"),
            AliasStatus("employees", "svm", None, None, ""),
        ),
        reloads={("employees", "champion", "swapped"): 2, ("employees", "knn", "refused"): 1},
    )
    register_model_metrics(registry, lambda: status)

    assert told(registry) == {
        of("hearth_model_follower_problem"): 0,
        of("hearth_model_follower_last_look_timestamp_seconds"): NOON.timestamp(),
        of("hearth_model_serving", dataset="employees", alias="champion", version="3"): 1,
        of("hearth_model_serving", dataset="employees", alias="knn", version="1"): 1,
        of("hearth_model_alias_problem", dataset="employees", alias="champion"): 0,
        of("hearth_model_alias_problem", dataset="employees", alias="knn"): 1,
        of("hearth_model_reloads_total", dataset="employees", alias="champion", outcome="swapped"): 2,
        of("hearth_model_reloads_total", dataset="employees", alias="knn", outcome="refused"): 1,
    }


@pytest.mark.parametrize(("following", "problem"), [(False, ""), (True, "MLflow does not answer.")])
def test_a_registry_that_nobody_hears_of_is_a_problem(following: bool, problem: str) -> None:
    registry = CollectorRegistry()
    register_model_metrics(registry, lambda: FollowerStatus(following, None, problem, ()))

    assert told(registry)[of("hearth_model_follower_problem")] == 1


def test_what_was_scored_stored_and_compared_is_told() -> None:
    registry = CollectorRegistry()
    pairs = tuple(
        ChallengeReport("employees", "3", version, 10, 7, {"Low": 6, "High": 4}, {"Low": 3, "High": 7}, {"behind": 5}) for version in "45"
    )
    storing = StoreCounts({("rest", "answer"): 90}, {("store_away", "rest", "answer"): 8}, waiting=2, problem="away")
    register_recorder_metrics(registry, lambda: RecorderCounts({("employees", "champion", "3", "rest"): 100}, storing, pairs))

    found = told(registry)
    pair = {"dataset": "employees", "champion_version": "3", "challenger_version": "4"}
    assert found[of("hearth_records_scored_total", dataset="employees", alias="champion", version="3", source="rest")] == 100
    assert found[of("hearth_predictions_stored_total", source="rest", role="answer")] == 90
    assert found[of("hearth_predictions_not_stored_total", reason="store_away", source="rest", role="answer")] == 8
    # from the first answer on, so that Prometheus sees the increase when the first is lost
    assert found[of("hearth_predictions_not_stored_total", reason="queue_full", source="rest", role="answer")] == 0
    assert (found[of("hearth_predictions_waiting")], found[of("hearth_predictions_store_problem")]) == (2, 1)
    assert found[of("hearth_challenger_compared_total", **pair)] == 10
    assert found[of("hearth_challenger_agreed_total", **pair)] == 7
    assert found[of("hearth_challenger_classes_total", **pair, role="challenger", **{"class": "High"})] == 7
    assert found[of("hearth_challenger_skipped_total", dataset="employees", reason="behind")] == 10


class TestServe:
    def test_a_port_answers_while_it_is_open(self) -> None:
        registry, port = CollectorRegistry(), free_port()
        Errors(registry, "stream").count("invalid_message")
        with serve_metrics(registry, "127.0.0.1", port), urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            assert samples(answer.read().decode()) == {of("hearth_errors_total", protocol="stream", code="invalid_message"): 1}
        with serve_metrics(registry, "127.0.0.1", port):  # it is free again
            pass

    def test_port_0_serves_nothing(self) -> None:
        with serve_metrics(CollectorRegistry(), "no such host", 0):
            pass

    def test_a_port_that_is_taken_is_named(self) -> None:
        port = free_port()
        with (
            serve_metrics(CollectorRegistry(), "127.0.0.1", port),
            pytest.raises(InvalidSettings, match=rf"127\.0\.0\.1:{port}.* Each process needs a metrics port of its own; 0 turns it off"),
            serve_metrics(CollectorRegistry(), "127.0.0.1", port),
        ):
            pass
