"""How refused keys are counted: whoever guesses decides neither how many rows there are nor what is in them."""

import asyncio

import pytest

from hearth.audit import Actor, RefusedKeys, Result
from hearth.audit.minutes import WINDOW_SECONDS
from hearth.audit.refused_keys import MOST_CALLERS
from hearth.errors import InvalidKey, MissingScope, TooManyRequests
from hearth.serving.access import PREDICT, READ
from hearth.serving.access.keys import Keys
from hearth.serving.access.policy import Access
from hearth.serving.access.rates import RateLimit

OPERATOR, SCORER, WRONG = "operators-long-secret", "scorers-long-secret", "nobody-has-this-secret"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def nobody(address: str) -> Actor:
    return Actor("nobody", "", "rest", address)


def test_the_attempts_of_a_caller_in_a_minute_are_one_row_which_is_written_when_it_is_over() -> None:
    clock = Clock()
    refused = RefusedKeys(clock)
    for scope in (READ, PREDICT, READ):
        refused.count(nobody("192.0.2.1"), "invalid_key", [scope])
    assert refused.take() == []

    clock.now = WINDOW_SECONDS
    [row] = refused.take()

    assert (row.action, row.result, row.actor) == ("key_refused", Result.REFUSED, nobody("192.0.2.1"))
    assert {name: row.detail[name] for name in ("attempts", "scopes", "error")} == {
        "attempts": 3,
        "scopes": ["predict", "read"],
        "error": "invalid_key",
    }
    assert refused.take(everything=True) == []


def test_callers_doors_and_reasons_have_rows_of_their_own() -> None:
    refused = RefusedKeys(Clock())
    refused.count(nobody("192.0.2.1"), "invalid_key", [READ])
    refused.count(nobody("192.0.2.2"), "invalid_key", [READ])
    refused.count(Actor("nobody", "", "grpc", "192.0.2.1"), "invalid_key", [READ])
    refused.count(Actor("key", "page", "rest", "192.0.2.1"), "missing_scope", [READ])

    assert len(refused.take(everything=True)) == 4


def test_callers_beyond_a_number_share_a_row() -> None:
    refused = RefusedKeys(Clock())
    for number in range(10_000):
        refused.count(nobody(f"host {number}"), "invalid_key", [READ])

    rows = refused.take(everything=True)

    assert len(rows) == MOST_CALLERS + 1
    assert rows[-1].actor.address == "other addresses"
    assert sum(int(str(row.detail["attempts"])) for row in rows) == 10_000


def test_the_policy_counts_every_refusal_for_a_key_and_keeps_no_secret() -> None:
    limit = RateLimit("2/year", "refused keys")
    policy = Access(Keys.parse(OPERATOR, f"scorer:predict:{SCORER}"), limit, require_key=True)

    async def run() -> None:
        for _ in range(2):
            with pytest.raises(InvalidKey):
                await policy.admit_call(WRONG, "192.0.2.1", (READ,), "rest")
        with pytest.raises(TooManyRequests):
            await policy.admit_call(WRONG, "192.0.2.1", (READ,), "rest")
        with pytest.raises(InvalidKey):
            await policy.admit_call(None, "2001:db8::7", (READ,), "grpc")
        with pytest.raises(MissingScope):
            await policy.admit_admin(SCORER, "192.0.2.1", "graphql")
        await policy.admit_call(SCORER, "192.0.2.1", (PREDICT,), "rest")

    asyncio.run(run())
    rows = policy.refused_keys.take(everything=True)

    assert [(row.actor, row.detail["attempts"], row.detail["scopes"], row.detail["error"]) for row in rows] == [
        (nobody("192.0.2.1"), 3, ["read"], "invalid_key"),
        (Actor("nobody", "", "grpc", "2001:db8::/64"), 1, ["read"], "invalid_key"),
        (Actor("key", "scorer", "graphql", "192.0.2.1"), 1, ["admin"], "missing_scope"),
    ]
    assert WRONG not in repr(rows)
    assert SCORER not in repr(rows)
