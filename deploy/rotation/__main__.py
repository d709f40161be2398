"""New secrets for old ones: the command `hearth secrets` runs this program in the environment `embedded`.

    python -m deploy.rotation list
    python -m deploy.rotation rotate SECRET [...]     settings such as HEARTH_REDIS_PASSWORD, api:NAME for a further API key, or all
    python -m deploy.rotation retire                  API keys and signing keys that were rotated hold no longer

Values are never printed. A rotation that was interrupted is finished by the next call, whatever it names.
"""

import argparse
import os
import sys
from pathlib import Path

from deploy.compose.make_secrets import read_values
from deploy.embedded.environment import ROOT, load_environment
from deploy.embedded.launcher import SettingError
from deploy.embedded.supervision import Supervisor
from deploy.rotation.audit_row import audited
from deploy.rotation.catalogue import API_KEY, NEVER, SECRETS, Server
from deploy.rotation.changes import CannotRotate, chosen, new_settings, retired_settings, secret_of
from deploy.rotation.compose import commands
from deploy.rotation.embedded import NotHealthy, Rotation, begin
from deploy.rotation.journal import Journal
from deploy.rotation.servers import ServerRefused

_NEEDS_SERVER = ("HEARTH_POSTGRES_PASSWORD", "HEARTH_AIRFLOW_FERNET_KEY")  # others are told at the next start


def print_list() -> int:
    """Print what can be rotated, who starts again, and what becomes of the old value."""
    for secret in (*SECRETS, API_KEY):
        name = "api:NAME" if secret is API_KEY else secret.name
        print(f"{name}\n  starts again: {', '.join(secret.restarted) or 'nothing'}\n  the old one: {secret.old}")
    for name, reason in NEVER.items():
        print(f"{name}\n  is not rotated: {reason}")
    return 0


def rotate(root: Path, words: list[str], *, is_compose: bool) -> int:
    """Rotate secrets, after what an interrupted rotation has left."""
    path = root / ".env.local.rotation"
    if (unfinished := Journal.read(path)) is not None:
        print(f"A rotation was interrupted: finishing it ({', '.join(unfinished.names)}).", flush=True)
        _run(root, unfinished, is_compose=is_compose)
        return 0
    settings = {**read_values(root / ".env"), **read_values(root / ".env.local")}
    names = chosen(words, settings)
    changed = new_settings(names, settings)
    _refuse_outside(changed)
    running = {} if is_compose else Supervisor(root, load_environment(root, os.environ)).running_settings()
    if not running and not is_compose and (waiting := [name for name in names if name in _NEEDS_SERVER]):
        if "all" not in words:
            raise CannotRotate(f"{', '.join(waiting)}: the stack does not run, and its server has to be told. `hearth up` first.")
        print(f"The stack does not run: {', '.join(waiting)} stay as they are, because a server has to be told.")
        names = [name for name in names if name not in waiting]
        changed = new_settings(names, settings)
    before = {name: {**settings, **running}[name] for name in (*changed, "HEARTH_POSTGRES_PASSWORD") if name in {**settings, **running}}
    _run(root, begin(path, names, changed, before), is_compose=is_compose)
    return 0


def retire(root: Path, *, is_compose: bool) -> int:
    """Have older API keys and signing keys hold no longer."""
    path = root / ".env.local.rotation"
    if Journal.read(path) is not None:
        raise CannotRotate("A rotation was interrupted: `hearth secrets rotate all` finishes it first.")
    settings = {**read_values(root / ".env"), **read_values(root / ".env.local")}
    changed = retired_settings(settings)
    if not changed:
        print("No older key holds.")
        return 0
    _refuse_outside(changed)
    names = [{API_KEY.name: "HEARTH_API_ADMIN_KEY"}.get(name, name) for name in changed]
    _run(root, begin(path, names, changed, {name: settings[name] for name in changed}), is_compose=is_compose, verb="retired")
    return 0


def _run(root: Path, journal: Journal, *, is_compose: bool, verb: str = "rotated") -> None:
    with audited(root, os.environ, journal.names, verb=verb, is_compose=is_compose):
        if is_compose:
            print(*commands(journal, root / ".env.local"), sep="\n", flush=True)
            return
        Rotation(root, os.environ, journal).run()
    print(f"{', '.join(journal.names)}: {verb}. .env.local has the new values.")
    for name in journal.names:
        if secret_of(name).server is Server.NOBODY and "until" in secret_of(name).old and verb == "rotated":
            print(f"  the old {name} {secret_of(name).old}")


def _refuse_outside(changed: dict[str, str]) -> None:
    if outside := sorted(name for name in changed if name in os.environ):
        raise CannotRotate(f"{', '.join(outside)} come from the environment of this shell, which wins over .env.local: change them there.")


def main(arguments: list[str]) -> int:
    """Run one command; return its exit code."""
    parser = argparse.ArgumentParser(prog="rotation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    subparsers.add_parser("list")
    rotating, retiring = subparsers.add_parser("rotate"), subparsers.add_parser("retire")
    rotating.add_argument("secrets", nargs="+", metavar="SECRET")
    for one in (rotating, retiring):
        one.add_argument("--compose", action="store_true", help="write .env.local and print what to run, in place of the embedded stack")
    options = parser.parse_args(arguments)
    match options.command:
        case "list":
            return print_list()
        case "rotate":
            return rotate(ROOT, options.secrets, is_compose=options.compose)
        case _:
            return retire(ROOT, is_compose=options.compose)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (CannotRotate, NotHealthy, ServerRefused, SettingError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        print("Interrupted: `hearth secrets rotate all` goes on from here.", file=sys.stderr)
        sys.exit(130)
