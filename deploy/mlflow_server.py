"""Start MLflow in the foreground, with a login where HEARTH_MLFLOW_PASSWORD is set: `python -m deploy.mlflow_server --host H --port P`.

Both stacks start it by this program, in an environment that has the variables of MLflow's stores. Standard library only, and of Hearth only
its log: with HEARTH_LOG_FORMAT=json the server writes the JSON that all others write. A database of an older MLflow is upgraded first, and
one of a newer MLflow refused: by `mlflow_database.py`, in a process of its own.
"""

import logging
import os
import runpy
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

_APPLICATION = "basic-auth"
_SOURCE = Path(__file__).resolve().parents[1] / "src"  # MLflow's environment has no package of ours
_LOG_CONFIGURATION = Path(__file__).with_name("mlflow_log.json")
# One user, who comes from the settings at each start: a changed password holds after a restart, and no database keeps the old one.
_CONFIGURATION = """[mlflow]
default_permission = NO_PERMISSIONS
database_uri = sqlite:///{folder}/users.db
admin_username = {user}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 60
"""


def login_environment(user: str, password: str, folder: Path) -> dict[str, str]:
    """Write MLflow's configuration of logins to a private folder and return the variables that it needs."""
    path = folder / "basic_auth.ini"
    path.write_text(_CONFIGURATION.format(folder=str(folder.absolute()).replace("%", "%%"), user=user.replace("%", "%%")), encoding="utf-8")
    return {
        "MLFLOW_AUTH_CONFIG_PATH": str(path),
        "MLFLOW_AUTH_ADMIN_USERNAME": user,
        "MLFLOW_AUTH_ADMIN_PASSWORD": password,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_urlsafe(48),
    }


def run_with_json_log(arguments: list[str], environment: dict[str, str]) -> None:
    """Run the server's command in this process, whose log is set up before; the worker that it starts reads a configuration of its own."""
    sys.path[:] = [str(_SOURCE), *(entry for entry in sys.path if Path(entry or ".").resolve() != _SOURCE.parent)]
    from hearth.logs import configure_logging  # noqa: PLC0415 - found by the line above
    from hearth.logs.printed import log_what_is_printed  # noqa: PLC0415

    configure_logging("mlflow", form="json")
    log_what_is_printed()
    logging.getLogger("alembic").setLevel(logging.WARNING)  # as MLflow's own configuration has it
    path = os.pathsep.join(filter(None, [str(_SOURCE), environment.get("PYTHONPATH")]))
    os.environ.update(environment, PYTHONPATH=path, MLFLOW_CONFIGURE_LOGGING="false")
    sys.argv = ["mlflow", *arguments, "--uvicorn-opts", f"--log-config {shlex.quote(str(_LOG_CONFIGURATION))}"]
    runpy.run_module("mlflow", run_name="__main__", alter_sys=True)


def main() -> None:
    """Become the server; arguments are those of `mlflow server`."""
    form = os.environ.get("HEARTH_LOG_FORMAT") or "text"
    if form not in {"text", "json"}:
        sys.exit(f"HEARTH_LOG_FORMAT is {form!r}: expected 'text' or 'json'.")
    arguments = ["server", "--workers", "1", *sys.argv[1:]]
    environment = dict(os.environ)
    if environment.get("MLFLOW_BACKEND_STORE_URI"):
        database = subprocess.run([sys.executable, str(Path(__file__).with_name("mlflow_database.py"))], check=False)
        if database.returncode:
            sys.exit(database.returncode)
    if password := os.environ.get("HEARTH_MLFLOW_PASSWORD"):
        folder = Path(os.environ.get("HEARTH_STATE_DIR") or tempfile.gettempdir(), "mlflow-login")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True)
        environment |= login_environment(os.environ["HEARTH_MLFLOW_USER"], password, folder)
        arguments += ["--app-name", _APPLICATION]
    if form == "json":
        run_with_json_log(arguments, environment)
        return
    # -P: a folder of the checkout named as a package is not that package
    command = [sys.executable, "-P", "-m", "mlflow", *arguments]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(command[0], command, environment)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
