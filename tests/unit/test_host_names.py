"""Which Host headers are answered."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearth.host_names import HostNames

HOSTS = HostNames(["api.example.org", "*.Example.net"])


NAMED = ["api.example.org", "API.example.org:8800", "a.example.net", "a.b.example.net:1"]
ALWAYS = ["localhost", "localhost:8501", "10.1.2.3:80", "[::1]:8800"]
FOREIGN = ["evil.example.com", "example.net", "xexample.net", "api.example.org.evil.com", "127.0.0.1.evil.com", "localhost.evil.com"]
MALFORMED: list[str | None] = [
    None,
    "",
    ":80",
    "api.example.org@evil.com",
    "evil.com/api.example.org",
    "api.example.org evil.com",
    "api.example.org:80:80",
    "[name]",
]


@pytest.mark.parametrize("header", NAMED + ALWAYS)
def test_listed_names_addresses_and_this_machine_are_answered(header: str) -> None:
    assert HOSTS.allow(header)


@pytest.mark.parametrize("header", [*FOREIGN, *MALFORMED])
def test_no_other_name_is_answered(header: str | None) -> None:
    assert not HOSTS.allow(header)


def test_a_star_is_every_name() -> None:
    assert all(HostNames(["*"]).allow(header) for header in ("evil.example.com", "", None))


@given(st.ip_addresses(), st.integers(0, 65_535))
def test_every_address_is_answered(address: object, port: int) -> None:
    host = f"[{address}]" if ip_address(str(address)).version == 6 else str(address)

    assert HostNames([]).allow(f"{host}:{port}")


@given(st.text())
def test_any_text_is_judged_and_only_an_address_or_this_machine_passes(header: str) -> None:
    if HostNames([]).allow(header):
        host = header.lower().rpartition(":")[0] if ":" in header.rpartition("]")[2] else header.lower()
        assert host == "localhost" or str(ip_address(host.strip("[]")))
