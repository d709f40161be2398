"""`hearth approve` and `hearth refuse` against a small Airflow: a task gets an answer only if it asks about the version that names it."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from hearth.cli.application import CommandError
from hearth.cli.approval import _answer, _Waiting

RUN = "manual__2026-11-29T10:00:00+00:00"


class Airflow(ThreadingHTTPServer):
    """Answers as Airflow's API server does where tasks wait; `questions` has the subjects by DAG."""

    def __init__(self, **questions: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.questions = questions
        self.answers: list[tuple[str, list[str]]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Airflow

    def do_POST(self) -> None:
        self._send(201, {"access_token": "token"})

    def do_GET(self) -> None:
        dag = self.path.split("/")[4]
        if dag in self.server.questions:
            self._send(200, {"subject": self.server.questions[dag], "body": "The gate lets it pass."})
        else:
            self._send(404, {"detail": "no such task"})

    def do_PATCH(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.answers.append((self.path.split("/")[4], body["chosen_options"]))
        self._send(200, {})

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _send(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Airflow]:
    with Airflow(
        train_knn="employees: may version 5 take the alias knn?",
        heart_train_knn="heart: may version 5 take the alias knn?",
        heart_train_svm="heart: may version 55 take the alias svm?",
        heart_mlops_pipeline="heart: may version 5 take the alias svm?",
    ) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        monkeypatch.setenv("HEARTH_AIRFLOW_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("HEARTH_AIRFLOW_USER", "alice")
        monkeypatch.setenv("HEARTH_AIRFLOW_PASSWORD", "alice")
        yield server
        server.shutdown()
        thread.join()


def answer(dataset: str, version: str, dag: str) -> None:
    _answer(_Waiting(dataset, version, f"{dag}/{RUN}/approve"), "Approve", "", 10)


@pytest.mark.parametrize(("dataset", "dag"), [("employees", "train_knn"), ("heart", "heart_train_knn"), ("heart", "heart_mlops_pipeline")])
def test_the_task_of_the_version_gets_the_answer(airflow: Airflow, dataset: str, dag: str) -> None:
    answer(dataset, "5", dag)

    assert airflow.answers == [(dag, ["Approve"])]


@pytest.mark.parametrize(
    ("version", "dag"),
    [("5", "train_knn"), ("5", "heart_train_svm"), ("6", "heart_train_knn")],
    ids=["data set", "longer number", "version"],
)
def test_a_task_that_asks_about_another_version_gets_no_answer(airflow: Airflow, version: str, dag: str) -> None:
    with pytest.raises(
        CommandError, match=f"asks about something else: '{airflow.questions[dag].replace('?', '.')}'.* Nothing was answered"
    ):
        answer("heart", version, dag)

    assert airflow.answers == []


@pytest.mark.parametrize("dag", ["heart_etl_mlflow", "employees_train_knn", "..", "a_dag_of_another_team"])
def test_a_dag_that_trains_nothing_of_the_data_set_is_not_asked(airflow: Airflow, dag: str) -> None:
    airflow.questions[dag] = "heart: may version 5 take the alias knn?"

    with pytest.raises(CommandError, match=r"is no training DAG of 'heart'"):
        answer("heart", "5", dag)

    assert airflow.answers == []


def test_a_task_that_does_not_wait_yet_is_tried_again_later(airflow: Airflow) -> None:
    with pytest.raises(CommandError, match="does not wait yet"):
        answer("heart", "5", "heart_train_lightgbm")

    assert airflow.answers == []
