"""Files as clients send them: a real service, real connections, models that are a rule of one line."""

import contextlib
import csv
import gzip
import io
import logging
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import anyio
import httpx
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from hearth.contracts import Contract
from hearth.errors import TooBusy
from hearth.fakes import FakeRecords
from hearth.serving.files import AddedColumns, CsvFile
from hearth_api.app import create_app
from hearth_api.requests.uploads import FileSlots, UploadTooSlow
from tests.api.running import refused, running, service_settings
from tests.support.models import DATA, ByDesignation, FakeRegistry, employees

CONTRACT = employees()
FAKES = FakeRecords.load(CONTRACT, DATA)
HEADER = [*CONTRACT.feature_names]
LIMIT = 3_000_000


def csv_content(rows: int, seed: int = 1) -> bytes:
    return FAKES.frame(rows, seed).to_csv(index=False).encode()


def parquet_content(rows: int, seed: int = 1) -> bytes:
    sink = io.BytesIO()
    FAKES.frame(rows, seed).to_parquet(sink)
    return sink.getvalue()


def table(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text, newline=""), strict=True))


class Breaks(ByDesignation):
    """Fails in the middle of a file, after so many rows."""

    def __init__(self) -> None:
        self.left = 10**9

    def predict_proba(self, frame: pd.DataFrame) -> np.ndarray:
        self.left -= len(frame)
        if self.left < 0:
            raise MemoryError("no memory left")
        return super().predict_proba(frame)


@pytest.fixture(scope="module")
def model() -> Breaks:
    return Breaks()


@pytest.fixture(scope="module")
def client(model: Breaks) -> Iterator[httpx.Client]:
    settings = service_settings(api_max_file_bytes=LIMIT, api_max_files=2, api_body_seconds=2, api_max_records=50)
    with running(create_app(settings, FakeRegistry(model, knn="1", champion="2"))) as client:
        yield client


class TestCsv:
    def test_a_file_comes_back_scored(self, client: httpx.Client) -> None:
        content = csv_content(30)
        answer = client.post("/predict/csv?model=knn", content=content, headers={"content-type": "text/csv"})
        scored = table(answer)
        sent = list(csv.DictReader(io.StringIO(content.decode(), newline="")))
        assert [{name: row[name] for name in sent[0]} for row in scored] == sent
        assert [row["prediction"] for row in scored] == [str(int(row["Designation"]) // 2) for row in sent]
        assert {
            name: answer.headers[name] for name in ("x-rows", "x-rows-refused", "x-model-version", "x-model-alias", "content-type")
        } == {
            "x-rows": "30",
            "x-rows-refused": "0",
            "x-model-version": "1",
            "x-model-alias": "knn",
            "content-type": "text/csv; charset=utf-8",
        }

    def test_it_says_what_predict_says(self, client: httpx.Client) -> None:
        records = FAKES.records(20, seed=4)
        text = io.StringIO()
        writer = csv.DictWriter(text, HEADER)
        writer.writeheader()
        writer.writerows(records)
        scored = table(client.post("/employees/predict/csv", content=text.getvalue().encode()))
        predicted = client.post("/predict", json={"data": records}).json()
        assert [int(row["prediction"]) for row in scored] == predicted["predictions"]
        for row, probabilities in zip(scored, predicted["probabilities"], strict=True):
            assert {name: float(row[f"probability_{name}"]) for name in probabilities} == probabilities

    def test_a_form_is_taken_too(self, client: httpx.Client) -> None:
        content = csv_content(5)
        by_form = client.post("/predict/csv", files={"file": ("x.csv", content, "text/csv")})
        assert table(by_form) == table(client.post("/predict/csv", content=content))

    def test_refused_rows_stay_in_their_place_and_are_counted(self, client: httpx.Client) -> None:
        lines = csv_content(10).decode().splitlines()
        lines[4] = lines[4].replace("ale,", "ail,", 1)
        answer = client.post("/predict/csv", content="\n".join(lines).encode())
        scored = table(answer)
        assert (len(scored), answer.headers["x-rows"], answer.headers["x-rows-refused"]) == (10, "10", "1")
        assert [number for number, row in enumerate(scored) if row["error"]] == [3]
        assert "expected one of 'Female', 'Male'" in scored[3]["error"]
        assert scored[3]["prediction"] == ""

    def test_a_file_of_many_batches_is_answered_to_a_client_that_only_then_reads(self, client: httpx.Client) -> None:
        content = csv_content(20_000)
        assert 1_000_000 < len(content) < LIMIT
        answer = client.post("/predict/csv", content=content)
        assert len(table(answer)) == 20_000

    def test_predictions_are_answered_meanwhile(self, client: httpx.Client) -> None:
        with client.stream("POST", "/predict/csv", content=csv_content(20_000)) as answer:
            parts = answer.iter_bytes()
            next(parts)
            assert client.post("/predict", json={"data": FAKES.records(20, seed=1)}).status_code == 200
            assert sum(1 for _ in parts) > 0

    def test_a_prefix_lets_a_scored_file_be_scored_again(self, client: httpx.Client) -> None:
        once = client.post("/predict/csv", content=csv_content(3)).content
        assert "prefix" in refused(client.post("/predict/csv", content=once), 422, "invalid_file")
        again = table(client.post("/predict/csv?prefix=new_", content=once))
        assert [row["new_label"] for row in again] == [row["label"] for row in again]


class TestParquet:
    def test_a_file_comes_back_scored(self, client: httpx.Client, tmp_path: Path) -> None:
        frame = FAKES.frame(3_000, 1)
        answer = client.post("/predict/parquet", content=parquet_content(3_000))
        assert (answer.status_code, answer.headers["x-rows"]) == (200, "3000")
        (tmp_path / "scored.parquet").write_bytes(answer.content)
        scored = pd.read_parquet(tmp_path / "scored.parquet")
        pd.testing.assert_frame_equal(scored[list(frame.columns)], pd.read_parquet(io.BytesIO(parquet_content(3_000))))
        assert (scored["prediction"] == frame["Designation"] // 2).all()

    def test_a_form_is_taken_too(self, client: httpx.Client) -> None:
        answer = client.post("/employees/predict/parquet", files={"file": ("x.parquet", parquet_content(40))})
        assert pq.read_table(io.BytesIO(answer.content)).num_rows == 40


class TestRefusals:
    @pytest.mark.parametrize("kind", ["csv", "parquet"])
    def test_nothing_is_no_file(self, client: httpx.Client, kind: str) -> None:
        refused(client.post(f"/predict/{kind}", content=b""), 422, "invalid_file")

    def test_a_missing_column_is_one_error(self, client: httpx.Client) -> None:
        content = csv_content(5).replace(b"Gender", b"Sex")
        detail = refused(client.post("/predict/csv", content=content), 422, "invalid_file")
        assert "'employees' needs: 'Gender'" in detail

    def test_one_kind_sent_as_the_other_is_told(self, client: httpx.Client) -> None:
        assert "a Parquet file" in refused(client.post("/predict/csv", content=parquet_content(3)), 422, "invalid_file")
        assert "not Parquet" in refused(client.post("/predict/parquet", content=csv_content(3)), 422, "invalid_file")

    @pytest.mark.parametrize("content", [b" " * (LIMIT + 1), iter([b" " * 1_000_000] * 4)])
    def test_a_file_that_is_too_large_is_not_taken(self, client: httpx.Client, content: Any) -> None:
        refused(client.post("/predict/csv", content=content), 413, "file_too_large")

    def test_a_file_of_a_form_that_is_too_large_is_not_taken(self, client: httpx.Client) -> None:
        refused(client.post("/predict/csv", files={"file": b" " * (LIMIT + 1)}), 413, "file_too_large")

    def test_a_form_without_the_file_is_told_what_was_expected(self, client: httpx.Client) -> None:
        for form in ({"files": {"other": b"x"}}, {"files": {"file": b"x", "file2": b"x"}}):
            assert "-F file=@" in refused(client.post("/predict/csv", **form), 422, "invalid_body")  # type: ignore[arg-type]
        headers = {"content-type": "multipart/form-data"}
        refused(client.post("/predict/csv", content=b"x", headers=headers), 422, "invalid_body")

    def test_an_unknown_alias_is_told_before_the_file_is_read(self, client: httpx.Client) -> None:
        refused(client.post("/predict/csv?model=nobody", content=csv_content(1)), 404, "unknown_alias")

    def test_a_sender_that_stops_is_not_waited_for(self, client: httpx.Client) -> None:
        with connected(client) as peer:
            peer.sendall(b"POST /predict/csv HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nGender,")
            answer = peer.recv(1_000)
            assert answer.startswith(b"HTTP/1.1 408")
            assert b"HEARTH_API_BODY_SECONDS" in answer

    def test_no_more_files_than_the_limit_are_taken_at_once_and_places_are_given_back(self, client: httpx.Client) -> None:
        with contextlib.ExitStack() as slow:
            # a sender that came while the place of our own file was not free yet was refused: another follows
            while (busy := client.post("/predict/csv", content=csv_content(1))).status_code == 200:
                slow.enter_context(connected(client)).sendall(
                    b"POST /predict/csv HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nGender,"
                )
            assert "2 files are being scored, the limit of HEARTH_API_MAX_FILES" in refused(busy, 503, "too_busy")
            assert busy.headers["retry-after"]
        assert any(client.post("/predict/csv", content=csv_content(1)).status_code == 200 for _ in range(1_000))

    def test_an_answer_that_breaks_off_is_seen_to_be_incomplete(
        self, client: httpx.Client, model: Breaks, caplog: pytest.LogCaptureFixture
    ) -> None:
        model.left = 5_000
        try:
            with caplog.at_level(logging.CRITICAL), pytest.raises(httpx.RemoteProtocolError):
                client.post("/predict/csv", content=csv_content(15_000))
        finally:
            model.left = 10**9
        assert client.post("/predict/csv", content=csv_content(1)).status_code == 200  # its place is free

    def test_a_client_that_leaves_gives_its_place_back(self, client: httpx.Client) -> None:
        for _ in range(4):
            with client.stream("POST", "/predict/csv", content=csv_content(15_000)) as answer:
                assert answer.status_code == 200
                next(answer.iter_bytes())
        assert any(client.post("/predict/csv", content=csv_content(1)).status_code == 200 for _ in range(1_000))

    def test_an_upload_must_be_complete_in_time_however_regularly_it_sends(self) -> None:
        settings = service_settings(api_body_seconds=30, api_file_seconds=1)
        with running(create_app(settings, FakeRegistry(champion="2"))) as client, connected(client) as peer:
            peer.sendall(b"POST /predict/csv HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n")
            peer.settimeout(0.05)
            answer = b""
            for _ in range(1_000):
                peer.sendall(b"x")
                with contextlib.suppress(TimeoutError):
                    answer = peer.recv(1_000)
                    break
            assert answer.startswith(b"HTTP/1.1 408")
            assert b"HEARTH_API_FILE_SECONDS" in answer

    def test_work_stops_when_the_client_has_gone(self, client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
        parsed: list[int] = []
        reached, go_on = threading.Event(), threading.Event()
        original = CsvFile._parse

        def count(self: CsvFile, rows: Any) -> Any:
            parsed.append(len(rows))
            reached.set()
            assert go_on.wait(30)
            return original(self, rows)

        monkeypatch.setattr(CsvFile, "_parse", count)
        with connected(client) as peer:
            content = csv_content(20_000)
            peer.sendall(b"POST /predict/csv HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(content) + content)
            assert reached.wait(30)
        client.get("/health").raise_for_status()  # the service has seen the end of the other connection by then
        go_on.set()
        monkeypatch.undo()
        assert any(client.post("/predict/csv", content=csv_content(1)).status_code == 200 for _ in range(1_000))
        assert len(parsed) <= 3  # of twenty batches in the first pass, and twenty in the second


class TestSlots:
    """Slow uploads do not shut out others."""

    def test_the_slowest_upload_gives_way(self) -> None:
        anyio.run(self._the_slowest_upload_gives_way)

    async def _the_slowest_upload_gives_way(self) -> None:
        now = [0.0]
        slots = FileSlots(2, clock=lambda: now[0])
        ended: list[str] = []
        fast_may_end = anyio.Event()

        async def receive(name: str, size: int, end: anyio.Event) -> None:
            with slots.slot() as upload:
                try:
                    with upload.receiving():
                        upload.add(size)
                        await end.wait()
                except UploadTooSlow as error:
                    ended.append(f"{name}: {error}")

        async with anyio.create_task_group() as group:
            group.start_soon(receive, "slow", 10, anyio.Event())
            group.start_soon(receive, "fast", 10_000_000, fast_may_end)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(TooBusy), slots.slot():  # the first seconds are not judged
                pass
            now[0] = 10.0
            with slots.slot():
                await anyio.wait_all_tasks_blocked()
                assert [end.partition(":")[0] for end in ended] == ["slow"]
                assert "1 bytes a second" in ended[0]
                assert "HEARTH_API_MAX_FILES" in ended[0]
                with pytest.raises(TooBusy), slots.slot():  # the fast one stays
                    pass
            fast_may_end.set()
        with slots.slot(), slots.slot():  # all slots are free again
            pass


def connected(client: httpx.Client) -> socket.socket:
    return socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=30)


def test_curl_takes_files_as_the_documentation_says(client: httpx.Client, tmp_path: Path) -> None:
    (tmp_path / "staff.csv").write_bytes(csv_content(50))
    outcomes: list[int] = []
    for arguments in (["--data-binary", "@staff.csv"], ["-F", "file=@staff.csv"], ["-X", "POST", "-T", "staff.csv"]):
        made = subprocess.run(
            ["/usr/bin/env", "curl", "-sf", str(client.base_url.join("/predict/csv")), *arguments, "-o", "scored.csv"],
            cwd=tmp_path,
            check=False,
            timeout=60,
        )
        outcomes.append(made.returncode)
        assert (tmp_path / "scored.csv").read_text().count("\n") == 51
    assert outcomes == [0, 0, 0]


def understood(client: httpx.Client, content: bytes, kind: str = "csv") -> list[str]:
    answer = client.post(f"/predict/{kind}", content=content)
    assert answer.status_code == 200, answer.text
    return unquote(answer.headers["X-Understood"]).split("; ")


class TestUnderstood:
    """What the reader took a file for is said with the answer, as the ETL's run says it."""

    def test_a_plain_file(self, client: httpx.Client) -> None:
        read_as, others = understood(client, csv_content(5))
        assert read_as == "UTF-8 text, separated by commas, decimal point"
        assert others.startswith("columns that are no feature are returned unread: ")
        assert CONTRACT.target.column in others

    def test_another_delimiter_a_decimal_comma_gzip_and_blank_lines(self, client: httpx.Client) -> None:
        frame = FAKES.frame(5, 1)[HEADER]
        text = frame.to_csv(index=False, sep=";", decimal=",").replace("\n", "\n\n", 2)
        said = understood(client, gzip.compress(text.encode()))
        assert said == ["unpacked from gzip, UTF-8 text, separated by semicolons, decimal comma", "2 blank lines were left out"]

    def test_parquet(self, client: httpx.Client) -> None:
        assert understood(client, parquet_content(5), "parquet")[0] == "a Parquet file of 1 row groups, columns by name"

    def test_a_column_of_any_letters_fits_into_a_header_and_a_long_list_is_cut(self, client: httpx.Client) -> None:
        frame = FAKES.frame(2, 1)[HEADER]
        assert "'Größe 年龄'" in understood(client, frame.assign(**{"Größe 年龄": 1}).to_csv(index=False).encode())[-1]
        many = frame.assign(**{f"年龄{number}" * 20: 1 for number in range(90)})
        answer = client.post("/predict/csv", content=many.to_csv(index=False).encode())
        assert len(answer.headers["X-Understood"]) < 2_100
        assert "\ufffd" not in unquote(answer.headers["X-Understood"])

    def test_words_for_missing_values_are_counted(self) -> None:
        columns = {name: column.model_dump() for name, column in CONTRACT.columns.items()}
        columns["Sleep Hours"] |= {"missing": ["?", "-"], "nullable": True}
        contract = Contract.model_validate({**CONTRACT.model_dump(exclude_unset=True), "columns": columns})
        frame = FAKES.frame(6, 1)[HEADER].astype({"Sleep Hours": object})
        frame["Sleep Hours"] = pd.Series(["?", "-", " ? ", 6, 7, 8], dtype="object").to_numpy()
        opened = CsvFile.open(io.BytesIO(frame.to_csv(index=False).encode()), contract, AddedColumns.of(contract, ""))
        for _ in range(2):  # each check counts anew
            assert list(opened.check())
            assert opened.understood[1:] == ("Sleep Hours: missing values are written as '?' 2 times, '-' 1 times",)
