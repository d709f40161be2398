"""Who is let in, and how often, without any server: limits are counted in memory, and a server that is named does not answer."""

import asyncio
import logging
from collections.abc import Awaitable

import pytest

from deploy.embedded import temporary_servers
from hearth.errors import InvalidKey, InvalidSettings, MissingScope, TooManyRequests
from hearth.serving.access import rates
from hearth.serving.access.keys import Keys
from hearth.serving.access.policy import Access
from hearth.serving.access.rates import RateLimit

OPERATOR, READER, WRONG = "operators-long-secret", "readers-long-secret", "nobody-has-this-secret"
HERE, THERE = "192.0.2.1", "192.0.2.2"


def access(*, requests: str = "", failures: str = "100/year", require_key: bool = False) -> Access:
    return Access(
        Keys.parse(OPERATOR, f"page:predict:{READER} ops:admin:another-long-secret"),
        RateLimit(failures, "refused keys"),
        requests=RateLimit(requests, "requests") if requests else None,
        require_key=require_key,
    )


def refused(attempt: Awaitable[object]) -> type[Exception] | None:
    async def try_it() -> type[Exception] | None:
        try:
            await attempt
        except (InvalidKey, MissingScope, TooManyRequests) as error:
            return type(error)
        return None

    return asyncio.run(try_it())


def test_predictions_are_open_unless_a_key_is_required_or_a_limit_is_set() -> None:
    assert access().is_open
    assert not access(require_key=True).is_open
    assert not access(requests="1/second").is_open


@pytest.mark.parametrize(("secret", "expected"), [(OPERATOR, None), (READER, None), ("another-long-secret", MissingScope)])
def test_a_required_key_must_be_for_predictions(secret: str, expected: type[Exception] | None) -> None:
    assert refused(access(require_key=True).admit_call(secret, HERE)) is expected


def test_a_required_key_must_be_there_and_somebodys() -> None:
    policy = access(require_key=True)

    assert refused(policy.admit_call(None, HERE)) is InvalidKey
    assert refused(policy.admit_call(WRONG, HERE)) is InvalidKey


@pytest.mark.parametrize(("secret", "expected"), [(OPERATOR, None), (READER, MissingScope), (WRONG, InvalidKey), (None, InvalidKey)])
def test_administration_needs_the_scope_for_it(secret: str | None, expected: type[Exception] | None) -> None:
    assert refused(access().admit_admin(secret, HERE)) is expected


def test_callers_without_a_key_are_counted_by_address() -> None:
    async def run() -> None:
        policy = access(requests="2/year")
        for address in (HERE, HERE, THERE, THERE):
            await policy.admit_call(None, address)
        with pytest.raises(TooManyRequests) as caught:
            await policy.admit_call(None, HERE)
        assert caught.value.retry_seconds >= 1
        assert "2 requests in" in str(caught.value)

    asyncio.run(run())


def test_callers_with_a_key_are_counted_by_its_name_wherever_they_are() -> None:
    async def run() -> None:
        policy = access(requests="2/year")
        await policy.admit_call(READER, HERE)
        await policy.admit_call(READER, THERE)
        with pytest.raises(TooManyRequests):
            await policy.admit_call(READER, "192.0.2.3")
        await policy.admit_call(None, HERE)

    asyncio.run(run())


def test_a_network_of_ipv6_is_one_caller_and_an_address_in_ipv6_clothes_is_itself() -> None:
    async def run() -> None:
        policy = access(requests="2/year")
        await policy.admit_call(None, "2001:db8::1")
        await policy.admit_call(None, "2001:db8::ffff:2%eth0")
        with pytest.raises(TooManyRequests):
            await policy.admit_call(None, "2001:db8::3")
        await policy.admit_call(None, "2001:db8:0:1::1")
        await policy.admit_call(None, "::ffff:192.0.2.1")
        await policy.admit_call(None, HERE)
        with pytest.raises(TooManyRequests):
            await policy.admit_call(None, HERE)
        await policy.admit_call(None, "a socket without an address")

    asyncio.run(run())


def test_a_flood_of_wrong_keys_locks_out_neither_right_keys_nor_callers_without_one() -> None:
    async def run() -> None:
        policy = access(failures="3/year", require_key=True)
        for _ in range(3):
            with pytest.raises(InvalidKey):
                await policy.admit_call(WRONG, HERE)
        for _ in range(100):
            with pytest.raises(TooManyRequests):
                await policy.admit_call(WRONG, HERE)
        assert (await policy.admit_admin(OPERATOR, HERE)).name == "admin"
        await policy.admit_call(READER, HERE)
        for secret, address in ((None, HERE), (WRONG, THERE)):
            with pytest.raises(InvalidKey):
                await policy.admit_call(secret, address)

    asyncio.run(run())


def test_a_missing_key_is_no_guess() -> None:
    async def run() -> None:
        policy = access(failures="1/year")
        for _ in range(5):
            with pytest.raises(InvalidKey):
                await policy.admit_admin(None, HERE)
        await policy.admit_admin(OPERATOR, HERE)

    asyncio.run(run())


def test_a_key_cannot_be_guessed_by_watching_which_one_is_not_limited() -> None:
    """A wrong key on an open route is refused and counted, or one could try keys there until one has a limit of its own."""

    async def run() -> None:
        policy = access(requests="1/year", failures="2/year")
        await policy.admit_call(None, HERE)
        for _ in range(2):
            with pytest.raises(InvalidKey):
                await policy.admit_call(WRONG, HERE)
        with pytest.raises(TooManyRequests, match="refused keys"):
            await policy.admit_call(WRONG, HERE)

    asyncio.run(run())


@pytest.mark.parametrize("limit", ["many", "100", "100/fortnight", "-1/minute", "1/minute/hour"])
def test_a_limit_that_cannot_be_read_is_refused_at_the_start(limit: str) -> None:
    with pytest.raises(InvalidSettings, match="such as 100/minute"):
        RateLimit(limit, "requests")


def test_while_its_server_is_away_each_process_counts_alone_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        limit = RateLimit("2/year", "requests", f"redis://127.0.0.1:{temporary_servers.free_port()}/0")
        for _ in range(2):
            await limit.hit("me")
        for _ in range(2):
            with pytest.raises(TooManyRequests):
                await limit.hit("me")
        await limit.hit("you")
        await limit.close()

    with caplog.at_level(logging.INFO):
        asyncio.run(run())
    [line] = [record.getMessage() for record in caplog.records if record.name.startswith("hearth")]
    assert "the Redis server does not answer" in line


def test_callers_whose_window_is_over_are_forgotten_but_not_looked_for_at_every_request(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(*, tidy_seconds: float) -> int:
        monkeypatch.setattr(rates, "_TIDY_SECONDS", tidy_seconds)
        limit = RateLimit("1000000/year", "requests")
        for number in range(50):
            await limit.hit(f"caller {number}")
        limit._memory.expirations = dict.fromkeys(limit._memory.expirations, 0.0)
        for _ in range(1_000):
            await limit.hit("me")
            await asyncio.sleep(0)
        return len(limit._memory.storage)

    assert asyncio.run(run(tidy_seconds=3_600)) == 51
    assert asyncio.run(run(tidy_seconds=0)) == 1
