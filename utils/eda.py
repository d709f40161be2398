"""Run EDA.ipynb from top to bottom: with the demo data in place, with the real file, which must not be committed, into the state folder.

HEARTH_EDA_ROWS is another number of fake rows; that result goes to the state folder too. Needs the environment `airflow`.
"""

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from traitlets.config import Config

from hearth.fakes import DEMO_ROWS

NOTEBOOK = Path(__file__).parents[1] / "EDA.ipynb"
COMMITTED = f"Made from the demo data: {DEMO_ROWS:,} fake rows"
"""The beginning of the first output of a notebook that may be committed."""

_LONGEST_CELL = 600  # seconds
_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},  # a kernel adds its version, which differs from machine to machine
}


def execute(path: Path, environment: Mapping[str, str]) -> NotebookNode:
    """Run a notebook in a kernel of this environment, in its own folder, and return it with its outputs and without data of the machine.

    Raises:
        CellExecutionError: a cell failed; the message has the cell and its error.
    """
    notebook: NotebookNode = nbformat.read(path, as_version=nbformat.current_nbformat)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            kernel_name="python3",
            timeout=_LONGEST_CELL,
            record_timing=False,
            resources={"metadata": {"path": str(path.parent)}},
            config=Config(KernelManager={"transport": "ipc", "ip": f"{folder}/kernel"}),  # no port that others on this machine could reach
        )
        client.execute(env={**environment, "IPYTHONDIR": folder})  # neither reads nor writes a person's profile
    notebook.metadata = nbformat.from_dict({**_METADATA, "hearth": {"outputs_of": code_digest(notebook)}})
    return notebook


def code_digest(notebook: NotebookNode) -> str:
    """Return the digest of the code of a notebook; the metadata keep the digest of the code that made the outputs."""
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return hashlib.sha256(json.dumps(code).encode()).hexdigest()


def first_output(notebook: NotebookNode) -> str:
    """Return the first text that a notebook prints: the data that it was made from."""
    texts = [
        output.text for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs if output.output_type == "stream"
    ]
    return str(texts[0]) if texts else ""


def destination(notebook: NotebookNode, path: Path, state_dir: Path) -> Path:
    """Return the path for an executed notebook: its own only if it was made from the whole demo data."""
    return path if first_output(notebook).startswith(COMMITTED) else state_dir / path.name


def main() -> int:
    """Run the notebook, write it, and print path and data."""
    try:
        notebook = execute(NOTEBOOK, os.environ)
    except CellExecutionError as error:
        print(f"{NOTEBOOK.name} failed:\n{error}", file=sys.stderr)
        return 1
    output = destination(notebook, NOTEBOOK, Path(os.environ.get("HEARTH_STATE_DIR", ".hearth")))
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
    print(f"{first_output(notebook).strip()}\nWritten to {output} ({output.stat().st_size / 1e6:.1f} MB).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
