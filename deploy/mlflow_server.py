"""Start MLflow in the foreground, with a login where HEARTH_MLFLOW_PASSWORD is set: `python -m deploy.mlflow_server --host H --port P`.

Both stacks start it by this program, in an environment that has the variables of MLflow's stores. Standard library only. A database of an
older MLflow is upgraded first, and one of a newer MLflow refused: by `mlflow_database.py`, in a process of its own.
"""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

_APPLICATION = "basic-auth"
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


def main() -> None:
    """Become the server; arguments are those of `mlflow server`."""
    # -P: a folder of the checkout named as a package is not that package
    command = [sys.executable, "-P", "-m", "mlflow", "server", "--workers", "1", *sys.argv[1:]]
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
        command += ["--app-name", _APPLICATION]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(command[0], command, environment)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
