"""The environment of every process of the stack: `.env`, `.env.local`, the real environment, and variables of third-party servers.

Precedence is that of Compose: the real environment wins over `.env.local`, which wins over `.env`. It holds inside `${VAR}` too, so
HEARTH_POSTGRES_PORT=25432 moves the URLs that are built from it. `stack.env` translates our settings into the variable names of Airflow and
MLflow; nothing wins over it, and such variables of the caller are dropped, so that a shell for another project does not interfere.
"""

from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values
from dotenv.variables import parse_variables

from deploy.embedded.launcher import SettingError

ROOT = Path(__file__).parents[2]
_TRANSLATION = Path(__file__).with_name("stack.env")
_LOG_FORMS = {"text": "False", "json": "True"}  # with what Airflow calls them
_FOREIGN = ("AIRFLOW", "MLFLOW_", "AWS_", "PG", "PYTHON", "VIRTUAL_ENV")


def load_environment(root: Path, outside: Mapping[str, str]) -> dict[str, str]:
    """Return the whole environment of the stack in the checkout `root`, started from a shell with the variables `outside`.

    Raises:
        SettingError: a file uses a variable that is not set, or that needs itself, or the form of logs is unknown.
    """
    settings = {**_raw(root / ".env"), **_raw(root / ".env.local")}
    inherited = {name: value for name, value in outside.items() if not name.startswith(_FOREIGN)}
    state = root / inherited.get("HEARTH_STATE_DIR", settings.get("HEARTH_STATE_DIR", ".hearth"))
    derived = {"HEARTH_ROOT": str(root), "HEARTH_STATE_DIR": str(state)}
    environment = interpolate(settings, {**inherited, **derived})
    form = environment.get("HEARTH_LOG_FORMAT", "text")
    if form not in _LOG_FORMS:
        raise SettingError(f"HEARTH_LOG_FORMAT is {form!r}: expected 'text' or 'json'.")
    environment["HEARTH_AIRFLOW_JSON_LOGS"] = _LOG_FORMS[form]
    environment["HEARTH_DATA_DIR"] = str(root / environment["HEARTH_DATA_DIR"])  # Airflow's tasks run in a folder of their own
    backups = environment.get("HEARTH_BACKUP_TO", "")
    if backups and not backups.startswith("s3://"):
        environment["HEARTH_BACKUP_TO"] = str(root / Path(backups).expanduser())
    for name in ("no_proxy", "NO_PROXY"):
        environment[name] = ",".join(filter(None, [environment.get(name), "127.0.0.1", "localhost"]))
    return interpolate(_raw(_TRANSLATION), environment)


def interpolate(definitions: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return `environment` and `definitions`, with `${VAR}` and `${VAR:-default}` replaced; `environment` wins over `definitions`.

    Raises:
        SettingError: a variable is used that is not set, or one needs itself.
    """
    values = dict(environment)

    def resolve(name: str, path: tuple[str, ...]) -> str:
        if name in values:
            return values[name]
        if name in path:
            raise SettingError(f"{name} needs itself: {' needs '.join([*path, name])}.")
        values[name] = "".join(_part(atom, (*path, name)) for atom in parse_variables(definitions[name]))
        return values[name]

    def _part(atom: object, path: tuple[str, ...]) -> str:
        name: str | None = getattr(atom, "name", None)
        if name is None:
            return str(getattr(atom, "value"))  # noqa: B009 - a Literal; the classes are private to dotenv
        if name in values or name in definitions:
            return resolve(name, path)
        default: str | None = getattr(atom, "default", None)
        if default is None:
            raise SettingError(f"{path[-1]} uses ${{{name}}}, which is set neither in .env, nor in .env.local, nor in the environment.")
        return default

    for name in definitions:
        resolve(name, ())
    return values


def _raw(path: Path) -> dict[str, str]:
    values = dotenv_values(path, interpolate=False) if path.exists() else {}
    return {name: value or "" for name, value in values.items()}
