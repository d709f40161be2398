"""What a killed task leaves on the disk goes with the next task; what others work on stays."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from hearth.jobs.work_folder import work_folder

_TASK = """
from hearth.jobs.work_folder import work_folder
with work_folder() as folder:
    (folder / "rows.parquet").write_bytes(b"rows")
    print(folder, flush=True)
    input()
"""


def test_the_folder_of_a_killed_task_is_removed_by_the_next_and_that_of_a_living_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "hearth-etl-new").mkdir()  # of a task that has not come to its lock yet
    (tmp_path / "another").write_text("x", encoding="utf-8")
    task = subprocess.Popen(
        [sys.executable, "-c", _TASK], env={"TMPDIR": str(tmp_path)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with task:
        assert task.stdout
        theirs = Path(task.stdout.readline().strip())
        with work_folder() as living:
            assert (theirs / "rows.parquet").exists()
            with work_folder():
                assert living.exists()
        task.kill()
    assert (theirs / "rows.parquet").exists()

    with work_folder() as folder:
        assert {path.name for path in tmp_path.iterdir()} == {"another", "hearth-etl-new", folder.name}
    assert not folder.exists()
