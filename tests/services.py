"""The PostgreSQL and Valkey that a test run shares, and each worker's own part of them.

The process that starts the run starts both servers once, or takes those that
LATCHKEY_TEST_POSTGRES_URL (a superuser's) and LATCHKEY_TEST_VALKEY_URL name, and migrates one
template database as the owner role while the workers collect. Every worker then clones the template
and takes three Valkey databases for itself. Facts travel to the workers in the environment.
"""

import atexit
import hashlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import redis
from psycopg import conninfo, sql

from portal.embedded.account import choose_account
from portal.embedded.places import socket_dir
from portal.embedded.private_files import try_lock
from portal.embedded.roles import APPLICATION, OWNER, ensure_database, ensure_role, role_url
from portal.embedded.stores import Stores

FACTS = "LATCHKEY_TEST_SERVICES"
ROOT = Path(__file__).resolve().parent.parent
FOLDER_PREFIX = "latchkey-test-"
MIGRATING_MAX_S = 180
COLLECTING_MAX_S = 60
COLLECT_FIRST = ("main", "gw0")
VALKEY_DATABASES = 96
# Nothing a test writes outlives the run, so nothing needs to reach the disk.
FAST_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "300",
    "shared_buffers": "64MB",
    "max_wal_size": "1GB",
    # Statistics of a moment at which hardly a row was there would mislead a test that writes many.
    "autovacuum": "off",
}


@dataclass(frozen=True)
class Services:
    """Where the run's servers are, and what of it every worker shares.

    outcome: the file that appears when the template was migrated, and holds what went wrong.
    collected: the file that appears when one worker has collected.
    """

    run_id: str
    superuser_url: str
    valkey_url: str
    owner_password: str
    application_password: str
    outcome: str
    collected: str

    @property
    def template(self) -> str:
        """The migrated database that workers clone."""
        return f"latchkey_{self.run_id}_template"

    def database(self, worker: str) -> str:
        """The name of a worker's own database."""
        return f"latchkey_{self.run_id}_{worker}"

    def environment(self, *, database: str, first_valkey_database: int) -> dict[str, str]:
        """Return the project's connection settings for one database and three of Valkey's."""
        application = self._role_url(APPLICATION, self.application_password, database)
        return {
            "LATCHKEY_DATABASE_URL": application,
            "LATCHKEY_DATABASE_LISTEN_URL": application,
            "LATCHKEY_DATABASE_MIGRATOR_URL": self._role_url(OWNER, self.owner_password, database),
            "LATCHKEY_BROKER_URL": _broker_url(self.valkey_url, first_valkey_database),
            "LATCHKEY_CACHE_URL": _store_url(self.valkey_url, first_valkey_database + 1),
            "LATCHKEY_LIMITS_URL": _store_url(self.valkey_url, first_valkey_database + 2),
        }

    def _role_url(self, user: str, password: str, database: str) -> str:
        parts = conninfo.conninfo_to_dict(self.superuser_url)
        port = parts.get("port")
        return role_url(
            user=user,
            password=password,
            database=database,
            host=str(parts["host"]),
            port=str(port) if port else None,
        )


def provide_services() -> Services:
    """Return this run's services: started here, or by the process that started this worker."""
    if FACTS in os.environ:
        return Services(**json.loads(os.environ[FACTS]))
    postgres_url = os.environ.get("LATCHKEY_TEST_POSTGRES_URL")
    valkey_url = os.environ.get("LATCHKEY_TEST_VALKEY_URL")
    if bool(postgres_url) != bool(valkey_url):
        sys.exit("Set both LATCHKEY_TEST_POSTGRES_URL and LATCHKEY_TEST_VALKEY_URL, or neither.")
    if postgres_url and valkey_url:
        services = _external(postgres_url, valkey_url)
        atexit.register(_drop_databases, services)
    else:
        services = _embedded()
    threading.Thread(target=_migrate_template, args=(services,), daemon=True).start()
    os.environ[FACTS] = json.dumps(asdict(services))
    return services


def let_one_collect_first(services: Services, worker: str) -> None:
    """Wait for the first worker, which writes down what pytest makes of each file: all would at once, for a dozen seconds."""
    deadline = time.monotonic() + COLLECTING_MAX_S
    while worker not in COLLECT_FIRST and not Path(services.collected).exists():
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)


def part_of(services: Services, worker: str) -> dict[str, str]:
    """The settings of this worker's part; nothing is there before it is claimed."""
    return services.environment(
        database=services.database(worker), first_valkey_database=_first_valkey_database(worker)
    )


def claim_part(services: Services, worker: str) -> str:
    """Clone the template for this worker and empty its Valkey databases; return why there is no template."""
    Path(services.collected).touch()
    error = _await_template(services)
    if not error:
        with psycopg.connect(services.superuser_url, autocommit=True) as admin:
            ensure_database(admin, services.database(worker), template=services.template)
    for offset in range(3):
        url = _store_url(services.valkey_url, _first_valkey_database(worker) + offset)
        with redis.Redis.from_url(url) as client:
            client.flushdb()
    return error


def _first_valkey_database(worker: str) -> int:
    number = int(worker.removeprefix("gw")) if worker.startswith("gw") else 0
    return 1 + 3 * number


def _embedded() -> Services:
    """Start both servers in a folder that goes with this process."""
    _remove_abandoned_folders()
    folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))
    # As root the servers run under another account, which has to pass through.
    folder.chmod(0o711)
    stores = Stores(
        folder / "stores", postgres_settings=FAST_SETTINGS, valkey_databases=VALKEY_DATABASES
    )
    atexit.register(_remove, stores, folder)
    stores.start()
    return Services(
        run_id=secrets.token_hex(4),
        superuser_url=stores.postgres.superuser_url,
        valkey_url=stores.valkey.url(0),
        owner_password=stores.passwords["owner"],
        application_password=stores.passwords["application"],
        outcome=str(folder / "outcome"),
        collected=str(folder / "collected"),
    )


def _external(postgres_url: str, valkey_url: str) -> Services:
    """Use servers that run already; their roles get passwords that runs side by side agree on."""
    digest = hashlib.sha256(postgres_url.encode()).hexdigest()
    folder = tempfile.mkdtemp(prefix="latchkey-outcome-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    services = Services(
        run_id=secrets.token_hex(4),
        superuser_url=postgres_url,
        valkey_url=valkey_url,
        owner_password=f"owner-{digest}",
        application_password=f"application-{digest}",
        outcome=f"{folder}/outcome",
        collected=f"{folder}/collected",
    )
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        ensure_role(admin, OWNER, password=services.owner_password)
        ensure_role(admin, APPLICATION, password=services.application_password)
    return services


def _migrate_template(services: Services) -> None:
    """Migrate the template as the owner role; write down what went wrong, for those who need tables."""
    with psycopg.connect(services.superuser_url, autocommit=True) as admin:
        ensure_database(admin, services.template)
    urls = services.environment(database=services.template, first_valkey_database=1)
    migration = subprocess.run(
        [sys.executable, "manage.py", "migrate", "--database", "migrator", "--verbosity", "0"],
        cwd=ROOT,
        env={**os.environ, **urls},
        capture_output=True,
        text=True,
        timeout=MIGRATING_MAX_S,
        check=False,
    )
    written = Path(f"{services.outcome}.new")
    # A run that ended early took the folder along.
    with suppress(OSError):
        written.write_text(migration.stderr[-4000:] if migration.returncode else "")
        written.rename(services.outcome)


def _await_template(services: Services) -> str:
    """Wait until the template was migrated; return what went wrong."""
    outcome, deadline = Path(services.outcome), time.monotonic() + MIGRATING_MAX_S
    while not outcome.exists():
        if time.monotonic() > deadline:
            return f"It took longer than {MIGRATING_MAX_S} s."
        time.sleep(0.02)
    return outcome.read_text()


def _drop_databases(services: Services) -> None:
    with psycopg.connect(services.superuser_url, autocommit=True) as admin:
        names = admin.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE %s",
            [services.database("").replace("_", r"\_") + "%"],
        ).fetchall()
        for (name,) in names:
            statement = "DROP DATABASE IF EXISTS {} WITH (FORCE)"
            admin.execute(sql.SQL(statement).format(sql.Identifier(name)))


def _remove(stores: Stores, folder: Path) -> None:
    stores.stop()
    shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned_folders() -> None:
    """Remove what runs that were killed left behind; a live run holds its folder's lock."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}*"):
        lock_file = folder / "stores" / "lock"
        if not lock_file.exists():
            continue
        with suppress(OSError):
            lock = try_lock(lock_file)
            if lock is not None:
                data_dir = lock_file.parent
                shutil.rmtree(socket_dir(data_dir, choose_account(data_dir)), ignore_errors=True)
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)


def _store_url(url: str, database: int) -> str:
    base = url.partition("?")[0]
    return f"{base}?db={database}"


def _broker_url(url: str, database: int) -> str:
    """Translate to the form Celery's transport reads."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return f"redis+socket://{parts.netloc}{parts.path}?virtual_host={database}"
    return f"{parts.scheme}://{parts.netloc}/{database}"
