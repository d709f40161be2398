"""docs/security.md names tests and ports: each of them is there."""

import re
from pathlib import Path

import pytest

from deploy.compose.make_secrets import read_values

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/security.md").read_text("utf-8")
TESTS = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


@pytest.mark.parametrize(("file", "name"), TESTS, ids=[name for _, name in TESTS])
def test_a_test_that_shows_a_control_is_there(file: str, name: str) -> None:
    path = ROOT / file

    assert path.exists()
    assert re.search(rf"^\s*(async )?def {name}\(", path.read_text("utf-8"), re.MULTILINE)


def test_every_risk_of_the_list_has_a_control_and_a_test() -> None:
    rows = re.findall(r"^\| (API\d+) [^|]+\| [^|]+\| ([^|]+)\|$", PAGE, re.MULTILINE)

    assert [risk for risk, _ in rows] == [f"API{number}" for number in range(1, 11)]
    assert all("::test_" in shown for _, shown in rows)


def test_every_port_of_the_settings_is_in_the_table() -> None:
    section = PAGE.partition("## Who reaches what")[2].partition("\n## ")[0]
    ports = {name: value for name, value in read_values(ROOT / ".env").items() if re.fullmatch(r"HEARTH_\w+_PORT", name)}
    others = {"HEARTH_ALERT_MAIL_PORT", "HEARTH_GRPC_REUSE_PORT"}  # of somebody else's server; a switch

    missing = {name: port for name, port in ports.items() if name not in others and not re.search(rf"\b{port}\b", section)}

    assert not missing
