"""Where Prometheus is found, and what is written when it is not."""

import os
import stat
from pathlib import Path

import pytest

from deploy.embedded.launcher import SettingError
from deploy.embedded.prometheus import find_program, main, write_config
from deploy.embedded.services import DEFAULT_SERVICES, with_needs
from deploy.monitoring.scrape_config import JOBS


def program(path: Path, text: str = "exit 0") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
    path.chmod(0o755)
    return path


def test_a_program_that_is_named_wins_over_that_of_the_path(tmp_path: Path) -> None:
    chosen, other = program(tmp_path / "chosen"), program(tmp_path / "bin/prometheus")

    assert find_program(tmp_path, {"HEARTH_PROMETHEUS_BIN": str(chosen), "PATH": str(other.parent)}) == chosen
    assert find_program(tmp_path, {"HEARTH_PROMETHEUS_BIN": "", "PATH": str(other.parent)}) == other


@pytest.mark.parametrize("name", ["nothing", "folder", "text"])
def test_a_name_that_is_no_program_is_refused_and_nothing_else_is_taken(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("", "utf-8")
    other = program(tmp_path / "bin/prometheus")

    with pytest.raises(SettingError, match=r"HEARTH_PROMETHEUS_BIN=.* is no program"):
        find_program(tmp_path, {"HEARTH_PROMETHEUS_BIN": str(tmp_path / name), "PATH": str(other.parent)})


def test_without_a_program_and_without_apt_it_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"no apt-get and no dpkg .* set HEARTH_PROMETHEUS_BIN"):
        find_program(tmp_path, {"PATH": str(tmp_path)})


def test_debians_package_is_unpacked_once_and_whole(tmp_path: Path) -> None:
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    count = tmp_path / "downloads"
    program(tmp_path / "bin/apt-get", f"echo x >> '{count}'; touch prometheus_1_all.deb")
    program(tmp_path / "bin/dpkg", "mkdir -p unpacked/usr/bin; touch unpacked/usr/bin/prometheus")
    bin_ = {"PATH": path}

    if any(Path(folder, "prometheus").exists() for folder in path.split(":")):
        pytest.skip("this machine's PATH has Prometheus")
    first, second = find_program(tmp_path / "state", bin_), find_program(tmp_path / "state", bin_)

    assert first == second == tmp_path / "state/debian/usr/bin/prometheus"
    assert count.read_text("utf-8") == "x\n"
    assert sorted(entry.name for entry in (tmp_path / "state").iterdir()) == ["debian"]


def test_a_download_that_fails_leaves_nothing_and_says_why(tmp_path: Path) -> None:
    program(tmp_path / "bin/apt-get", "echo 'E: no network' >&2; exit 100")
    program(tmp_path / "bin/dpkg")

    with pytest.raises(SettingError, match=r"`apt-get download prometheus` failed: E: no network\. Install it"):
        find_program(tmp_path / "state", {"PATH": str(tmp_path / "bin")})
    assert list((tmp_path / "state").iterdir()) == []


def test_the_configuration_holds_a_key_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = write_config(
        tmp_path, {job.setting: "9001" for job in JOBS} | {"HEARTH_PROMETHEUS_PORT": "9", "HEARTH_PROMETHEUS_API_KEY": "k" * 20}
    )

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "k" * 20 in path.read_text("utf-8")


def test_it_does_not_start_before_the_program_was_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARTH_STATE_DIR", str(tmp_path))

    with pytest.raises(SettingError, match="make monitoring"):
        main([])


def test_it_starts_only_when_it_is_named() -> None:
    assert {"prometheus", "exporter"}.isdisjoint(service.name for service in DEFAULT_SERVICES)
    assert [step.name for step in with_needs(["prometheus"])] == ["prometheus-program", "exporter", "prometheus"]
