"""The wheel of a release: built twice, it is the same; installed in an environment of its own, it works away from the checkout."""

import hashlib
import os
import subprocess
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UV = ROOT / ".venvs/uv/bin/uv"
# Files that are no Python, and without which something of the package would not work
DATA = {
    "hearth/py.typed",
    "hearth_api/py.typed",
    "hearth_api/graphql_schema/graphiql/page.html",
    "hearth_api/graphql_schema/graphiql/graphiql.min.js.gz",
    "hearth_api/graphql_schema/graphiql/LICENSE.graphiql",
    "grpc_service/v1/prediction.proto",
    "streamlit_app/.streamlit/config.toml",
}


def build(folder: Path) -> Path:
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
    command: list[str | Path] = [UV, "build", "--quiet", "--wheel", "--out-dir", folder, ROOT]
    subprocess.run(command, check=True, env=environment, capture_output=True)
    [wheel] = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel beside what the image `serve` has, in an environment without the checkout; return its folder of programs."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([UV, "venv", "--quiet", "--python", ROOT / ".venvs/serve/bin/python", folder], check=True)
    install: list[str | Path] = [UV, "pip", "install", "--quiet", "--python", folder]
    subprocess.run([*install, "--require-hashes", "-r", ROOT / "dockerfiles/serve/requirements.txt"], check=True)
    subprocess.run([*install, "--no-deps", wheel], check=True)
    return folder / "bin"


def run(program: Path, *arguments: str, folder: Path) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    done = subprocess.run([program, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_has_its_data_files_its_licence_and_nothing_of_the_checkout(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())

    assert names >= DATA
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {
        "hearth",
        "hearth_api",
        "grpc_service",
        "streamlit_app",
    }
    assert not [name for name in names if name.startswith("tests") or name.endswith((".env", ".env.local", ".pyc"))]


def test_the_same_source_gives_the_same_bytes(wheel: Path, tmp_path: Path) -> None:
    assert hashlib.sha256(build(tmp_path).read_bytes()).digest() == hashlib.sha256(wheel.read_bytes()).digest()


def test_the_command_and_the_client_work_away_from_the_checkout(installed: Path, tmp_path: Path) -> None:
    assert "Hearth takes a tabular data set" in run(installed / "hearth", "--help", folder=tmp_path)
    assert run(installed / "hearth", "--version", folder=tmp_path).startswith("hearth 0.")
    code = "import hearth_api, grpc_service, streamlit_app; from hearth.client import Client; print(hearth_api.__file__, Client.__name__)"
    place, name = run(installed / "python", "-c", code, folder=tmp_path).split()

    assert name == "Client"
    assert Path(place).is_relative_to(installed.parent)


def test_a_command_that_needs_a_checkout_says_so(installed: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [installed / "hearth", "up"], cwd=tmp_path, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "needs a checkout of Hearth" in done.stderr
