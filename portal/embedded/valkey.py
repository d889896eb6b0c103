"""Valkey as our own child: a password always, a Unix socket only, nothing on disk.

All it holds can be lost: limits are rebuilt from the ledger, what is due stands in PostgreSQL.
So there is no snapshot and no append-only file, and a start never meets old data.
"""

import hashlib
import time
from pathlib import Path
from urllib.parse import quote

import redis

from portal.embedded.account import Account, give
from portal.embedded.child import Child
from portal.embedded.errors import EmbeddedServerError
from portal.embedded.private_files import write_private

START_TIMEOUT_S = 30.0


class Valkey:
    """One Valkey server, for as long as this process lives."""

    def __init__(
        self,
        *,
        program: Path,
        home: Path,
        socket_dir: Path,
        log_dir: Path,
        account: Account | None,
        password: str,
        databases: int = 16,
    ) -> None:
        """Describe the server; `start` writes its configuration and runs it."""
        self._program = program
        self._dir = home / "valkey"
        self._socket = socket_dir / "valkey.sock"
        self._log_dir = log_dir
        self._account = account
        self._password = password
        self._databases = databases
        self.child: Child | None = None

    def url(self, database: int) -> str:
        """Build the unix:// URL of one of the server's numbered databases."""
        return f"unix://:{quote(self._password, safe='')}@{self._socket}?db={database}"

    def broker_url(self, database: int) -> str:
        """Build the same address in the form Celery's transport reads."""
        password = quote(self._password, safe="")
        return f"redis+socket://:{password}@{self._socket}?virtual_host={database}"

    def start(self) -> None:
        """Start the server and return when it answers to the password."""
        self._dir.mkdir(mode=0o700, exist_ok=True)
        config = self._dir / "valkey.conf"
        write_private(config, self._configuration())
        give(self._dir, self._account)
        self.child = Child(
            "Valkey",
            [self._program, config],
            env={"PATH": "/usr/bin:/bin", "LANG": "C", "TZ": "UTC"},
            log_path=self._log_dir / "valkey.log",
            account=self._account,
        )
        self._wait_until_ready(self.child)

    def stop(self) -> None:
        """End the server; what it held is gone."""
        if self.child is not None:
            self.child.stop()

    def _configuration(self) -> str:
        """Write the settings; the password stands there as its digest only."""
        digest = hashlib.sha256(self._password.encode()).hexdigest()
        lines = [
            "port 0",
            f'unixsocket "{self._socket}"',
            "unixsocketperm 700",
            f"user default reset on #{digest} ~* &* +@all",
            f'dir "{self._dir}"',
            'save ""',
            "appendonly no",
            "maxmemory 512mb",
            "maxmemory-policy noeviction",
            f"databases {self._databases}",
            "daemonize no",
        ]
        return "\n".join(lines) + "\n"

    def _wait_until_ready(self, child: Child) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        client = redis.Redis.from_url(self.url(0), socket_timeout=5)
        try:
            while True:
                try:
                    client.ping()
                except redis.ConnectionError as error:
                    if child.has_ended() or time.monotonic() > deadline:
                        child.stop()
                        raise EmbeddedServerError(
                            f"Valkey did not start:\n{child.log_tail()}"
                        ) from error
                    time.sleep(0.02)
                else:
                    return
        finally:
            client.close()
