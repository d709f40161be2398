"""The process and the client program, as a user starts them; and the committed code of the interface."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.embedded.health import grpc_serves
from deploy.embedded.services import SERVICES
from deploy.embedded.temporary_servers import free_ports
from grpc_service import client
from grpc_service.health import SERVICE
from hearth.contracts import load_contract
from hearth.contracts.records import check_records
from tests.grpc.service import Service, Shelf, fitted, serving
from tests.support.real_files import require_real_file
from tests.support.samples import EMPLOYEES, ROOT
from tests.support.waiting import LIMIT_SECONDS, wait_until


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with serving(Shelf({"knn": "1", "champion": "1"}, {"1": fitted()})) as made:
        yield made


def test_the_stack_asks_the_standard_health_service_with_nothing_but_the_standard_library(service: Service) -> None:
    port = int(service.address.rpartition(":")[2])
    [entry] = [entry for entry in SERVICES if entry.name == "grpc"]

    assert entry.is_healthy({"HEARTH_GRPC_PORT": str(port)})
    wait_until(lambda: grpc_serves(port, SERVICE))
    assert not grpc_serves(port, "weather")
    assert not grpc_serves(free_ports(1)[0])


def test_a_server_that_speaks_something_else_is_not_healthy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def answer() -> None:
            connection, _ = other.accept()
            with connection:
                connection.recv(1_000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        assert not grpc_serves(other.getsockname()[1])
        thread.join(LIMIT_SECONDS)


def test_the_committed_code_is_what_the_interfaces_generate(tmp_path: Path) -> None:
    sources = [str(path.relative_to(ROOT)) for path in (ROOT / "grpc_service").glob("*/*.proto")]
    outputs = [f"--{kind}={tmp_path}" for kind in ("python_out", "pyi_out", "grpc_python_out")]

    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", "-I", ".", *outputs, *sources], cwd=ROOT, check=True)

    made = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.py*"))
    assert len(made) == 3 * len(sources) == 6
    for path in made:
        assert (ROOT / path).read_text() == (tmp_path / path).read_text(), f"{path} is not current: run make proto"


class TestClient:
    """`python -m grpc_service.client`."""

    @pytest.mark.parametrize("form", [[], ["--packed"]], ids=["records", "packed"])
    def test_a_batch_of_fake_records_is_printed_readably(
        self, service: Service, capsys: pytest.CaptureFixture[str], form: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HEARTH_DATA_DIR", str(ROOT / "data"))
        assert client.main(["--address", service.address, "--model", "knn", "--records", "3", *form]) == 0

        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "models:/employees@knn, version 1 (knn)"
        assert [line.split()[0] for line in lines[1:4]] == ["0", "1", "2"]
        assert all(line.split()[1] in EMPLOYEES.target.classes and "Medium 0." in line for line in lines[1:4])
        assert lines[4].startswith("3 of 3 records scored in ")

    def test_a_stream_sends_at_its_rate_and_prints_each_answer(self, service: Service, capsys: pytest.CaptureFixture[str]) -> None:
        start = time.monotonic()
        assert client.main(["--mode", "stream", "--address", service.address, "--records", "5", "--rate", "20"]) == 0

        assert time.monotonic() - start >= 0.2
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[0] for line in lines[:5]] == ["0", "1", "2", "3", "4"]
        assert all("version 1" in line for line in lines[:5])

    @pytest.mark.parametrize("mode", ["batch", "stream"])
    def test_a_row_that_breaks_the_contract_is_named(
        self, service: Service, capsys: pytest.CaptureFixture[str], tmp_path: Path, mode: str
    ) -> None:
        header = [name for name in EMPLOYEES.columns if name not in EMPLOYEES.drop]
        good = "Female,Product,No,2,5,,0.4,40,7.5,3,3,3,8,2"
        (tmp_path / "rows.csv").write_text(
            f"{','.join(header)}\n{good}\n{good.replace('Product', 'Start-up').replace(',2,5,', ',many,5,')}\n"
        )

        assert client.main(["--mode", mode, "--address", service.address, "--file", str(tmp_path / "rows.csv")]) == 1

        shown = capsys.readouterr()
        assert "Company Type: got 'Start-up', expected one of 'Product', 'Service'" in shown.err
        assert "Designation: got 'many', expected a whole number from 0 to 5 (level)" in shown.err
        assert f"{0 if mode == 'batch' else 1} of 2 records scored" in shown.out

    def test_codes_in_a_file_are_the_whole_numbers_that_records_have(self, tmp_path: Path) -> None:
        heart = load_contract("heart", ROOT / "data")
        (tmp_path / "rows.csv").write_text(f"{','.join(heart.columns)}\n61,0,2.0,141,239,1,0,148,0,1.7,1,1,2,1\n")

        records = client.csv_records(heart, tmp_path / "rows.csv", None)

        assert list(check_records(heart, records)[0].values()) == [61, 0, 2, 141, 239, 1, 0, 148, 0, 1.7, 1, 1, 2]

    @pytest.mark.parametrize("form", [[], ["--packed"]], ids=["records", "packed"])
    def test_rows_of_the_real_file_are_scored_as_they_are(
        self, service: Service, capsys: pytest.CaptureFixture[str], form: list[str]
    ) -> None:
        assert client.main(["--address", service.address, "--file", str(require_real_file("employees")), "--records", "500", *form]) == 0

        assert "500 of 500 records scored" in capsys.readouterr().out

    def test_a_service_that_is_not_there_is_named(self, capsys: pytest.CaptureFixture[str]) -> None:
        address = f"127.0.0.1:{free_ports(1)[0]}"

        assert client.main(["--address", address, "--timeout", "5"]) == 1

        assert capsys.readouterr().err.startswith(f"{address}: UNAVAILABLE: ")

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--dataset", "weather"], "There is no data set 'weather'"),
            (["--file", "nowhere.csv"], "nowhere.csv"),
            (["--model", "tarot"], "unknown_alias: 'employees' has no alias 'tarot'"),
        ],
    )
    def test_what_is_asked_wrongly_is_said(
        self, service: Service, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
    ) -> None:
        assert client.main(["--address", service.address, *arguments]) == 1

        assert message in capsys.readouterr().err
