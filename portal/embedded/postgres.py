"""PostgreSQL as our own child: scram only, a Unix socket only, back again after kill -9."""

import os
import shutil
import signal
import stat
import time
from collections.abc import Mapping
from pathlib import Path

import psycopg

from portal.embedded import processes
from portal.embedded.account import Account, give, named_account
from portal.embedded.child import Child
from portal.embedded.errors import EmbeddedServerError
from portal.embedded.private_files import write_private
from portal.embedded.roles import role_url

SUPERUSER = "latchkey_admin"
START_TIMEOUT_S = 90.0
INITDB_TIMEOUT_S = 180.0
PLAIN_ENV = {"PATH": "/usr/bin:/bin", "LANG": "C", "TZ": "UTC"}
SOCKET_LOCK = ".s.PGSQL.5432.lock"
STILL_IN_USE = "pre-existing shared memory block"
HBA = "local all all scram-sha-256\n"
ROOT = Account(0, 0)
PID_FILE_MAX_BYTES = 4096


class Postgres:
    """One PostgreSQL server on one data folder, for as long as this process lives."""

    def __init__(
        self,
        *,
        bin_dir: Path,
        home: Path,
        socket_dir: Path,
        log_dir: Path,
        account: Account | None,
        superuser_password: str,
        settings: Mapping[str, str],
    ) -> None:
        """Describe the server; `start` makes its data on first use."""
        self._bin_dir = bin_dir
        self._home = home
        self._data_dir = home / "postgres"
        self._socket_dir = socket_dir
        self._log_dir = log_dir
        self._account = account
        self._superuser_password = superuser_password
        self._settings = settings
        self.child: Child | None = None

    def url(self, *, user: str, password: str, database: str) -> str:
        """Build the URL by which a role reaches a database of this server."""
        return role_url(user=user, password=password, database=database, host=str(self._socket_dir))

    @property
    def superuser_url(self) -> str:
        """The URL of the server's superuser; it never leaves this machine, nor the supervisor."""
        return self.url(user=SUPERUSER, password=self._superuser_password, database="postgres")

    def start(self) -> None:
        """Start the server and return when it answers; recover first from whatever was killed."""
        if not self._data_dir.exists():
            self._make_data()
        self._end_leftover()
        # A data folder that was moved changes its account, for that is derived from its path.
        if self._account and self._data_dir.stat().st_uid != self._account.uid:
            give(self._data_dir, self._account)
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._socket_dir),
            "unix_socket_permissions": "0700",
            "password_encryption": "scram-sha-256",
            **self._settings,
        }
        arguments = [item for name, value in options.items() for item in ("-c", f"{name}={value}")]
        command: list[str | Path] = [self._bin_dir / "postgres", "-D", self._data_dir, *arguments]
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._try_start(command, deadline=deadline):
            time.sleep(0.2)

    def stop(self) -> None:
        """Shut the server down, ending open connections."""
        if self.child is not None:
            self.child.stop()

    def _make_data(self) -> None:
        """Run initdb beside the final place and move the result, so that half a cluster never counts.

        initdb wants an account with a name; the finished data go to the server's own number.
        """
        staging = self._home / "postgres.new"
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(mode=0o700)
        write_private(staging / "password", self._superuser_password)
        initdb_account = named_account()
        give(staging, initdb_account)
        initdb = Child(
            "initdb",
            [
                *(self._bin_dir / "initdb", "-D", staging / "data", "-U", SUPERUSER),
                *("--pwfile", staging / "password", "--auth=scram-sha-256", "--encoding=UTF8"),
                *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
            ],
            env=PLAIN_ENV,
            log_path=self._log_dir / "initdb.log",
            account=initdb_account,
        )
        if initdb.wait(timeout_s=INITDB_TIMEOUT_S) != 0:
            raise EmbeddedServerError(f"initdb failed:\n{initdb.log_tail()}")
        if self._account:
            # Ours again before anything is written there, the door first: its maker could lay links.
            os.chown(staging, 0, 0)
            give(staging, ROOT)
        write_private(staging / "data" / "pg_hba.conf", HBA)
        give(staging / "data", self._account)
        (staging / "data").rename(self._data_dir)
        shutil.rmtree(staging)

    def _try_start(self, command: list[str | Path], *, deadline: float) -> bool:
        """Start once; False if workers of a killed server have yet to notice its death."""
        self.child = child = Child(
            "PostgreSQL",
            command,
            env=PLAIN_ENV,
            log_path=self._log_dir / "postgres.log",
            account=self._account,
            stop_signal=signal.SIGINT,
            stop_timeout_s=30.0,
        )
        while not child.has_ended() and time.monotonic() < deadline:
            try:
                psycopg.connect(self.superuser_url, connect_timeout=5).close()
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return True
        child.stop()
        if STILL_IN_USE in child.log_tail() and time.monotonic() < deadline:
            return False
        raise EmbeddedServerError(f"PostgreSQL did not start:\n{child.log_tail()}")

    def _end_leftover(self) -> None:
        """Clear what a killed run left: a server that lives on, or pid files that lie.

        PostgreSQL itself handles a pid file whose number is free. A number that is taken, by a
        zombie or by a stranger after a reboot, would make it refuse to start. The number of the
        starting process it takes for stale, and then goes on to look, through the rest of the
        file, for processes that still hold the old shared memory; so the file is kept.
        """
        for pid_file in (self._data_dir / "postmaster.pid", self._socket_dir / SOCKET_LOCK):
            handle = _open_plain(pid_file)
            if handle is None:
                continue
            with os.fdopen(handle, "r+b") as file:
                pid, _, rest = file.read(PID_FILE_MAX_BYTES).partition(b"\n")
                try:
                    identity = processes.identify(int(pid))
                except ValueError:
                    continue
                if identity is not None and self._is_ours(identity.pid):
                    processes.end(identity, stop_signal=signal.SIGINT, timeout_s=30.0)
                # A server that ended has taken the file away, and this goes nowhere.
                file.seek(0)
                file.truncate()
                file.write(b"%d\n%b" % (os.getpid(), rest))

    def _is_ours(self, pid: int) -> bool:
        """Say whether the process is a postmaster on this data folder (its argv names it)."""
        return os.fsencode(self._data_dir) in processes.command_line(pid)


def _open_plain(path: Path) -> int | None:
    """Open a file of the server's to read and write, None where there is none.

    Its folder belongs to the server's account, which could have laid a link to a file of root's.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise EmbeddedServerError(
            f"{path} is no plain file ({error.strerror}); remove it."
        ) from None
    seen = os.fstat(handle)
    if not stat.S_ISREG(seen.st_mode) or seen.st_nlink > 1:
        os.close(handle)
        raise EmbeddedServerError(f"{path} is no plain file of one name; remove it.")
    return handle
