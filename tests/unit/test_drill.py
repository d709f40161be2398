"""The drill of Compose says at once that the stack does not work, instead of restarting all of it; `docker` is a program of ours."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKER = """#!{python}
import json, sys
with open({calls!r}, "a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\\n")
if "ps" in sys.argv:
    print(json.dumps({{"Name": "hearth-grpc-1", "Service": "grpc", "Status": "Up 5 seconds (healthy)"}}))
elif "smoke" in sys.argv:
    print({output!r})
    sys.exit({code})
"""


def drill(folder: Path, output: str, code: int) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    docker, calls = folder / "docker", folder / "calls"
    docker.write_text(DOCKER.format(python=sys.executable, calls=str(calls), output=output, code=code), "utf-8")
    docker.chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "deploy.compose.drill"]
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return ended, calls.read_text("utf-8").splitlines()


def test_a_stack_that_was_never_trained_is_named_before_anything_is_restarted(tmp_path: Path) -> None:
    ended, calls = drill(tmp_path, "The stack does not work: employees is not trained", 1)

    assert ended.returncode == 1
    assert "Nothing was restarted" in ended.stdout
    assert "employees is not trained" in ended.stdout
    assert not [call for call in calls if "restart" in call]


def test_a_stack_that_works_is_restarted_service_by_service(tmp_path: Path) -> None:
    ended, calls = drill(tmp_path, "all is well", 0)

    assert ended.returncode == 0, ended.stdout
    assert [call for call in calls if "restart" in call] == ["compose restart grpc"]
    assert "smoke test passed" in ended.stdout
