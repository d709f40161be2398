"""Bodies as clients send them: compressed, with a byte order mark, in another charset."""

import gzip
import json
from collections.abc import Iterator

import httpx
import pytest

from hearth_api.app import create_app
from tests.api.running import refused, running, service_settings
from tests.support.models import FakeRegistry, employees, good_record

LIMIT = 100_000
RECORD = good_record(employees(), Designation=4)
BODY = json.dumps({"data": [RECORD]}).encode()
QUERY = json.dumps({"query": "{ health { status } }"}).encode()
SPLIT = json.dumps({"dataframe_records": [RECORD]}).encode()
PLACES = [("/predict", BODY), ("/explain", BODY), ("/graphql", QUERY), ("/invocations", SPLIT)]


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    limits = service_settings(api_max_body_bytes=LIMIT, graphql_max_body_bytes=LIMIT)
    with running(create_app(limits, FakeRegistry(champion="2"))) as client:
        yield client


def send(client: httpx.Client, path: str, content: bytes, encoding: str = "") -> httpx.Response:
    headers = {"Content-Type": "application/json"} | ({"Content-Encoding": encoding} if encoding else {})
    return client.post(path, content=content, headers=headers)


@pytest.mark.parametrize(("path", "body"), PLACES)
def test_gzip_and_a_byte_order_mark_change_no_answer(client: httpx.Client, path: str, body: bytes) -> None:
    for content, encoding in ((gzip.compress(body), "gzip"), (b"\xef\xbb\xbf" + body, ""), (body, "identity")):
        answer = send(client, path, content, encoding)
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("path", ["/predict", "/graphql"])
def test_a_bomb_of_gzip_is_unzipped_up_to_the_limit(client: httpx.Client, path: str) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    assert len(bomb) < LIMIT
    assert "MAX_BODY_BYTES" in refused(send(client, path, bomb, "gzip"), 413, "body_too_large")


@pytest.mark.parametrize("content", [BODY, gzip.compress(BODY)[:-9], gzip.compress(BODY) + b"x", b""])
def test_what_is_not_gzip_is_named(client: httpx.Client, content: bytes) -> None:
    assert "gzip" in refused(send(client, "/predict", content, "gzip"), 422, "invalid_body")


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip"])
def test_other_encodings_are_refused_with_what_is_read(client: httpx.Client, encoding: str) -> None:
    assert "expected gzip, or none" in refused(send(client, "/predict", BODY, encoding), 415, "unsupported_encoding")


def test_files_are_sent_as_they_are(client: httpx.Client) -> None:
    refused(send(client, "/predict/csv", gzip.compress(b"x"), "gzip"), 415, "unsupported_encoding")


@pytest.mark.parametrize(("path", "code"), [("/predict", "invalid_body"), ("/invocations", "invalid_body")])
def test_a_wrong_charset_is_named(client: httpx.Client, path: str, code: str) -> None:
    content = json.dumps({"data": [RECORD | {"Gender": "Größe"}]}, ensure_ascii=False)
    assert "not UTF-8 (byte 0xf6 at position" in refused(send(client, path, content.encode("latin-1")), 422, code)
    assert "not UTF-8 (byte 0xff at position 0)" in refused(send(client, path, content.encode("utf-16")), 422, code)
