"""Servers that all tests of a run share, also those in the parallel processes of pytest-xdist.

Each server starts when the first test needs it and stops at the end of the run. The process that the user starts holds them;
the parallel processes get their addresses from it over a local connection.
"""

import contextlib
import secrets
import threading
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager
from multiprocessing.connection import Client, Connection, Listener
from typing import Any, Protocol

from deploy.embedded import temporary_servers
from tests.support import airflow_home

SERVERS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "airflow_database": airflow_home.migrated_database,
    "mariadb": temporary_servers.mariadb,
    "mlflow": temporary_servers.mlflow,
    "object_store": temporary_servers.object_store,
    "postgres": temporary_servers.postgres,
    "valkey": temporary_servers.valkey,
}


class Servers(Protocol):
    """Where tests get the addresses of shared servers from."""

    def address(self, name: str) -> Any:
        """Return the address of a server, which runs then.

        Raises:
            ServerStartError: if it does not start.
        """


class LocalServers:
    """Starts servers, and hands out their addresses in this process and to others."""

    def __init__(self) -> None:
        self._running = contextlib.ExitStack()
        self._addresses: dict[str, Any] = {}
        self._locks: dict[str, threading.Lock] = defaultdict(threading.Lock)
        self._key = secrets.token_bytes(16)
        self._listener: Listener | None = None

    def address(self, name: str) -> Any:
        with self._locks[name]:
            if name not in self._addresses:
                self._addresses[name] = self._running.enter_context(SERVERS[name]())
            return self._addresses[name]

    def close(self) -> None:
        """Stop all servers."""
        if self._listener is not None:
            self._listener.close()
        self._running.close()

    def connection(self) -> tuple[tuple[str, int], str]:
        """Return the address and the key by which another process connects; the first call opens the connection."""
        if self._listener is None:
            self._listener = Listener(("127.0.0.1", 0), backlog=64, authkey=self._key)
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()
        host, port = self._listener.address
        return (host, port), self._key.hex()

    def _accept(self, listener: Listener) -> None:
        with contextlib.suppress(OSError):  # the listener was closed
            while True:
                threading.Thread(target=self._serve, args=(listener.accept(),), daemon=True).start()

    def _serve(self, connection: Connection) -> None:
        with connection:
            try:
                connection.send((self.address(connection.recv()), None))
            except Exception as error:  # noqa: BLE001 - raised in the process that needs the server
                connection.send((None, error))


class RemoteServers:
    """Asks the process that holds the servers for their addresses."""

    def __init__(self, address: tuple[str, int], key: str) -> None:
        host, port = address  # a list, after its way to this process
        self._address, self._key = (host, port), bytes.fromhex(key)

    def address(self, name: str) -> Any:
        with Client(self._address, authkey=self._key) as connection:
            connection.send(name)
            address, error = connection.recv()
        if error is not None:
            raise error
        return address
