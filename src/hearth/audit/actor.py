"""Who acts: a variable of the running task or thread, which a door sets and the trail reads."""

import getpass
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

KINDS = ("key", "nobody", "airflow", "user", "hearth")


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, and from where.

    Attributes:
        kind: `key`: the holder of an API key; `nobody`: a caller without one, where none is needed; `airflow`: a task; `user`: of the
            operating system, of a command; `hearth`: a process by itself.
        name: of the key, `dag/run/task`, of the user, or of the part of Hearth.
        door: `rest`, `graphql`, `airflow`, `command`, `process`.
        address: of the caller, or the name of the machine.
    """

    kind: str
    name: str
    door: str
    address: str = ""


ACTOR: ContextVar[Actor | None] = ContextVar("hearth_actor", default=None)


def current_actor() -> Actor:
    """Return who the running code acts for: whom a door has set, else the task of Airflow or the user that this process belongs to."""
    return ACTOR.get() or _of_process()


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """Run a block for somebody."""
    token = ACTOR.set(actor)
    try:
        yield
    finally:
        ACTOR.reset(token)


def _of_process() -> Actor:
    machine = platform.node()
    run = [os.environ.get(f"AIRFLOW_CTX_{part}", "") for part in ("DAG_ID", "DAG_RUN_ID", "TASK_ID")]
    if run[0]:
        return Actor("airflow", "/".join(run), "airflow", machine)
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # a container's user that no list of users has
        name = f"uid {os.getuid()}"
    return Actor("user", name, "command", machine)
