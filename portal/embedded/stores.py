"""PostgreSQL and Valkey of one data folder, started and stopped together."""

import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

from portal.embedded.account import choose_account
from portal.embedded.child import Child
from portal.embedded.elsewhere import home_for
from portal.embedded.errors import EmbeddedServerError
from portal.embedded.places import socket_dir
from portal.embedded.postgres import Postgres
from portal.embedded.private_files import load_or_make, make_private_dir, try_lock
from portal.embedded.programs import find_programs
from portal.embedded.roles import APPLICATION, OWNER, ensure_database, ensure_role
from portal.embedded.valkey import Valkey

DATABASE = "latchkey"
BROKER, CACHE, LIMITS = range(3)


class Stores:
    """Both servers with their passwords; a context manager that stops them at its end."""

    def __init__(
        self,
        data_dir: Path,
        *,
        log_dir: Path | None = None,
        postgres_settings: Mapping[str, str] | None = None,
        valkey_databases: int = 16,
    ) -> None:
        """Take the data folder for us alone and prepare everything that needs no server.

        Raises: EmbeddedServerError if another process uses the folder, or cannot run here.
        """
        self.data_dir = make_private_dir(data_dir.absolute())
        lock = try_lock(self.data_dir / "lock")
        if lock is None:
            raise EmbeddedServerError(f"Another process runs the servers of {self.data_dir}.")
        self._lock: int | None = lock
        try:
            self._prepare(log_dir, postgres_settings or {}, valkey_databases)
        except BaseException:
            self._unlock()
            raise

    def _prepare(
        self, log_dir: Path | None, postgres_settings: Mapping[str, str], valkey_databases: int
    ) -> None:
        """Make the passwords and the folders, and describe both servers."""
        self.passwords: dict[str, str] = load_or_make(
            self.data_dir / "passwords.json", _make_passwords
        )
        account = choose_account(self.data_dir)
        self.home = home_for(self.data_dir, account)
        programs = find_programs(home=self.home, account=account)
        sockets = socket_dir(self.data_dir, account)
        logs = log_dir or self.data_dir / "logs"
        self.postgres = Postgres(
            bin_dir=programs.postgres_bin,
            home=self.home,
            socket_dir=sockets,
            log_dir=logs,
            account=account,
            superuser_password=self.passwords["superuser"],
            settings=postgres_settings,
        )
        self.valkey = Valkey(
            program=programs.valkey_server,
            home=self.home,
            socket_dir=sockets,
            log_dir=logs,
            account=account,
            password=self.passwords["valkey"],
            databases=valkey_databases,
        )
        self.socket_dir = sockets

    def start(self) -> None:
        """Start both servers with the roles and the database; stop both if either fails."""
        try:
            self.valkey.start()
            self.postgres.start()
            with psycopg.connect(self.postgres.superuser_url, autocommit=True) as admin:
                ensure_role(admin, OWNER, password=self.passwords["owner"])
                ensure_role(admin, APPLICATION, password=self.passwords["application"])
                ensure_database(admin, DATABASE)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop both servers and let the folder go; harmless when repeated."""
        try:
            self.postgres.stop()
        finally:
            self.valkey.stop()
            # Only an empty folder goes; after a kill it keeps the sockets for the next start.
            with suppress(OSError):
                self.socket_dir.rmdir()
            self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def children(self) -> list[Child]:
        """The servers that were started, to be watched."""
        return [child for child in (self.valkey.child, self.postgres.child) if child is not None]

    def environment(self, *, database: str = DATABASE) -> dict[str, str]:
        """Return the variables by which the project's settings find these servers."""
        application = self.postgres.url(
            user=APPLICATION, password=self.passwords["application"], database=database
        )
        return {
            "LATCHKEY_DATABASE_URL": application,
            "LATCHKEY_DATABASE_LISTEN_URL": application,
            "LATCHKEY_DATABASE_MIGRATOR_URL": self.postgres.url(
                user=OWNER, password=self.passwords["owner"], database=database
            ),
            "LATCHKEY_BROKER_URL": self.valkey.broker_url(BROKER),
            "LATCHKEY_CACHE_URL": self.valkey.url(CACHE),
            "LATCHKEY_LIMITS_URL": self.valkey.url(LIMITS),
        }

    def __enter__(self) -> Self:
        """Start both servers."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop both servers."""
        self.stop()


def _make_passwords() -> dict[str, str]:
    return {
        name: secrets.token_urlsafe(32) for name in ("superuser", "owner", "application", "valkey")
    }
