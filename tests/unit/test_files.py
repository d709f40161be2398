"""Files of both stacks that are replaced in one step."""

import stat
from pathlib import Path

import pytest

from deploy.files import FOR_ALL, replace_file


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_for_its_owner_unless_it_is_for_all(tmp_path: Path) -> None:
    replace_file(tmp_path / "a", "secret")
    replace_file(tmp_path / "b", "open", FOR_ALL)

    assert mode(tmp_path / "a") == 0o600
    assert mode(tmp_path / "b") & 0o600 == 0o600
    assert mode(tmp_path / "b") & 0o033 == 0, "others may read it at most"


def test_what_others_could_read_is_theirs_no_more(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    path.chmod(0o644)

    replace_file(path, "new")

    assert (path.read_text(), mode(path)) == ("new", 0o600)


def test_what_a_killed_writer_left_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "a.partial").write_text("half")

    replace_file(tmp_path / "a", "whole")

    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")

    with pytest.raises(UnicodeEncodeError):
        replace_file(path, "new \udcff")

    assert path.read_text() == "old"
