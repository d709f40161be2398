"""EDA.ipynb as it is committed, and run from top to bottom on a few rows."""

import json
import os
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from hearth.contracts import load_contract
from hearth.fakes import real_file, write_fake
from tests.support.samples import ROOT
from utils.eda import COMMITTED, NOTEBOOK, code_digest, destination, execute, first_output

ROWS = 1_500
COMMITTED_NOTEBOOK = nbformat.read(NOTEBOOK, as_version=nbformat.current_nbformat)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook: NotebookNode) -> list[NotebookNode]:
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def complaints(notebook: NotebookNode) -> list[NotebookNode]:
    """Errors, and what was written to the standard error: warnings."""
    return [output for output in outputs(notebook) if output.output_type == "error" or output.get("name") == "stderr"]


def pictures(notebook: NotebookNode) -> list[str]:
    return [output.data["image/png"] for output in outputs(notebook) if "image/png" in output.get("data", {})]


def texts(notebook: NotebookNode) -> str:
    return "\n".join(output.data.get("text/markdown", "") for output in outputs(notebook) if "data" in output)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """The data set without a real file, whatever was dropped into the checkout."""
    (tmp_path / "data/employees").mkdir(parents=True)
    for name in ("contract.yaml", "statistics.json"):
        shutil.copy(ROOT / "data/employees" / name, tmp_path / "data/employees")
    return tmp_path / "data"


def run(data_dir: Path) -> NotebookNode:
    return execute(NOTEBOOK, {**os.environ, "HEARTH_DATA_DIR": str(data_dir), "HEARTH_EDA_ROWS": str(ROWS)})


class TestTheCommittedOne:
    """`make eda` without the real file makes it anew."""

    def test_was_made_from_the_whole_demo_data(self) -> None:
        assert first_output(COMMITTED_NOTEBOOK).startswith(COMMITTED)

    def test_is_below_two_megabytes(self) -> None:
        assert NOTEBOOK.stat().st_size < 2_000_000

    def test_ran_from_top_to_bottom_without_a_warning(self) -> None:
        cells = code_cells(COMMITTED_NOTEBOOK)

        assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
        assert complaints(COMMITTED_NOTEBOOK) == []

    def test_has_the_outputs_of_its_code(self) -> None:
        assert COMMITTED_NOTEBOOK.metadata.hearth.outputs_of == code_digest(COMMITTED_NOTEBOOK)

    def test_shows_something_in_each_section(self) -> None:
        shown: dict[str, int] = {}
        section = ""
        for cell in COMMITTED_NOTEBOOK.cells:
            if cell.cell_type == "markdown" and cell.source.startswith("## "):
                section = cell.source.splitlines()[0]
            elif cell.cell_type == "code" and section:
                shown[section] = shown.get(section, 0) + len(cell.outputs)

        assert len(shown) == 11
        assert min(shown.values()) > 0

    def test_says_nothing_of_the_machine_that_it_ran_on(self) -> None:
        written = json.dumps([COMMITTED_NOTEBOOK.metadata, *({**cell, "source": ""} for cell in COMMITTED_NOTEBOOK.cells)])

        for trace in (str(ROOT), ".venvs", "site-packages", "/home/", "/Users/", "/tmp/", "/root/", " at 0x"):  # noqa: S108 - looked for, not used
            assert trace not in written
        assert all(cell.metadata == {} for cell in COMMITTED_NOTEBOOK.cells)


class TestExecute:
    def test_it_runs_on_demo_data_and_says_so(self, data_dir: Path, tmp_path: Path) -> None:
        notebook = run(data_dir)

        assert first_output(notebook).startswith(f"Made from the demo data: {ROWS:,} fake rows")
        assert complaints(notebook) == []
        assert len(pictures(notebook)) == len(pictures(COMMITTED_NOTEBOOK))
        assert "On demo data" in texts(notebook)
        assert destination(notebook, NOTEBOOK, tmp_path) == tmp_path / "EDA.ipynb"

    def test_it_runs_on_the_real_file_says_so_and_stays_out_of_the_checkout(self, data_dir: Path, tmp_path: Path) -> None:
        contract = load_contract("employees", data_dir)
        write_fake(
            contract, data_dir, data_dir / "employees" / contract.source.file, ROWS, seed=7
        )  # as good as real: it is where that would be
        assert real_file(contract, data_dir) is not None

        notebook = run(data_dir)

        assert first_output(notebook).startswith("Made from the real file")
        assert complaints(notebook) == []
        assert "On demo data" not in texts(notebook)
        assert destination(notebook, NOTEBOOK, tmp_path) == tmp_path / "EDA.ipynb"

    def test_what_was_made_from_the_whole_demo_data_takes_its_own_place(self, tmp_path: Path) -> None:
        assert destination(COMMITTED_NOTEBOOK, NOTEBOOK, tmp_path) == NOTEBOOK

    def test_a_cell_that_fails_ends_the_run(self, tmp_path: Path) -> None:
        failing = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0"), nbformat.v4.new_code_cell("print('not reached')")])
        nbformat.write(failing, tmp_path / "failing.ipynb")

        with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
            execute(tmp_path / "failing.ipynb", os.environ)
