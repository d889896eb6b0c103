"""A server and its workers use few connections, whatever their callers do."""

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from django.db import connection
from django.test import Client
from pytest_django import DjangoDbBlocker

from accounts.audit import COMMAND
from accounts.models import Team
from accounts.writes.teams import create_team
from portal.celery import app
from portal.lib.database_url import POOL
from tests.accounts.rows import new_name
from tests.child import environment_with
from tests.flows.processes import RunningGateway, run_gateway
from tests.services import ROOT, Services

# Besides the pool's: the change log's, the one that books journals, and the one that asks at the start.
OTHERS = 3
BOUND = int(POOL["max_size"]) + OTHERS


def count(services: Services, name: str) -> int:
    """How many connections carry this application name."""
    with psycopg.connect(services.superuser_url) as admin:
        found = admin.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", [name]
        ).fetchone()
    assert found is not None
    return int(found[0])


@pytest.fixture(scope="module")
def name() -> str:
    return new_name("server")


@pytest.fixture(scope="module")
def gateway(
    name: str,
    database_url: str,
    django_db_setup: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("connections")
    with run_gateway(folder, LATCHKEY_DATABASE_URL=named(database_url, name)) as running:
        yield running


def named(url: str, name: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}application_name={name}"


# Its session is looked for in the database.
COOKIE = f"sessionid={'a' * 32}"


def is_answered(gateway: RunningGateway) -> bool:
    request = urllib.request.Request(
        f"http://127.0.0.1:{gateway.port}/", headers={"Cookie": COOKIE}
    )
    with urllib.request.urlopen(request, timeout=10) as reply:
        return bool(reply.status == 200)


@pytest.mark.parametrize("at_once", [1, 20])
def test_hundred_requests_leave_no_more_than_the_pool(
    gateway: RunningGateway, services: Services, name: str, at_once: int
) -> None:
    with ThreadPoolExecutor(at_once) as callers:
        assert all(callers.map(lambda _: is_answered(gateway), range(100)))
    assert 0 < count(services, name) <= BOUND


def test_callers_that_hang_up_or_never_read_keep_no_connection(
    gateway: RunningGateway, services: Services, name: str
) -> None:
    request = f"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {COOKIE}\r\n\r\n".encode()
    silent = []
    for number in range(4 * BOUND):
        caller = socket.create_connection(("127.0.0.1", gateway.port), timeout=5)
        caller.sendall(request)
        caller.close() if number % 2 else silent.append(caller)
    for caller in silent:
        assert caller.recv(12) == b"HTTP/1.1 200"
    assert is_answered(gateway)
    assert count(services, name) <= BOUND
    for caller in silent:
        caller.close()
    assert is_answered(gateway)


def test_request_gives_the_connection_back_and_asks_for_none(
    client: Client, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> None:
    with django_db_blocker.unblock():
        connection.ensure_connection()
    assert client.get("/health/live").status_code == 200
    assert connection.connection is None


@pytest.mark.django_db
def test_transaction_around_a_request_stays_open(client: Client) -> None:
    name = new_name("team")
    create_team(name, actor=COMMAND)
    client.get("/", headers={"cookie": COOKIE})
    assert Team.objects.filter(name=name).exists()


@contextmanager
def run_worker(url: str, queue: str, log_file: Path) -> Iterator[None]:
    """A forking worker that reads one queue: what other tests have put into theirs stays there."""
    command = [sys.executable, "-m", "celery", "-A", "portal.celery", "worker", "--pool", "prefork"]
    with (
        log_file.open("wb") as log,
        subprocess.Popen(
            [*command, "--queues", queue, "--concurrency", "2", "--loglevel", "INFO"],
            cwd=ROOT,
            env=environment_with({"LATCHKEY_DATABASE_URL": url}),
            stdout=log,
            stderr=subprocess.STDOUT,
        ) as worker,
    ):
        try:
            yield
        finally:
            worker.terminate()
            worker.wait(timeout=20)


def test_forked_workers_share_no_connection(
    services: Services, database_url: str, django_db_setup: None, tmp_path: Path
) -> None:
    name, log_file = new_name("worker"), tmp_path / "worker.log"
    with run_worker(named(database_url, name), name, log_file):
        for _ in range(20):
            app.send_task("accounts.tasks.forget_changes", queue=name)
        deadline = time.monotonic() + 30
        while log_file.read_text().count("succeeded in") < 20 and time.monotonic() < deadline:
            time.sleep(0.1)
        told = log_file.read_text()
        assert told.count("succeeded in") == 20, told
        assert "Traceback" not in told
        assert count(services, name) <= 2
