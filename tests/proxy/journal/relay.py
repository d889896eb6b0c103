"""A relay before PostgreSQL that can be cut, as a server that is away for a while looks to its clients."""

import contextlib
import selectors
import socket
import threading
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo


class Relay:
    """Passes bytes between a socket in the directory and the database; `cut` and `mend` stop and start it."""

    def __init__(self, directory: Path, database_url: str) -> None:
        self._parts = conninfo_to_dict(database_url)
        self._path = directory / ".s.PGSQL.5432"
        self.url = make_conninfo(database_url, host=str(directory), port=5432)
        self._listener: socket.socket | None = None
        self._sockets: list[socket.socket] = []

    def mend(self) -> None:
        """Accept connections."""
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self._path))
        listener.listen()
        self._listener = listener
        threading.Thread(target=self._accept, args=[listener], daemon=True).start()

    def cut(self) -> None:
        """Refuse connections and break those there are."""
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        for end in self._sockets:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._sockets.clear()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = self._connect()
            self._sockets += [client, server]
            threading.Thread(target=_pass_on, args=[client, server], daemon=True).start()

    def _connect(self) -> socket.socket:
        host, port = str(self._parts["host"]), int(self._parts.get("port") or 5432)
        if host.startswith("/"):
            server = socket.socket(socket.AF_UNIX)
            server.connect(f"{host}/.s.PGSQL.{port}")
            return server
        return socket.create_connection((host, port))


def _pass_on(client: socket.socket, server: socket.socket) -> None:
    with client, server, selectors.DefaultSelector() as selector, contextlib.suppress(OSError):
        selector.register(client, selectors.EVENT_READ, server)
        selector.register(server, selectors.EVENT_READ, client)
        while True:
            for key, _ in selector.select():
                data = key.fileobj.recv(65_536)  # type: ignore[union-attr]
                if not data:
                    return
                key.data.sendall(data)
