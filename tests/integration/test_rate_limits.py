"""Limits that several processes share in a real Valkey, and what becomes of them when it goes and comes back."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from strawberry.utils.str_converters import to_camel_case

from deploy.embedded import temporary_servers
from hearth.contracts.names import field_name
from hearth.errors import TooManyRequests
from hearth.serving.access import rates
from hearth.serving.access.rates import RateLimit
from hearth_api.app import create_app
from tests.api.running import running, service_settings
from tests.support.models import FakeRegistry, employees, good_record

RECORD = good_record(employees(), Designation=4)


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 60))


def test_two_processes_count_together_and_each_caller_and_limit_for_itself(valkey_url: str) -> None:
    async def work() -> None:
        me, what = uuid4().hex, f"requests {uuid4().hex}"
        one, two, other = (RateLimit("3/year", kind, valkey_url) for kind in (what, what, "refused keys"))
        await one.hit(me)
        await two.hit(me)
        await one.hit(me)
        for limit in (one, two):
            with pytest.raises(TooManyRequests) as caught:
                await limit.hit(me)
            assert caught.value.retry_seconds >= 1
        await two.hit(uuid4().hex)
        await other.hit(me)
        for limit in (one, two, other):
            await limit.close()

    run(work)


def test_requests_at_the_same_time_are_never_more_than_the_limit(valkey_url: str) -> None:
    async def work() -> None:
        me, what = uuid4().hex, f"requests {uuid4().hex}"
        limits = [RateLimit("10/year", what, valkey_url) for _ in range(2)]

        async def passes(number: int) -> bool:
            try:
                await limits[number % 2].hit(me)
            except TooManyRequests:
                return False
            return True

        assert sum(await asyncio.gather(*map(passes, range(60)))) == 10
        for limit in limits:
            await limit.close()

    run(work)


def test_a_server_that_goes_is_counted_without_and_one_that_comes_back_with_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, valkey_url: str
) -> None:
    monkeypatch.setattr(rates, "_PAUSE_SECONDS", 0.0)
    caplog.set_level(logging.INFO, logger="hearth")
    me, what = uuid4().hex, f"requests {uuid4().hex}"

    async def work() -> None:
        limit = RateLimit(
            "2/year", what, urlsplit(valkey_url)._replace(netloc=f":{urlsplit(valkey_url).password}@127.0.0.1:{gateway.port}").geturl()
        )
        await limit.hit(me)
        await gateway.close()
        await limit.hit(me)
        await limit.hit(me)
        with pytest.raises(TooManyRequests):
            await limit.hit(me)
        await gateway.open()
        await limit.hit(me)
        with pytest.raises(TooManyRequests):
            await limit.hit(me)
        await limit.close()
        await gateway.close()

    class Gateway:
        """A way to the server that can be closed, which cuts who is on it, and opened again."""

        def __init__(self) -> None:
            self.port = temporary_servers.free_port()
            self._server: asyncio.Server | None = None
            self._writers: list[asyncio.StreamWriter] = []

        async def open(self) -> None:
            self._server = await asyncio.start_server(self._pass, "127.0.0.1", self.port)

        async def close(self) -> None:
            assert self._server is not None
            self._server.close()
            for writer in self._writers:
                writer.close()
            self._writers.clear()

        async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            server = urlsplit(valkey_url)
            far_reader, far_writer = await asyncio.open_connection(server.hostname, server.port)
            self._writers += [writer, far_writer]
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))

    gateway = Gateway()

    async def opened() -> None:
        await gateway.open()
        await work()

    run(opened)
    lines = [record.getMessage() for record in caplog.records]
    assert [line.split(",")[0] for line in lines] == [f"{what} are counted in each process alone", f"{what} are counted together again"]


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    writer.close()


def test_the_fields_of_graphql_are_counted_in_the_server_though_queries_have_a_thread_of_their_own(
    valkey_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    typed = {to_camel_case(field_name(name)): int(value) if isinstance(value, float) else value for name, value in RECORD.items()}
    fields = " ".join(f"{name}: predict(records: $records) {{ version }}" for name in "abc")
    body = {"query": f"query ($records: Records!) {{ {fields} }}", "variables": {"records": {"employees": [typed]}}}
    name = uuid4().hex  # a caller of its own in the shared server
    settings = service_settings(
        redis_url=valkey_url, api_rate_limit="7/year", api_rate_limit_shared=True, api_keys=f"{name}:predict:{name}-long-secret"
    )
    with running(create_app(settings, FakeRegistry(champion="2"))) as client:
        answers = [client.post("/graphql", json=body, headers={"X-API-Key": f"{name}-long-secret"}).json() for _ in range(3)]

    assert ["errors" in answer for answer in answers] == [False, False, True]
    assert {error["extensions"]["error"] for error in answers[2]["errors"]} == {"too_many_requests"}
    assert "does not answer" not in caplog.text
