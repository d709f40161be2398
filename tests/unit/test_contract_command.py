"""`hearth data contract` writes a draft, and never over what is there."""

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from hearth.contracts import load_contract
from tests.support.command_line import Ended, run_command
from tests.support.workbooks import workbook

ROOT = Path(__file__).parents[2]
ROWS = "age,smokes,ill\n" + "".join(f"{20 + i},{'no' if i % 3 else 'yes'},{i % 2}\n" for i in range(40))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "Lung Cancer.csv"
    path.write_text(ROWS, "utf-8")
    return path


def draft(file: Path, *options: object, **environment: str) -> Ended:
    return run_command("data", "contract", file, *options, folder=file.parent, HEARTH_ROOT=str(ROOT), **environment)


def test_a_draft_is_a_folder_that_loads_and_the_next_steps_are_said(file: Path) -> None:
    ended = draft(file, "--target", "ill")

    folder = file.parent / "data/lung_cancer"
    assert (ended.code, ended.errors) == (0, "")
    contract = load_contract("lung_cancer", folder.parent)
    assert contract.target.column == "ill"
    assert (folder / "lung_cancer.csv").read_bytes() == file.read_bytes()
    assert "| smokes | feature | one of 'no', 'yes' | smokes |" in (folder / "README.md").read_text("utf-8")
    decisions = (folder / "contract.yaml").read_text("utf-8").count("# decide: ")
    assert f"1. Settle the {decisions} comments `# decide`" in ended.output
    assert "hearth data upload --dataset lung_cancer" in ended.output


def test_the_folder_and_the_name_can_be_chosen(file: Path, tmp_path: Path) -> None:
    assert draft(file, "--name", "lungs", "--output", tmp_path / "sets").code == 0
    assert draft(file, "--name", "lungs", HEARTH_DATA_DIR=str(tmp_path / "other")).code == 0

    assert load_contract("lungs", tmp_path / "sets") == load_contract("lungs", tmp_path / "other")


def test_what_is_there_is_replaced_only_by_force(file: Path) -> None:
    assert draft(file).code == 0
    path = file.parent / "data/lung_cancer/contract.yaml"
    path.write_text("a person's work", "utf-8")

    refused = draft(file)

    assert refused.code == 1
    assert "data/lung_cancer/contract.yaml, " in refused.errors
    assert "would be replaced" in refused.errors
    assert path.read_text("utf-8") == "a person's work"
    assert draft(file, "--force").code == 0
    assert path.read_text("utf-8").startswith("# A draft")


def test_rows_that_lie_in_their_place_stay_there(file: Path) -> None:
    rows = file.parent / "data/lungs/lungs.csv"
    rows.parent.mkdir(parents=True)
    file.rename(rows)

    assert draft(rows, "--output", rows.parents[1]).code == 0
    assert rows.read_text("utf-8") == ROWS


def test_rows_in_their_place_that_the_etl_cannot_read_are_not_replaced(file: Path) -> None:
    rows = file.parent / "data/lungs/lungs.csv"
    rows.parent.mkdir(parents=True)
    rows.write_text(ROWS.replace(",", ";"), "utf-8")

    ended = draft(rows, "--output", rows.parents[1], "--force")

    assert ended.code == 1
    assert "lungs.csv is not as the ETL reads it, and the copy would replace it" in ended.errors
    assert [path.name for path in rows.parent.iterdir()] == ["lungs.csv"]


def test_a_file_with_semicolons_is_copied_with_commas(file: Path) -> None:
    file.write_text(ROWS.replace(",", ";"), "utf-8")

    ended = draft(file)

    assert "a copy as the ETL reads it" in ended.output
    assert "Note: The values are separated by semicolons; the copy has commas." in ended.output
    assert (file.parent / "data/lung_cancer/lung_cancer.csv").read_text("utf-8") == ROWS


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--target", "height"], 1, "There is no column 'height'; there are: age, smokes, ill."),
        (["--name", "Lungs"], 1, "A data set cannot be called 'Lungs'"),
        (["--unknown"], 2, "No such option: --unknown"),
    ],
)
def test_what_cannot_be_drafted_says_why(file: Path, options: list[str], code: int, message: str) -> None:
    ended = draft(file, *options)

    assert ended.code == code
    assert message in ended.errors
    assert not (file.parent / "data").exists()


def test_a_missing_file_is_a_wrong_command_line(tmp_path: Path) -> None:
    assert draft(tmp_path / "nothing.csv").code == 2


def as_workbook(rows: str) -> bytes:
    header, *lines = [line.split(",") for line in rows.splitlines()]
    return workbook({"people": [header, *([int(age), smokes, int(ill)] for age, smokes, ill in lines)]})


def as_zip(rows: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("people.csv", rows)
    return target.getvalue()


@pytest.mark.parametrize(
    ("name", "pack", "note"),
    [
        ("people.xlsx", as_workbook, "converted from the sheet 'people' of a workbook; the copy is CSV"),
        ("people.csv.gz", lambda rows: gzip.compress(rows.encode()), "unpacked from gzip; the copy is CSV"),
        ("people.zip", as_zip, "the copy is CSV"),
    ],
)
def test_a_workbook_or_a_packed_file_becomes_a_csv_copy(tmp_path: Path, name: str, pack: Callable[[str], bytes], note: str) -> None:
    (tmp_path / name).write_bytes(pack(ROWS))

    ended = draft(tmp_path / name, "--target", "ill", "--name", "people")

    assert (ended.code, ended.errors) == (0, "")
    assert note in ended.output
    contract = load_contract("people", tmp_path / "data")
    assert contract.target.column == "ill"
    assert (tmp_path / "data/people" / contract.source.file).read_text("utf-8").splitlines() == ROWS.splitlines()


def test_a_broken_archive_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "people.csv.gz").write_bytes(b"\x1f\x8bbroken")

    ended = draft(tmp_path / "people.csv.gz")

    assert ended.code == 1
    assert "people.csv.gz: The file is a broken gzip archive" in ended.errors
