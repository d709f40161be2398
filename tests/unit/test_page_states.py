"""How services are that the page does not ask itself, by what REST tells of them; and metrics of a worker that waits."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from streamlit_app.health_checks import Health, airflow, batch_api, grpc, worker
from streamlit_app.service import Json, Service, ServiceError
from streamlit_app.states import producer, rest_health, worker_health

SERVES: list[Json] = [{"dataset": "employees", "alias": "champion", "version": "1"}]
UNTRAINED: list[Json] = [{"dataset": "employees", "alias": "champion", "version": None}]
METRICS = b'hearth_stream_waits{server="stream"} %d.0\nhearth_stream_waits{server="predictions"} %d.0\n'


def stream(**changes: float | None) -> Json:
    return {"stream": "mlops_stream", "length": 5, "bound": 100, "oldest_seconds": 0.0, "newest_seconds": 0.4, **changes}


@contextmanager
def answering(body: bytes, status: int = 200) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class TestProducer:
    @pytest.mark.parametrize("newest", [0.0, 59.0])
    def test_is_well_while_messages_come(self, newest: float) -> None:
        assert producer(stream(newest_seconds=newest), SERVES).state == "ok"

    @pytest.mark.parametrize(
        ("newest", "said"),
        [(75.4, "No message has arrived in the stream mlops_stream for 75 seconds."), (None, "No message has arrived in the stream")],
    )
    def test_is_missed_when_none_has_come_for_a_minute(self, newest: float | None, said: str) -> None:
        assert said in producer(stream(newest_seconds=newest), SERVES).problem

    def test_may_wait_until_there_is_a_model_to_be_asked(self) -> None:
        for found in (producer(stream(newest_seconds=None), UNTRAINED), producer(stream(newest_seconds=900.0), [])):
            assert (found.problem, found.state) == ("", "ok: it waits for the first model of any data set.")

    def test_may_wait_while_the_stream_is_full(self) -> None:
        found = producer(stream(newest_seconds=900.0, length=100), SERVES)
        assert (found.problem, "full (100 messages)" in found.note) == ("", True)

    def test_is_not_known_when_the_stream_is_away(self) -> None:
        found = producer(None, SERVES)
        assert (found.problem, found.is_known, found.state) == ("", False, "unknown: the stream does not answer.")


class TestWorker:
    def test_that_answers_and_leaves_nothing_waiting_is_well(self) -> None:
        with answering(METRICS % (0, 0)) as url:
            assert worker_health(worker(url), stream(oldest_seconds=59.0)).state == "ok"

    def test_that_waits_for_a_server_names_it(self) -> None:
        with answering(METRICS % (0, 1)) as url:
            assert worker(url).problem == "It waits for PostgreSQL."
        with answering(METRICS % (1, 1)) as url:
            assert worker(url).problem == "It waits for Valkey and PostgreSQL."

    def test_that_does_not_keep_up_is_told_by_the_stream(self) -> None:
        assert worker_health(Health("stream worker"), stream(oldest_seconds=1234.0)).problem == "A message has waited for 1,234 seconds."

    def test_that_is_away_is_said_to_be_rather_than_slow(self) -> None:
        away = Health("stream worker", "It is away.")
        assert worker_health(away, stream(oldest_seconds=1234.0)) == away

    def test_is_not_taken_for_well_when_something_else_answers(self) -> None:
        with answering(b"<html>") as url:
            assert worker(url).problem == f"What answers at {url} is not the stream worker."


class TestServers:
    def test_have_their_names_and_addresses_in_words(self) -> None:
        servers = {
            "postgresql": {"problem": "no answer within 2 seconds", "address": "db:5432/predictions"},
            "redis": {"problem": "The stream 'x' at valkey:6379 does not answer.", "address": "valkey:6379"},
            "mlflow": {"problem": "", "address": "http://mlflow:5000", "milliseconds": 4.2},
        }
        assert [state.milliseconds for state in rest_health({"servers": servers}, 1.5)] == [1.5, None, None, 4.2]
        assert [(state.service, state.state) for state in rest_health({"servers": servers})] == [
            ("REST and GraphQL", "ok"),
            ("PostgreSQL", "PostgreSQL at db:5432/predictions: no answer within 2 seconds"),
            ("Valkey (Redis)", "The stream 'x' at valkey:6379 does not answer."),
            ("MLflow", "ok"),
        ]


class TestOthers:
    def test_a_server_error_is_told_with_its_words(self) -> None:
        with answering(b"", 503) as url:
            for found in (*airflow(url), *grpc(url), *batch_api(url)):
                assert f"at {url} does not answer: status 503 Service Unavailable." in found.problem

    def test_a_batch_api_without_a_health_page_is_there(self) -> None:
        with answering(b"", 404) as url:
            [found] = batch_api(f"{url}/")
        assert (found.state, found.milliseconds is not None) == ("ok", True)

    def test_airflow_with_a_dead_scheduler_is_ill_although_it_answers(self) -> None:
        with answering(
            b'{"metadatabase": {"status": "healthy"}, "scheduler": {"status": "unhealthy"}, "triggerer": {"status": null}}'
        ) as url:
            assert [(found.service, found.state) for found in airflow(url)] == [
                ("Airflow: metadatabase", "ok"),
                ("Airflow: scheduler", "Airflow reports 'unhealthy'"),
            ]

    def test_what_is_not_airflow_is_said_not_to_be(self) -> None:
        with answering(b"hello") as url:
            assert airflow(url)[0].problem == f"What answers at {url} is not Airflow."

    def test_what_is_not_our_rest_service_is_a_sentence(self) -> None:
        with answering(b'{"detail": "who are you?"}', 500) as url, pytest.raises(ServiceError, match="who are you"):
            Service(url).state()
