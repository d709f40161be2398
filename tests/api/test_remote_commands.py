"""The commands that talk to a REST service, against a real service."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from deploy.embedded.temporary_servers import free_port
from hearth.cli.application import CommandError
from hearth.cli.service import Service, find_service
from hearth.fakes import FakeRecords
from hearth.modelling.comparison import Interval
from hearth.modelling.standing import Standing
from hearth_api.app import create_app
from tests.api.running import ADMIN_KEY, PAGE_KEY, running, service_settings
from tests.support.command_line import Ended, run_command
from tests.support.models import DATA, FakeRegistry, employees, good_record

CONTRACT = employees()
RECORD = good_record(CONTRACT, Designation=4)
Run = Callable[..., str]
LOW = {**RECORD, "Designation": 0}


@pytest.fixture(scope="module")
def registry() -> FakeRegistry:
    shelf = FakeRegistry(champion="2", previous="1")
    shelf.tags |= {number: {"hearth.gate": "passed"} for number in "123"} | {"4": {"hearth.gate": "refused"}}
    standing = Standing("feed0123456789ab", "file", 3_400, "macro_f1", Interval(0.81, 0.8, 0.82))
    shelf.tags["2"] |= {"hearth.standing": standing.to_json().decode(), "hearth.origin": "generated"}
    return shelf


@pytest.fixture(scope="module")
def url(registry: FakeRegistry) -> Iterator[str]:
    with running(create_app(service_settings(api_require_key=True), registry, {})) as client:
        # the first connection reads the settings of headers, from the checkout: the commands below run in another folder
        assert client.get("/health").status_code == 200
        yield str(client.base_url)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("elsewhere")


def hearth(*arguments: object, url: str, folder: Path, key: str | None = ADMIN_KEY, text: str = "") -> Ended:
    return run_command(*arguments, folder=folder, text=text, HEARTH_API_URL=url, **({"HEARTH_API_KEY": key} if key else {}))


@pytest.fixture
def run(url: str, folder: Path) -> Run:
    def succeed(*arguments: object, text: str = "") -> str:
        ended = hearth(*arguments, url=url, text=text, folder=folder)
        assert (ended.code, ended.errors) == (0, ""), ended
        return ended.output

    return succeed


def test_predict_takes_a_record_a_list_lines_and_a_file(run: Run, folder: Path) -> None:
    lines = "\n".join(map(json.dumps, (RECORD, LOW)))
    (folder / "records.json").write_text(json.dumps({"data": [LOW]}), "utf-8")

    one = run("predict", json.dumps(RECORD)).splitlines()
    many = run("predict", "--model", "previous", text=lines).splitlines()
    answer = json.loads(run("predict", "--dataset", "employees", "--file", "records.json", "--json"))

    assert one[0].split() == ["row", "label", "probability", "version"]
    assert one[1].split() == ["0", "High", "0.8000", "2"]
    assert [line.split()[1:] for line in many[1:]] == [["High", "0.8000", "1"], ["Low", "0.8000", "1"]]
    assert answer["labels"] == ["Low"]


def test_explain_adds_up(run: Run) -> None:
    lines = run("explain", "--top", 2, "--class", "Low", "--timeout", "280s", text=json.dumps([RECORD])).splitlines()

    assert len(lines) == 1 + 1 + 2 + 2
    contributions = [float(line.split()[-1]) for line in lines[1:]]
    assert sum(contributions[:-1]) == pytest.approx(contributions[-1], abs=1e-3)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_score_writes_the_scored_file_beside_the_file(run: Run, folder: Path, url: str, suffix: str) -> None:
    frame = FakeRecords.load(CONTRACT, DATA).frame(1200, 3)
    frame.loc[7, "Designation"] = 77
    (frame.to_csv if suffix == "csv" else frame.to_parquet)(folder / f"staff.{suffix}", index=False)

    said = run("score", f"staff.{suffix}")
    strict = hearth("score", f"staff.{suffix}", "-o", f"again.{suffix}", "--strict", "--prefix", "new_", url=url, folder=folder)

    counted, read_as = said.splitlines()
    assert counted == f"staff_scored.{suffix}: 1,199 of 1,200 rows scored by champion, version 2."
    assert read_as.startswith("Read as: UTF-8 text, separated by commas" if suffix == "csv" else "Read as: a Parquet file")
    scored = (pd.read_csv if suffix == "csv" else pd.read_parquet)(folder / f"staff_scored.{suffix}")
    assert len(scored) == 1200
    assert (strict.code, strict.errors) == (1, "1 rows break the contract; the column new_error says why.\n")


def test_models_lists_what_is_served_and_what_is_registered(run: Run) -> None:
    table = run("models", "employees")
    versions = run("models", "employees", "--versions")

    assert any(line.split()[:4] == ["employees", "champion", "2", "knn"] for line in table.splitlines())
    for text in (table, versions):
        assert "macro_f1 0.810 (0.800 to 0.820)" in text
        assert "feed0123 (file), 3,400 rows" in text
        assert "generated" in text
    assert [line.split()[0] for line in versions.splitlines()] == ["version", "4", "3", "2", "1"]
    assert {part["dataset"] for part in json.loads(run("models", "--json"))["datasets"]} >= {"employees", "heart"}


def test_aliases_move_and_move_back(run: Run, registry: FakeRegistry) -> None:
    registry.carried.update(champion="2", previous="1")

    promoted, back = run("promote", "employees", 3), json.loads(run("rollback", "employees", "--json"))

    assert promoted == "employees@champion: version 3 (knn, gate: passed), before it version 2; served now: 3\n"
    assert back["after"] == {"champion": "2", "previous": "3"}
    registry.carried.update(champion="2", previous="1")


def test_the_output_ends_quietly_when_its_reader_has_enough(url: str, folder: Path) -> None:
    (folder / "many.jsonl").write_text("\n".join([json.dumps(RECORD)] * 50), "utf-8")
    script = f"set -o pipefail; '{sys.executable}' -u -m hearth predict --file many.jsonl | head -1"
    environment = {**os.environ, "HEARTH_API_URL": url, "HEARTH_API_KEY": ADMIN_KEY}

    done = subprocess.run(["/bin/bash", "-c", script], env=environment, cwd=folder, capture_output=True, text=True, check=False)

    assert done.stdout.split() == ["row", "label", "probability", "version"]
    assert done.stderr == ""


class TestFailures:
    @pytest.mark.parametrize(
        ("arguments", "key", "message"),
        [
            (["predict", json.dumps({**RECORD, "Designation": 9})], ADMIN_KEY, "invalid_records: row 0, 'Designation': got 9, expected "),
            (["predict", json.dumps(RECORD), "--dataset", "planets"], ADMIN_KEY, "unknown_dataset: There is no data set 'planets'"),
            (["predict", json.dumps(RECORD), "--model", "x"], ADMIN_KEY, "unknown_alias: "),
            (["models", "planets"], ADMIN_KEY, "unknown_dataset: There is no data set 'planets'"),
            (["predict", json.dumps(RECORD)], "", "invalid_key: "),
            (["rollback", "employees"], PAGE_KEY, "missing_scope: "),
            (["promote", "employees", "4"], ADMIN_KEY, "alias_not_moved: "),
            (["agreement", "employees"], ADMIN_KEY, "employees: nothing was compared yet."),
        ],
    )  # fmt: skip
    def test_an_error_is_one_line_on_standard_error_and_code_1(
        self, url: str, folder: Path, arguments: list[str], key: str | None, message: str
    ) -> None:
        ended = hearth(*arguments, url=url, key=key, folder=folder)

        assert (ended.code, ended.output) == (1, "")
        assert ended.errors.startswith(message)
        assert len(ended.errors.splitlines()) == 1

    @pytest.mark.parametrize(
        ("arguments", "text", "message"),
        [
            (["predict", "{"], "", "RECORD is not JSON"),
            (["predict", '{"Age": 1, "Age": 2}'], "", 'RECORD has the key "Age" twice in one object'),
            (["predict"], '{"a": 1}\n{"a": 1, "a": 2}', 'standard input has the key "a" twice in one object'),
            (["predict", "[]"], "", "RECORD must hold a record"),
            (["predict"], "7", "standard input must hold a record"),
            (["predict", "{}", "--file", "x"], "", "give RECORD or --file, not both"),
            (["predict", "--file", "missing.json"], "", "missing.json cannot be read"),
            (["score", "staff.csv", "more.csv"], "", "a batch needs a folder"),
            (["score", "s3://data/staff"], "", "a batch needs a folder"),
            (["score", "staff.csv", "--keep", "Employee ID"], "", "only for a batch"),
            (["score", "staff.csv", "--output", "out/", "--prefix", "new_"], "", "only for one file"),
            (["score", "missing.csv"], "", "does not exist"),
            (["promote", "employees"], "", "give either VERSION or --from"),
            (["models", "--versions"], "", "name the data set"),
            (["predictions", "--limit", "0"], "", "expected a whole number of 1 or more"),
        ],
    )
    def test_a_wrong_command_line_is_code_2(self, url: str, folder: Path, arguments: list[str], text: str, message: str) -> None:
        ended = hearth(*arguments, url=url, text=text, folder=folder)

        assert ended.code == 2
        assert message in " ".join(ended.errors.replace("│", " ").split())

    def test_nobody_listens(self, folder: Path) -> None:
        url = f"http://127.0.0.1:{free_port()}"

        ended = hearth("models", url=url, folder=folder)

        assert (ended.code, ended.errors) == (1, f"{url} does not answer: [Errno 111] Connection refused.\n")


class TestService:
    """Which service, and which key."""

    @pytest.fixture
    def checkout(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        for name in ("HEARTH_API_URL", "HEARTH_API_KEY", "HEARTH_API_ADMIN_KEY", "HEARTH_API_PORT"):
            monkeypatch.delenv(name, raising=False)
        (tmp_path / "deploy/embedded").mkdir(parents=True)
        for name in ("supervisord.conf", "deploy/embedded/stack.py"):
            (tmp_path / name).touch()
        content = "HEARTH_API_PORT=8800\nHEARTH_API_URL=http://127.0.0.1:${HEARTH_API_PORT}\nHEARTH_API_ADMIN_KEY=of-the-laptop\n"
        (tmp_path / ".env").write_text(content, "utf-8")
        monkeypatch.chdir(tmp_path)
        return tmp_path

    def test_in_a_checkout_it_is_the_stack_on_its_port_with_its_admin_key(self, checkout: Path) -> None:
        (checkout / ".env.local").write_text("HEARTH_API_PORT=9900\n", "utf-8")

        assert find_service(None, None) == Service("http://127.0.0.1:9900", "of-the-laptop")
        assert find_service("http://127.0.0.1:9900", None).api_key == "of-the-laptop"

    @pytest.mark.usefixtures("checkout")
    def test_the_keys_of_a_checkout_are_sent_to_no_other_address(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HEARTH_API_URL", "https://hearth.example.org")

        assert find_service("https://hearth.example.org", None) == Service("https://hearth.example.org", None)
        assert find_service("https://hearth.example.org", "mine").api_key == "mine"

    def test_without_an_address_and_a_checkout_the_option_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("hearth.cli.service.find_checkout", lambda: None)

        with pytest.raises(CommandError, match=r"Which service\? Give --url, or set HEARTH_API_URL"):
            find_service(None, None)
